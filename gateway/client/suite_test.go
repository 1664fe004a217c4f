package client_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/client"
)

// patience bounds every wait of these tests. It is long because the machine may
// be loaded; a test that passes never comes near it.
const patience = 60 * time.Second

// transports are all that the SDK speaks; json is ws with text messages.
var transports = []string{"tcp", "tls", "ws", "wss", "json", "poll", "polls"}

// served is a gateway as the suite needs it.
type served struct {
	plain, secure string         // host:port of its ports, without and with TLS
	roots         *x509.CertPool // whom to trust for the latter
	cut           func()         // breaks every connection
	forget        func()         // ends every session without a word
	stop          func()         // has it drain and end
}

// config is what a test of one transport begins with.
func (s served) config(transport string) client.Config {
	cfg := client.Config{
		Token:   "1001",
		TLS:     &tls.Config{RootCAs: s.roots},
		Backoff: client.Backoff{Base: 5 * time.Millisecond, Max: 50 * time.Millisecond},
	}
	switch transport {
	case "json":
		cfg.JSON = true
		cfg.Endpoints = []string{"ws://" + s.plain}
	case "tls", "wss", "polls":
		cfg.Endpoints = []string{transport + "://" + s.secure}
	default:
		cfg.Endpoints = []string{transport + "://" + s.plain}
	}
	return cfg
}

// serveTinies is the suite's gateway in this package.
func serveTinies(t *testing.T) (served, *tiny, *tiny) {
	certificate, roots := selfSigned(t)
	plain, secure := startTiny(), startTinyWith(&tls.Config{Certificates: []tls.Certificate{certificate}})
	t.Cleanup(plain.stop)
	t.Cleanup(secure.stop)
	both := func(f func(*tiny)) func() { return func() { f(plain); f(secure) } }
	return served{
		plain: plain.addr(), secure: secure.addr(), roots: roots,
		cut: both((*tiny).cut), forget: both((*tiny).forget),
	}, plain, secure
}

// selfSigned makes a certificate for 127.0.0.1 and gw.test.
func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"gw.test"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// TestSuite runs the same tests over every transport.
func TestSuite(t *testing.T) {
	s, _, _ := serveTinies(t)
	runSuite(t, s)
}

// runSuite holds every transport of a gateway to what an application relies on.
func runSuite(t *testing.T, s served) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Run("requests", func(t *testing.T) { suiteRequests(t, s, transport) })
			t.Run("pushes", func(t *testing.T) { suitePushes(t, s, transport) })
			t.Run("resume", func(t *testing.T) { suiteResume(t, s, transport) })
			t.Run("fresh", func(t *testing.T) { suiteFresh(t, s, transport) })
			t.Run("close", func(t *testing.T) { suiteClose(t, s, transport) })
		})
	}
}

// life records what OnState is told.
type life struct {
	mu      sync.Mutex
	changes []client.Change
	changed chan struct{} // cap 1
}

func newLife() *life { return &life{changed: make(chan struct{}, 1)} }

func (l *life) tell(ch client.Change) {
	l.mu.Lock()
	l.changes = append(l.changes, ch)
	l.mu.Unlock()
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

func (l *life) count(state client.State) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ch := range l.changes {
		if ch.State == state {
			n++
		}
	}
	return n
}

// await waits until the state was there n times.
func (l *life) await(t *testing.T, state client.State, n int) {
	t.Helper()
	for end := time.After(patience); l.count(state) < n; {
		select {
		case <-l.changed:
		case <-end:
			t.Fatalf("never %s %d times; life so far: %v", state, n, l)
		}
	}
}

func (l *life) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b bytes.Buffer
	for _, ch := range l.changes {
		fmt.Fprintf(&b, "%s %s (%v), ", ch.State, ch.Endpoint, ch.Err)
	}
	return b.String()
}

// connect dials and closes with the test.
func connect(t *testing.T, cfg client.Config) (*client.Client, *life) {
	t.Helper()
	told := newLife()
	cfg.OnState = told.tell
	c, err := client.Dial(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Dial(%v) = %v", cfg.Endpoints, err)
	}
	t.Cleanup(func() { c.Close() })
	return c, told
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// suiteRequests: payloads of any bytes and size come back, many at a time.
func suiteRequests(t *testing.T, s served, transport string) {
	cfg := s.config(transport)
	cfg.OnPush = client.Discard
	c, _ := connect(t, cfg)
	ctx := within(t)
	var callers sync.WaitGroup
	for i, payload := range [][]byte{
		nil, []byte("x"), []byte(`{"a":[1,2,{"b":null}]}`), []byte("not JSON \xff\x00\n"), bytes.Repeat([]byte{0, 0xff}, 60),
		bytes.Repeat([]byte("ab"), 5000), bytes.Repeat([]byte{0x80}, 40_000),
	} {
		callers.Go(func() {
			for range 5 {
				got, err := c.Request(ctx, "echo.say", payload)
				if err != nil || !bytes.Equal(got, payload) {
					t.Errorf("payload %d: %d bytes, %v, want the %d that were sent", i, len(got), err, len(payload))
				}
			}
		})
	}
	callers.Wait()
	if _, err := c.Request(ctx, "echo.say", make([]byte, 2<<20)); !client.NotRun(err) {
		t.Errorf("request above max_frame = %v, want ErrNotSent", err)
	}
}

// pushed asks for pushes and returns their payloads as they came.
func pushed(ctx context.Context, t *testing.T, c *client.Client, from, n int) (got []string) {
	t.Helper()
	var asking sync.WaitGroup
	asking.Go(func() {
		for i := from; i < from+n; i++ {
			if _, err := c.Request(ctx, "echo.push", fmt.Append(nil, i)); err != nil {
				t.Errorf("push %d: %v", i, err)
			}
		}
	})
	defer asking.Wait()
	for p := range c.Pushes(ctx) {
		if got = append(got, string(p.Payload)); len(got) == n {
			break
		}
	}
	return got
}

func numbers(from, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint(from+i))
	}
	return all
}

func suitePushes(t *testing.T, s served, transport string) {
	c, _ := connect(t, s.config(transport))
	const n = 100
	if got := pushed(within(t), t, c, 0, n); !slices.Equal(got, numbers(0, n)) {
		t.Errorf("pushes %v, want 0 to %d in order", got, n-1)
	}
}

// suiteResume: after a cut the session is the same, requests in flight are
// answered, and pushes go on where they were.
func suiteResume(t *testing.T, s served, transport string) {
	c, told := connect(t, s.config(transport))
	ctx := within(t)
	before := c.Session()
	if got := pushed(ctx, t, c, 0, 40); !slices.Equal(got, numbers(0, 40)) {
		t.Fatalf("pushes before the cut: %v", got)
	}
	s.cut()
	got := pushed(ctx, t, c, 40, 40)
	if !slices.Equal(got, numbers(40, 40)) {
		t.Errorf("pushes after the cut: %v, want 40 to 79", got)
	}
	// Long poll may have lived through the cut: its next call goes over
	// another HTTP connection.
	if transport != "poll" && transport != "polls" {
		told.await(t, client.StateResumed, 1)
	}
	after := c.Session()
	if after.ID != before.ID || told.count(client.StateConnected) != 1 {
		t.Errorf("session %q after %q, want the same; life: %v", after.ID, before.ID, told)
	}
}

// suiteFresh: a session that the gateway does not have any more is replaced.
func suiteFresh(t *testing.T, s served, transport string) {
	if s.forget == nil {
		t.Skip("this gateway does not forget sessions by itself")
	}
	cfg := s.config(transport)
	cfg.OnPush = client.Discard
	c, told := connect(t, cfg)
	before := c.Session()
	s.forget()
	s.cut()
	told.await(t, client.StateConnected, 2)
	if got, err := c.Request(within(t), "echo.say", []byte("x")); err != nil || string(got) != "x" {
		t.Errorf("request in the new session = %q, %v", got, err)
	}
	if c.Session().Resumed || told.count(client.StateResumed) != 0 {
		t.Errorf("resumed %q after it was forgotten (%q); life: %v", c.Session().ID, before.ID, told)
	}
}

// suiteClose: what is in flight at Close has an unknown outcome, and Close ends.
func suiteClose(t *testing.T, s served, transport string) {
	cfg := s.config(transport)
	cfg.OnPush = client.Discard
	c, _ := connect(t, cfg)
	never := make(chan error, 1)
	go func() {
		_, err := c.Request(within(t), "echo.never", nil)
		never <- err
	}()
	if _, err := c.Request(within(t), "echo.say", nil); err != nil {
		t.Error(err)
	}
	c.Close()
	if err := <-never; !errors.Is(err, client.ErrOutcomeUnknown) && !errors.Is(err, client.ErrNotSent) {
		t.Errorf("in flight at Close: %v, want ErrOutcomeUnknown", err)
	}
	if !errors.Is(c.Err(), client.ErrClosed) {
		t.Errorf("Err() = %v, want ErrClosed", c.Err())
	}
}
