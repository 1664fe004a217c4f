package configs

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
)

// Log is how a process writes its log, which goes to standard error.
type Log struct {
	// Level is the least important level that is written: debug, info, warn or error.
	Level slog.Level `koanf:"level"`
	// Format is how a line is written: text for people, json for machines (one object a line).
	Format string `koanf:"format"`
}

// DefaultLog is what suits a person at a terminal.
func DefaultLog() Log { return Log{Level: slog.LevelInfo, Format: "text"} }

// Validate reports every setting that cannot work.
func (l Log) Validate() error {
	if !slices.Contains([]string{"text", "json"}, l.Format) {
		return fmt.Errorf("format: %q, want text or json", l.Format)
	}
	return nil
}

// Admin is the HTTP server for operators: /livez, /readyz, /metrics and
// /debug/pprof/.
type Admin struct {
	// Listen is the address of the admin server, host:port; port 0 takes a free
	// one, an empty text turns the server off. It asks nobody who they are, so
	// keep it on loopback or a private network.
	Listen string `koanf:"listen"`
}

// Validate reports every setting that cannot work.
func (a Admin) Validate() error {
	if a.Listen == "" {
		return nil
	}
	if err := checkAddress(a.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return nil
}

// checkAddress wants host:port.
func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not host:port", address)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return errors.New(port + " is not a port")
	}
	return nil
}
