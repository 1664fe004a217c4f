package push

import (
	"errors"
	"fmt"
	"net"
	"strings"
)

// Config says where backends reach the gateway.
type Config struct {
	// Listen is where the Gateway service is served: host:port, or unix:/path
	// for backends beside it. It asks nobody who they are: keep it on loopback
	// or a private network.
	Listen string `koanf:"listen"`
	// Advertise is how backends reach it, when that is not Listen.
	Advertise string `koanf:"advertise"`
}

// DefaultConfig is on loopback.
func DefaultConfig() Config { return Config{Listen: "127.0.0.1:7071"} }

// Validate reports every mistake.
func (c Config) Validate() error {
	var errs []error
	if err := checkAddress(c.Listen); err != nil {
		errs = append(errs, fmt.Errorf("listen: %w", err))
	}
	if c.Advertise != "" {
		if err := checkAddress(c.Advertise); err != nil {
			errs = append(errs, fmt.Errorf("advertise: %w", err))
		}
	}
	return errors.Join(errs...)
}

// unixPathMax is what a socket's address holds on Linux, its final zero apart.
const unixPathMax = 107

func checkAddress(s string) error {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if path == "" || len(path) > unixPathMax {
			return fmt.Errorf("unix path of %d bytes, want 1 to %d", len(path), unixPathMax)
		}
		return nil
	}
	if _, _, err := net.SplitHostPort(s); err != nil {
		return fmt.Errorf("%q is neither host:port nor unix:/path", s)
	}
	return nil
}

func split(s string) (network, address string) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		return "unix", path
	}
	return "tcp", s
}

// local reports whether only this machine reaches the address.
func local(s string) bool {
	network, address := split(s)
	if network == "unix" {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}
