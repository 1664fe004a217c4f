package configs

import (
	"errors"
	"fmt"
	"time"
)

// Dev is the configuration of `holdfast dev`: gateway, echo and logic in one
// process, for trying things. It is not for the public internet.
type Dev struct {
	// Listen is the TCP address that clients connect to, by every transport; port 0
	// takes a free one.
	Listen string `koanf:"listen"`
	// TLS serves every transport over TLS as well, on the same port, with a
	// certificate that is made in the data folder.
	TLS bool `koanf:"tls"`
	// Data is the folder that holds the keys and the database. It is made at the
	// first start, readable by its owner only.
	Data string `koanf:"data"`
	// DrainWindow is the time over which clients are sent away when the process is
	// told to stop.
	DrainWindow time.Duration `koanf:"drain_window"`
	// Admin is the HTTP server for operators.
	Admin Admin `koanf:"admin"`
	// Log is how the process writes its log.
	Log Log `koanf:"log"`
}

// DefaultDev is what `holdfast dev` does without arguments.
func DefaultDev() Dev {
	return Dev{
		Listen:      "127.0.0.1:7000",
		Data:        ".holdfast",
		DrainWindow: 2 * time.Second,
		Admin:       Admin{Listen: "127.0.0.1:7070"},
		Log:         DefaultLog(),
	}
}

// Check reports what the sections cannot see for themselves.
func (d Dev) Check() error {
	var errs []error
	if err := checkAddress(d.Listen); err != nil {
		errs = append(errs, fmt.Errorf("listen: %w", err))
	}
	if d.Data == "" {
		errs = append(errs, errors.New("data: empty"))
	}
	if d.DrainWindow < 0 {
		errs = append(errs, fmt.Errorf("drain_window: %v, want 0 or more", d.DrainWindow))
	}
	return errors.Join(errs...)
}
