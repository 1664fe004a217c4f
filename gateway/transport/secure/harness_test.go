package secure

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/tools/testenv"
)

// server is what the connections of a test share.
type server struct {
	ca    *testenv.CA
	store *Store
	set   *Handshakes
	reg   *prometheus.Registry
}

// newServer serves certificates for "example.org" with cfg, without its files.
func newServer(t testing.TB, change func(*Config)) *server {
	t.Helper()
	ca := testenv.NewCA(t)
	cert := ca.Issue("example.org")
	cfg := DefaultConfig()
	cfg.HandshakeTimeout = time.Minute // machines are slow
	cfg.Certificates = []Certificate{{Cert: cert.CertFile, Key: cert.KeyFile}}
	if change != nil {
		change(&cfg)
	}
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	store, err := NewStore(cfg, slog.New(slog.DiscardHandler), m.Listener("test"))
	if err != nil {
		t.Fatal(err)
	}
	s := &server{ca: ca, store: store, set: NewHandshakes(HandshakesMax, cfg.HandshakeTimeout, m), reg: reg}
	background(t, s.set.Run)
	return s
}

// background runs what blocks until the test is over.
func background(t testing.TB, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
}

// value is one series of a registry, by its name and the value of its label.
func value(t testing.TB, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() != name || label != "" && m.GetLabel()[0].GetValue() != label {
				continue
			}
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Fatalf("no series %s{%s}", name, label)
	return 0
}

// wire is a connection between a client, for which it is a net.Conn, and a Conn,
// which it owns as the transport does. It has no goroutine: what the client
// writes is fed by the client.
type wire struct {
	conn *Conn
	cut  func(n int) int         // how many of n bytes to feed at once; nil: all
	take func(w *wire, b []byte) // what to do with plaintext; nil: echo
	tap  func(b []byte)          // gets what the client writes, instead of the Conn

	readMu  sync.Mutex
	feedErr error
	writeMu sync.Mutex // held around Seal and Take, and while what they gave is sent
	over    chan error // what Established was told

	mu     sync.Mutex
	cond   *sync.Cond
	inbox  []byte // for the client
	closed bool
}

func (s *server) wire() *wire {
	return newWire(s.store.TLS(), s.set)
}

func newWire(cfg *tls.Config, set *Handshakes) *wire {
	w := &wire{over: make(chan error, 1)}
	w.cond = sync.NewCond(&w.mu)
	w.conn = NewConn(cfg, set, w)
	return w
}

// client shakes hands over w, on both sides.
func (s *server) client(t testing.TB, w *wire, change func(*tls.Config)) *tls.Conn {
	t.Helper()
	c := tls.Client(w, s.config(change))
	if err := c.Handshake(); err != nil {
		t.Fatalf("client: %v", err)
	}
	if err := <-w.over; err != nil { // with 1.3 the client is done before we are
		t.Fatalf("Established(%v)", err)
	}
	return c
}

func (s *server) config(change func(*tls.Config)) *tls.Config {
	cfg := s.ca.Client("example.org")
	if change != nil {
		change(cfg)
	}
	return cfg
}

func (w *wire) Pending() {
	w.writeMu.Lock()
	defer w.writeMu.Unlock()
	w.send(w.conn.Take(nil))
}

func (w *wire) Established(err error) {
	if err == nil {
		w.feed(nil)
	} else {
		w.hangUp()
	}
	w.over <- err
}

// feed gives b to TLS, as the poller would.
func (w *wire) feed(b []byte) {
	w.readMu.Lock()
	defer w.readMu.Unlock()
	if err := w.conn.Feed(b, w.plain); err != nil && w.feedErr == nil {
		w.feedErr = err
		if err == io.EOF {
			w.closeNotify()
		}
		w.hangUp()
	}
}

func (w *wire) plain(b []byte) {
	if w.take != nil {
		w.take(w, b)
		return
	}
	_ = w.say(b) // the client is gone
}

// say sends plaintext to the client.
func (w *wire) say(b []byte) error {
	w.writeMu.Lock()
	defer w.writeMu.Unlock()
	sealed, err := w.conn.Seal(nil, b)
	w.send(sealed)
	return err
}

func (w *wire) closeNotify() {
	w.conn.CloseNotify()
	w.Pending()
}

func (w *wire) send(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inbox = append(w.inbox, b...)
	w.cond.Broadcast()
}

func (w *wire) hangUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.cond.Broadcast()
}

func (w *wire) err() error {
	w.readMu.Lock()
	defer w.readMu.Unlock()
	return w.feedErr
}

// Read is the client's.
func (w *wire) Read(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.inbox) == 0 {
		if w.closed {
			return 0, io.EOF
		}
		w.cond.Wait()
	}
	n := copy(p, w.inbox)
	w.inbox = w.inbox[n:]
	return n, nil
}

// Write is the client's.
func (w *wire) Write(b []byte) (int, error) {
	if w.tap != nil {
		w.tap(b)
		return len(b), nil
	}
	for rest := b; len(rest) > 0; {
		n := len(rest)
		if w.cut != nil {
			n = min(n, max(1, w.cut(n)))
		}
		own := append([]byte(nil), rest[:n]...)
		w.feed(own)
		clear(own) // whoever still looks at it is found out
		rest = rest[n:]
	}
	return len(b), nil
}

func (w *wire) Close() error                     { w.hangUp(); return nil }
func (w *wire) LocalAddr() net.Addr              { return nil }
func (w *wire) RemoteAddr() net.Addr             { return nil }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// clientHello is what a client says first.
func clientHello(t testing.TB, cfg *tls.Config) []byte {
	t.Helper()
	rec := &recorder{}
	_ = tls.Client(rec, cfg).Handshake() // it gets no answer
	if len(rec.b) == 0 {
		t.Fatal("the client said nothing")
	}
	return rec.b
}

type recorder struct {
	net.Conn
	b []byte
}

func (r *recorder) Write(b []byte) (int, error)      { r.b = append(r.b, b...); return len(b), nil }
func (r *recorder) Read([]byte) (int, error)         { return 0, io.EOF }
func (r *recorder) Close() error                     { return nil }
func (r *recorder) SetWriteDeadline(time.Time) error { return nil }

func tlsHandshake(s *server, cfg *tls.Config) error { return tls.Client(s.wire(), cfg).Handshake() }
