package discovery

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"time"
)

// ConsulConfig says how Consul is reached and how long things may take there. Zero
// values are not defaults: start from DefaultConsulConfig.
type ConsulConfig struct {
	// Address is where Consul's HTTP API is: host:port, http://host:port or
	// https://host:port. Empty: Consul is not used.
	Address string `koanf:"address"`
	// Token is the ACL token. It shows in printed configurations; what is in TokenFile
	// does not. It may be limited to reading nodes, writing sessions and services, and
	// writing keys below Prefix; a gateway needs to read only.
	Token string `koanf:"token"`
	// TokenFile holds the ACL token, and is read again when it changes.
	TokenFile string `koanf:"token_file"`
	// Datacenter is the one to ask. Empty: that of the agent.
	Datacenter string `koanf:"datacenter"`
	// Namespace is for Consul Enterprise; others do not have any.
	Namespace string `koanf:"namespace"`
	// TLS is for an https address.
	TLS ConsulTLS `koanf:"tls"`
	// Prefix is where the keys of slots stand: prefix/service/number.
	Prefix string `koanf:"prefix"`
	// Folder keeps what has to outlive the process: the last good copy of what Consul
	// said, and the slot that an instance held. Empty: nothing is kept.
	Folder string `koanf:"folder"`

	// Timeout bounds a call that does not wait for a change.
	Timeout time.Duration `koanf:"timeout"`
	// Wait is how long Consul may keep a query that waits for a change.
	Wait time.Duration `koanf:"wait"`
	// StartWait is how long a start waits for Consul before it goes by the last good
	// copy.
	StartWait time.Duration `koanf:"start_wait"`
	// Hold is how long instances that still answer themselves are kept when Consul
	// lists less than half of those that it listed before, or none, or has just come
	// back and does not list them yet.
	Hold time.Duration `koanf:"hold"`
	// CheckTTL is how long after its last sign of life an instance counts as gone. It
	// gives three a CheckTTL, and finds out then when Consul has lost it.
	CheckTTL time.Duration `koanf:"check_ttl"`
	// DeregisterAfter is how long Consul lists an instance that is gone; at least 1m.
	DeregisterAfter time.Duration `koanf:"deregister_after"`
	// SessionTTL is how long a slot stays locked after its holder was killed; Consul
	// takes up to twice that. At least 10s.
	SessionTTL time.Duration `koanf:"session_ttl"`
	// SlotHold is how long the slot of an instance that is gone is kept for it.
	SlotHold time.Duration `koanf:"slot_hold"`
	// Settle is how long new instances wait where Consul knows nothing of their
	// service, so that those which serve take their slots first.
	Settle time.Duration `koanf:"settle"`
}

// ConsulTLS is how an https address is spoken to.
type ConsulTLS struct {
	// CA is a file with the certificates that sign Consul's. Empty: the system's.
	CA string `koanf:"ca"`
	// Cert and Key are files with this process's own certificate, where Consul asks
	// for one.
	Cert string `koanf:"cert"`
	Key  string `koanf:"key"`
	// ServerName is the name in Consul's certificate, when it is not the address.
	ServerName string `koanf:"server_name"`
}

// DefaultConsulConfig uses no Consul: Address is empty.
func DefaultConsulConfig() ConsulConfig {
	return ConsulConfig{
		Prefix:          "holdfast/slots",
		Timeout:         2 * time.Second,
		Wait:            10 * time.Second,
		StartWait:       2 * time.Second,
		Hold:            time.Minute,
		CheckTTL:        10 * time.Second,
		DeregisterAfter: 10 * time.Minute,
		SessionTTL:      10 * time.Second,
		SlotHold:        time.Minute,
		Settle:          5 * time.Second,
	}
}

// Enabled tells whether Consul is used at all.
func (c ConsulConfig) Enabled() bool { return c.Address != "" }

// Validate reports every setting that cannot work. Each line is "key: message".
func (c ConsulConfig) Validate() error {
	if !c.Enabled() {
		return nil
	}
	var errs []error
	check := func(ok bool, format string, a ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, a...))
		}
	}
	scheme, host := splitScheme(c.Address)
	_, _, err := net.SplitHostPort(host)
	check(err == nil && (scheme == "http" || scheme == "https"), "address: %q, want host:port, http://host:port or https://host:port", c.Address)
	check(c.TLS == (ConsulTLS{}) || scheme == "https", "tls: given, but address %q is not https", c.Address)
	check((c.TLS.Cert == "") == (c.TLS.Key == ""), "tls: cert and key go together")
	check(c.Token == "" || c.TokenFile == "", "token_file: given beside token")
	check(c.Prefix != "" && c.Prefix == strings.Trim(c.Prefix, "/"), "prefix: %q, want a path without / at its ends", c.Prefix)
	for _, d := range []struct {
		key       string
		is, least time.Duration
	}{
		{"timeout", c.Timeout, time.Millisecond}, {"wait", c.Wait, time.Second}, {"start_wait", c.StartWait, 0},
		{"hold", c.Hold, 0}, {"check_ttl", c.CheckTTL, time.Second}, {"deregister_after", c.DeregisterAfter, time.Minute},
		{"session_ttl", c.SessionTTL, 10 * time.Second}, {"slot_hold", c.SlotHold, 0}, {"settle", c.Settle, 0},
	} {
		check(d.is >= d.least, "%s: %v, want at least %v", d.key, d.is, d.least)
	}
	check(c.SessionTTL <= 24*time.Hour, "session_ttl: %v, want at most 24h", c.SessionTTL)
	return errors.Join(errs...)
}

func splitScheme(address string) (scheme, host string) {
	if scheme, host, ok := strings.Cut(address, "://"); ok {
		return scheme, host
	}
	return "http", address
}

// ClaimSlot as a Registration's Slot: claim one.
const ClaimSlot = -2

// Registration is what an instance announces.
type Registration struct {
	ID      string // unique within its service, and the same after a restart
	Service string
	Address string // where others reach it: host:port, or unix:/path
	Zone    string
	Meta    map[string]string // such as version, track or weight
	// Incarnation is one life of the process, as its replies tell it.
	Incarnation int64
	// Slot is its number, ClaimSlot, or NoSlot for what has no place in a table.
	Slot int
	// Tell is called, from one goroutine and never after Register has returned,
	// whenever the instance may serve, or must not. It must not block.
	Tell func(Standing)
}

// Standing is whether an instance may serve.
type Standing struct {
	Serving bool
	Slot    int // when serving; NoSlot for those without
	// Confirmed: the slot is locked in Consul. An instance whose Consul is away serves
	// the slot that it remembers, which another may have by now.
	Confirmed bool
}

// registrationID keeps ids readable and safe in paths and URLs.
var registrationID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$`)

// Validate reports everything that is wrong with a registration.
func (r Registration) Validate() error {
	var errs []error
	if !registrationID.MatchString(r.ID) {
		errs = append(errs, fmt.Errorf("id: %q, want up to 128 letters, digits, dots, colons, _ and -", r.ID))
	}
	if !registrationID.MatchString(r.Service) {
		errs = append(errs, fmt.Errorf("service: %q, want up to 128 letters, digits, dots, colons, _ and -", r.Service))
	}
	if r.Slot < ClaimSlot || r.Slot > SlotMax {
		errs = append(errs, fmt.Errorf("slot: %d, want 0 to %d", r.Slot, SlotMax))
	}
	if _, _, err := SplitAddress(r.Address); err != nil {
		errs = append(errs, fmt.Errorf("address: %w", err))
	}
	return errors.Join(errs...)
}
