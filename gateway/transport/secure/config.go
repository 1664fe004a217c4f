package secure

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"
)

// Protocols are the ALPN names that are answered, in the order preferred: raw
// frames, and what HTTP/1.1 carries. A client that offers no ALPN is served as
// well, by its first bytes; one that offers only others is refused (RFC 7301).
var Protocols = []string{"holdfast.v1", "http/1.1"}

// HandshakesMax is a good bound for NewHandshakes. A handshake costs about half
// a millisecond of a core and waits for one round trip, so 128 at once saturate
// two cores with clients that are 30 ms away, and their stacks cost 2 MB at most.
const HandshakesMax = 128

// Certificate names the files of a certificate chain and its key, both PEM. They
// may be the same file.
type Certificate struct {
	// Cert is the chain, the server's own certificate first.
	Cert string `koanf:"cert"`
	// Key is its private key.
	Key string `koanf:"key"`
}

// Config is how a listener speaks TLS. Without certificates it does not.
type Config struct {
	// Certificates by what they are for: a client gets the one with the name it
	// asks for (exactly, else by wildcard), else the first.
	Certificates []Certificate `koanf:"certificates"`
	// MinVersion is the oldest version spoken, "1.2" or "1.3".
	MinVersion string `koanf:"min_version"`
	// HandshakeTimeout ends a handshake that takes longer, from the moment the
	// whole ClientHello is there. Until then the listener's own deadline counts.
	HandshakeTimeout time.Duration `koanf:"handshake_timeout"`
	// SessionTickets lets clients that come again shorten the handshake. Their
	// keys change each day and live in this process alone.
	SessionTickets bool `koanf:"session_tickets"`
}

// DefaultConfig has no certificates.
func DefaultConfig() Config {
	return Config{MinVersion: "1.2", HandshakeTimeout: 5 * time.Second, SessionTickets: true}
}

// Enabled reports whether there is a certificate to show.
func (c Config) Enabled() bool { return len(c.Certificates) > 0 }

// versions are the values of MinVersion.
var versions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// Validate reports every setting that cannot work. It does not read the files.
// The rest of a Config without certificates may be left out.
func (c Config) Validate() error {
	if !c.Enabled() {
		return nil
	}
	var errs []error
	for i, cert := range c.Certificates {
		if cert.Cert == "" {
			errs = append(errs, fmt.Errorf("certificates[%d].cert: empty", i))
		}
		if cert.Key == "" {
			errs = append(errs, fmt.Errorf("certificates[%d].key: empty", i))
		}
	}
	if _, ok := versions[c.MinVersion]; !ok {
		errs = append(errs, fmt.Errorf("min_version: %q, want 1.2 or 1.3", c.MinVersion))
	}
	if c.HandshakeTimeout < 100*time.Millisecond || c.HandshakeTimeout > time.Minute {
		errs = append(errs, fmt.Errorf("handshake_timeout: %v, want 100ms to 1m", c.HandshakeTimeout))
	}
	return errors.Join(errs...)
}
