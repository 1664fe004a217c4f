package configs

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
)

// Slot is which slot an instance takes.
type Slot int

// The slots that are no number.
const (
	SlotAuto Slot = discovery.ClaimSlot // claims one in Consul
	SlotNone Slot = discovery.NoSlot    // takes none: logins may reach it, requests do not
)

// MarshalText writes what UnmarshalText reads.
func (s Slot) MarshalText() ([]byte, error) {
	switch s {
	case SlotAuto:
		return []byte("auto"), nil
	case SlotNone:
		return []byte("none"), nil
	}
	return strconv.AppendInt(nil, int64(s), 10), nil
}

// UnmarshalText reads auto, none, or a number.
func (s *Slot) UnmarshalText(text []byte) error {
	switch string(text) {
	case "auto":
		*s = SlotAuto
		return nil
	case "none":
		*s = SlotNone
		return nil
	}
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 0 || n > discovery.SlotMax {
		return fmt.Errorf("want auto, none or a number from 0 to %d, got %q", discovery.SlotMax, text)
	}
	*s = Slot(n)
	return nil
}

// Register says how a backend instance makes itself known to gateways.
type Register struct {
	// Kind is none (the gateways' files name this instance) or consul (it announces
	// itself there once it serves, and takes itself off when it drains).
	Kind string `koanf:"kind"`
	// ID names the instance. It must be unique within its service and the same after a
	// restart, so that it finds its slot again. Empty: its address.
	ID string `koanf:"id"`
	// Slot is auto (claims one in Consul: first the one it had, else one without an
	// owner, else a new one on top), a fixed number, or none.
	Slot Slot `koanf:"slot"`
	// Address is where gateways reach the instance: host:port, or unix:/path. Empty:
	// where it listens.
	Address string `koanf:"address"`
	// Zone is where the instance runs.
	Zone string `koanf:"zone"`
	// Version is what it runs, for rules and for people.
	Version string `koanf:"version"`
	// Track is its place in a rollout, such as stable or canary.
	Track string `koanf:"track"`
	// Weight is its share beside others; at least 1.
	Weight int `koanf:"weight"`
	// Consul is how Consul is reached, for the kind consul. In its folder the instance
	// keeps which slot it held, so it starts with that one while Consul is away.
	Consul discovery.ConsulConfig `koanf:"consul"`
}

// DefaultRegister announces nothing.
func DefaultRegister() Register {
	return Register{Kind: KindNone, Slot: SlotAuto, Weight: 1, Consul: defaultConsul(".holdfast/register")}
}

// Enabled tells whether the instance announces itself.
func (r Register) Enabled() bool { return r.Kind == KindConsul }

// Meta is what gateways are told besides slot and zone.
func (r Register) Meta() map[string]string {
	meta := map[string]string{"weight": strconv.Itoa(r.Weight)}
	for key, value := range map[string]string{"version": r.Version, "track": r.Track} {
		if value != "" {
			meta[key] = value
		}
	}
	return meta
}

// Validate reports every setting that cannot work.
func (r Register) Validate() error {
	var errs []error
	if r.Kind != KindNone && r.Kind != KindConsul {
		errs = append(errs, fmt.Errorf("kind: %q, want none or consul", r.Kind))
	}
	if r.Address != "" {
		if _, _, err := discovery.SplitAddress(r.Address); err != nil {
			errs = append(errs, fmt.Errorf("address: %w", err))
		}
	}
	if r.Weight < 1 {
		errs = append(errs, fmt.Errorf("weight: %d, want at least 1", r.Weight))
	}
	return errors.Join(append(errs, consulErrors(r.Consul, r.Enabled())...)...)
}

// checkFor reports what a register section cannot see: service and listen are
// those of the instance it announces.
func (r Register) checkFor(service, listen string) error {
	if !r.Enabled() {
		return nil
	}
	var errs []error
	if err := (discovery.Registration{ID: service, Service: service, Address: "127.0.0.1:1", Slot: discovery.ClaimSlot}).Validate(); err != nil {
		errs = append(errs, fmt.Errorf("kit.service: %q, want letters, digits, dots, colons, _ and - where Consul is used", service))
	}
	path, unix := strings.CutPrefix(listen, "unix:")
	host, _, err := net.SplitHostPort(listen)
	switch {
	case unix && r.ID == "":
		errs = append(errs, fmt.Errorf("register.id: empty, and kit.listen is the unix socket %s: give the instance a name", path))
	case !unix && err == nil && r.Address == "" && unspecified(host):
		errs = append(errs, fmt.Errorf("register.address: empty, and kit.listen %s is every address of the machine: say which one gateways use", listen))
	}
	return errors.Join(errs...)
}

// unspecified tells whether host stands for every address of a machine.
func unspecified(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}
