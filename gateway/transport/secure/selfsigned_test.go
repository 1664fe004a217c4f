package secure

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestSelfSigned makes a certificate that a client who trusts it takes, and
// uses it again while it is good.
func TestSelfSigned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	hosts := []string{"localhost", "127.0.0.1", "::1", "localhost"}
	pair, err := SelfSigned(dir, hosts)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(pair.Key)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode is %v, %v, want 0600", info.Mode(), err)
	}
	s := newServer(t, func(c *Config) { c.Certificates = []Certificate{pair} })
	s.ca.Pool = x509.NewCertPool()
	if !s.ca.Pool.AppendCertsFromPEM(readFile(t, pair.Cert)) {
		t.Fatal("no certificate in the file")
	}
	for _, host := range []string{"localhost", "127.0.0.1", "::1"} {
		cfg := s.ca.Client(host)
		if err := tlsHandshake(s, cfg); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("%v in the folder, %v, want two files", entries, err)
	}

	was := string(readFile(t, pair.Cert))
	again := func() bool {
		t.Helper()
		if _, err := SelfSigned(dir, hosts); err != nil {
			t.Fatal(err)
		}
		now := string(readFile(t, pair.Cert))
		same := now == was
		was = now
		return same
	}
	if !again() {
		t.Error("made anew though nothing changed")
	}
	hosts = append(hosts, "example.org")
	if again() {
		t.Error("used for other hosts")
	}
	if err := os.Chmod(pair.Key, 0o644); err != nil {
		t.Fatal(err)
	}
	if again() {
		t.Error("used with a key that others can read")
	}
	writeFile(t, pair.Key, readFile(t, pair.Key)[:100])
	if again() {
		t.Error("used with half a key")
	}
	if usable(pair, hosts, time.Now().Add(selfSignedFor-selfSignedLeft)) || !usable(pair, hosts, time.Now()) {
		t.Error("used until it is about to expire, or not at all")
	}
	if _, err := SelfSigned(dir, nil); err == nil {
		t.Error("made for no hosts")
	}
}
