package configs

import (
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
)

// Where instances are found and announced.
const (
	KindStatic = "static" // by the configuration
	KindConsul = "consul" // by Consul
	KindNone   = "none"   // not announced: the gateways' files name the instance
)

// consulAddress is where a Consul agent on the same host listens.
const consulAddress = "127.0.0.1:8500"

// Discovery says how a gateway finds the instances of its backends.
type Discovery struct {
	// Kind is static (dispatcher.services[].instances names them) or consul (they
	// announce themselves, and claim their slots, in Consul).
	Kind string `koanf:"kind"`
	// Consul is how Consul is reached, for the kind consul. In its folder the gateway
	// keeps the last good copy of what Consul said, from which it starts while Consul is
	// away.
	Consul discovery.ConsulConfig `koanf:"consul"`
}

// DefaultDiscovery finds instances in the file.
func DefaultDiscovery() Discovery {
	return Discovery{Kind: KindStatic, Consul: defaultConsul(".holdfast/gateway")}
}

func defaultConsul(folder string) discovery.ConsulConfig {
	c := discovery.DefaultConsulConfig()
	c.Address, c.Folder = consulAddress, folder
	return c
}

// Validate reports every setting that cannot work.
func (d Discovery) Validate() error {
	var errs []error
	if d.Kind != KindStatic && d.Kind != KindConsul {
		errs = append(errs, fmt.Errorf("kind: %q, want static or consul", d.Kind))
	}
	return errors.Join(append(errs, consulErrors(d.Consul, d.Kind == KindConsul)...)...)
}

// consulErrors is what is wrong with the section consul, one error a key.
func consulErrors(c discovery.ConsulConfig, used bool) []error {
	if used && !c.Enabled() {
		return []error{errors.New("consul.address: empty, but kind is consul")}
	}
	err := c.Validate()
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{fmt.Errorf("consul.%w", err)}
	}
	var errs []error
	for _, one := range joined.Unwrap() {
		errs = append(errs, fmt.Errorf("consul.%w", one))
	}
	return errs
}

// Reload says how a changed file reaches a gateway that runs. What may change is
// in the section dispatcher; the rest needs a restart, and the log says so.
type Reload struct {
	// Watch is how often the file is looked at; a change is taken once the file has
	// stayed the same for that long. 0s: only at SIGHUP, which is heeded in any case.
	Watch time.Duration `koanf:"watch"`
}

// reloadWatchMin keeps a slip (1ms) from reading the file all the time.
const reloadWatchMin = 100 * time.Millisecond

// Validate reports every setting that cannot work.
func (r Reload) Validate() error {
	if r.Watch != 0 && r.Watch < reloadWatchMin {
		return fmt.Errorf("watch: %v, want at least %v, or 0s for none", r.Watch, reloadWatchMin)
	}
	return nil
}
