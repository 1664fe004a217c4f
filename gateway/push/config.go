package push

import (
	"errors"
	"fmt"

	"github.com/holdfast-io/holdfast/idl/endpoint"
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
	if _, _, err := endpoint.ParseListen(c.Listen); err != nil {
		errs = append(errs, fmt.Errorf("listen: %w", err))
	}
	if c.Advertise != "" {
		if _, _, err := endpoint.ParseListen(c.Advertise); err != nil {
			errs = append(errs, fmt.Errorf("advertise: %w", err))
		}
	}
	return errors.Join(errs...)
}
