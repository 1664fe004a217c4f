package secure

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/tools/testenv"
)

func files(c testenv.Cert) Certificate { return Certificate{Cert: c.CertFile, Key: c.KeyFile} }

// shown is the serial number of the certificate that a client gets for name.
func shown(t testing.TB, s *server, name string) string {
	t.Helper()
	c := s.client(t, s.wire(), func(c *tls.Config) { c.ServerName, c.InsecureSkipVerify = name, true })
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func TestNames(t *testing.T) {
	ca := testenv.NewCA(t)
	first, exact := ca.Issue("one.example", "192.0.2.1"), ca.Issue("a.two.example")
	wild, upper := ca.Issue("*.two.example"), ca.Issue("MixED.example")
	s := newServer(t, func(c *Config) {
		c.Certificates = []Certificate{files(first), files(exact), files(wild), files(upper)}
	})
	for name, want := range map[string]testenv.Cert{
		"one.example": first, "a.two.example": exact, "A.Two.Example": exact, "b.two.example": wild,
		"two.example": first, "c.b.two.example": first, "mixed.example": upper,
		"elsewhere": first, "": first, "192.0.2.1": first,
	} {
		if got := shown(t, s, name); got != want.Serial.String() {
			t.Errorf("%q got the certificate %s, want that for %v", name, got, want.CertFile)
		}
	}
}

// reloading is a store with one certificate, and what it logs.
type reloading struct {
	*server
	ca   *testenv.CA
	cert testenv.Cert
	log  *bytes.Buffer
}

func newReloading(t *testing.T) *reloading {
	ca := testenv.NewCA(t)
	r := &reloading{ca: ca, cert: ca.Issue("example.org"), log: &bytes.Buffer{}}
	r.server = newServer(t, func(c *Config) { c.Certificates = []Certificate{files(r.cert)} })
	r.store.log = slog.New(slog.NewTextHandler(r.log, nil))
	return r
}

// look is what Run does at each tick.
func (r *reloading) look(now time.Time) error {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	return r.store.reloadLocked(now, false)
}

func (r *reloading) results(t *testing.T) (ok, failed float64) {
	const name = "holdfast_gateway_tls_reloads_total"
	return value(t, r.reg, name, "ok"), value(t, r.reg, name, "failed")
}

func (r *reloading) expect(t *testing.T, serial string, ok, failed float64) {
	t.Helper()
	if got := shown(t, r.server, "example.org"); got != serial {
		t.Errorf("the certificate %s is shown, want %s", got, serial)
	}
	if gotOK, gotFailed := r.results(t); gotOK != ok || gotFailed != failed {
		t.Errorf("%v reloads, %v failed, want %v and %v; log:\n%s", gotOK, gotFailed, ok, failed, r.log)
	}
}

// TestReload walks through what may happen to the files.
func TestReload(t *testing.T) {
	r := newReloading(t)
	first := r.cert.Serial.String()
	now := time.Now()
	if err := r.look(now); err != nil {
		t.Errorf("nothing changed: %v", err)
	}
	r.expect(t, first, 0, 0)

	next := r.ca.Issue("example.org")
	key, cert := readFile(t, next.KeyFile), readFile(t, next.CertFile)
	writeFile(t, r.cert.KeyFile, key)
	if err := r.look(now); err == nil {
		t.Error("a key beside another's certificate was taken")
	}
	r.expect(t, first, 0, 1)
	_ = r.look(now)
	r.expect(t, first, 0, 1) // the same again is no news
	if n := strings.Count(r.log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings, want 1:\n%s", n, r.log)
	}

	chain := append(bytes.Clone(cert), readFile(t, r.ca.File)...)
	writeFile(t, r.cert.CertFile, chain[:len(cert)+100])
	if err := r.look(now); err == nil || !strings.Contains(err.Error(), "ends within a PEM block") {
		t.Errorf("half a chain: %v, want that it ends within a block", err)
	}
	r.expect(t, first, 0, 2)
	writeFile(t, r.cert.CertFile, chain)
	if err := r.look(now); err != nil {
		t.Errorf("the whole chain: %v", err)
	}
	r.expect(t, next.Serial.String(), 1, 2)

	for _, bad := range [][]byte{nil, []byte("no PEM"), key} {
		writeFile(t, r.cert.CertFile, bad)
		if err := r.store.Reload(); err == nil {
			t.Errorf("%q was taken for a certificate", bad)
		}
	}
	r.expect(t, next.Serial.String(), 1, 5)
	if err := os.Remove(r.cert.CertFile); err != nil {
		t.Fatal(err)
	}
	if err := r.store.Reload(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	writeFile(t, r.cert.CertFile, cert)
	if err := r.store.Reload(); err != nil {
		t.Errorf("back again: %v", err)
	}
	r.expect(t, next.Serial.String(), 2, 6)
	leaf := r.store.served.Load().all[0].Leaf
	if got := value(t, r.reg, "holdfast_gateway_tls_certificate_not_after_seconds", "test"); got != float64(leaf.NotAfter.Unix()) {
		t.Errorf("not_after is %v, want %v", got, leaf.NotAfter.Unix())
	}
}

// TestSameTime replaces a file in place by one of the same size and time, as a
// second write within the file system's tick does.
func TestSameTime(t *testing.T) {
	r := newReloading(t)
	at := time.Now().Truncate(time.Second)
	for _, name := range []string{r.cert.CertFile, r.cert.KeyFile} {
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	_ = r.look(at) // sees what will look the same, freshly written
	if !r.store.pairs[0].seen.fresh {
		t.Error("a file written just now does not count as fresh")
	}
	_ = r.look(at.Add(time.Minute))
	if r.store.pairs[0].seen.fresh {
		t.Error("a file written a minute ago counts as fresh")
	}
}

// TestOneBad keeps the old one of a bad pair and takes the others.
func TestOneBad(t *testing.T) {
	ca := testenv.NewCA(t)
	good, bad := ca.Issue("good.example"), ca.Issue("bad.example")
	s := newServer(t, func(c *Config) { c.Certificates = []Certificate{files(bad), files(good)} })
	oldBad := bad.Serial.String()
	good = ca.IssueTo(good.CertFile, good.KeyFile, "good.example")
	writeFile(t, bad.KeyFile, []byte("nothing"))
	if err := s.store.Reload(); err == nil || !strings.Contains(err.Error(), "certificates[0]") {
		t.Errorf("Reload = %v, want the name of the bad one", err)
	}
	if got := shown(t, s, "good.example"); got != good.Serial.String() {
		t.Error("the good one was not replaced")
	}
	if got := shown(t, s, "bad.example"); got != oldBad {
		t.Error("the bad one was replaced")
	}
}

// TestSymlinkSwap renews a certificate as Kubernetes does: the files are links
// through a link to a folder, and that one is replaced.
func TestSymlinkSwap(t *testing.T) {
	ca := testenv.NewCA(t)
	dir := t.TempDir()
	version := func(name string) testenv.Cert {
		folder := filepath.Join(dir, name)
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		cert := ca.IssueTo(filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key"), "example.org")
		if err := os.Symlink(name, filepath.Join(dir, "..new")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..new"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
		return cert
	}
	version("..1")
	for _, name := range []string{"tls.crt", "tls.key"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	s := newServer(t, func(c *Config) {
		c.Certificates = []Certificate{{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}}
	})
	s.store.every = time.Millisecond
	background(t, s.store.Run)
	for _, name := range []string{"..2", "..3"} {
		want := version(name).Serial.String()
		for deadline := time.Now().Add(time.Minute); shown(t, s, "example.org") != want; {
			if time.Now().After(deadline) {
				t.Fatalf("%s was not noticed", name)
			}
		}
	}
}

// TestSwapsUnderLoad renews the certificate 20 times while clients connect and
// resume: none of them fails, and the last certificate is shown in the end.
func TestSwapsUnderLoad(t *testing.T) {
	r := newReloading(t)
	r.store.log = slog.New(slog.DiscardHandler)
	r.store.every = time.Millisecond
	background(t, r.store.Run)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var clients sync.WaitGroup
	var mu sync.Mutex
	handshakes, failures := 0, 0
	for range 4 {
		clients.Go(func() {
			cache := tls.NewLRUClientSessionCache(1)
			for i := 0; ctx.Err() == nil; i++ {
				cfg := r.ca.Client("example.org")
				if i%2 == 0 {
					cfg.ClientSessionCache = cache
				}
				err := tls.Client(r.wire(), cfg).Handshake()
				mu.Lock()
				if handshakes++; err != nil {
					failures++
					t.Log(err)
				}
				mu.Unlock()
			}
		})
	}
	served := func() string { return r.store.served.Load().all[0].Leaf.SerialNumber.String() }
	const swaps = 20
	for range swaps {
		cert := r.ca.IssueTo(r.cert.CertFile, r.cert.KeyFile, "example.org")
		for deadline := time.Now().Add(time.Minute); served() != cert.Serial.String(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("a new certificate was not noticed")
			}
		}
	}
	cancel()
	clients.Wait()
	testenv.Figure(t, "TLS", "certificate swaps %d, handshakes %d, failures %d", swaps, handshakes, failures)
	if failures > 0 || handshakes == 0 {
		t.Errorf("%d of %d handshakes failed", failures, handshakes)
	}
}

// TestExpired takes an expired certificate at the start, but not for a valid one.
func TestExpired(t *testing.T) {
	r := newReloading(t)
	dir := t.TempDir()
	certPEM, keyPEM, err := signSelf([]string{"example.org"}, time.Now().Add(-2*selfSignedFor))
	if err != nil {
		t.Fatal(err)
	}
	old := Certificate{Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key")}
	writeFile(t, old.Cert, certPEM)
	writeFile(t, old.Key, keyPEM)
	cfg := DefaultConfig()
	cfg.Certificates = []Certificate{old}
	var log bytes.Buffer
	if _, err := NewStore(cfg, slog.New(slog.NewTextHandler(&log, nil)), NewMetrics(prometheus.NewRegistry())); err != nil {
		t.Errorf("NewStore = %v, want that it is served", err)
	}
	if !strings.Contains(log.String(), "tls certificate expires") {
		t.Errorf("no word of it in the log: %s", log.String())
	}
	writeFile(t, r.cert.CertFile, certPEM)
	writeFile(t, r.cert.KeyFile, keyPEM)
	if err := r.store.Reload(); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("Reload = %v, want that it has expired", err)
	}
	r.expect(t, r.cert.Serial.String(), 0, 1)
}

func TestValidate(t *testing.T) {
	if err := (Config{}).Validate(); err != nil {
		t.Errorf("without certificates: %v", err)
	}
	err := Config{Certificates: []Certificate{{}}, MinVersion: "1.1", HandshakeTimeout: time.Hour}.Validate()
	for _, key := range []string{"certificates[0].cert", "certificates[0].key", "min_version", "handshake_timeout"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("Validate = %v, want %s named", err, key)
		}
	}
	cfg := DefaultConfig()
	cfg.Certificates = []Certificate{{Cert: "none", Key: "none"}}
	if _, err := NewStore(cfg, slog.Default(), NewMetrics(prometheus.NewRegistry())); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("NewStore = %v, want that the file is not there", err)
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// writeFile writes in place, as an editor may.
func writeFile(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
