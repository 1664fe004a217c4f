package secure

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

// smallHello keeps a ClientHello at 200 bytes: without the post-quantum share.
func smallHello(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP256} }

func only(version uint16) func(*tls.Config) {
	return func(c *tls.Config) { c.MinVersion, c.MaxVersion = version, version }
}

// echo sends payload and expects it back.
func echo(t testing.TB, c *tls.Conn, payload []byte) {
	t.Helper()
	sent := make(chan error, 1)
	go func() { _, err := c.Write(payload); sent <- err }()
	got := make([]byte, len(payload))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatalf("read the echo of %d bytes: %v", len(payload), err)
	}
	if err := <-sent; err != nil {
		t.Fatalf("write %d bytes: %v", len(payload), err)
	}
	if !bytes.Equal(got, payload) {
		t.Fatalf("the echo of %d bytes differs", len(payload))
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(b) // it never fails
	return b
}

// TestVersions speaks each version and cipher of crypto/tls's list.
func TestVersions(t *testing.T) {
	s := newServer(t, nil)
	for version, name := range map[uint16]string{tls.VersionTLS12: "1.2", tls.VersionTLS13: "1.3"} {
		w := s.wire()
		c := s.client(t, w, only(version))
		echo(t, c, []byte("hello"))
		if got, host, alpn := w.conn.State(); got != name || host != "example.org" || alpn != "" {
			t.Errorf("State() = %q, %q, %q, want %q, example.org and no protocol", got, host, alpn, name)
		}
	}
	for _, suite := range tls.CipherSuites() {
		if suite.SupportedVersions[0] == tls.VersionTLS13 {
			continue // there they cannot be chosen
		}
		cfg := s.config(only(tls.VersionTLS12))
		cfg.CipherSuites = []uint16{suite.ID}
		w := s.wire()
		c := tls.Client(w, cfg)
		if err := c.Handshake(); err != nil {
			continue // it is for RSA keys, or off by default
		}
		echo(t, c, randomBytes(40_000))
	}
}

func TestMinVersion(t *testing.T) {
	s := newServer(t, func(c *Config) { c.MinVersion = "1.3" })
	w := s.wire()
	if err := tls.Client(w, s.config(only(tls.VersionTLS12))).Handshake(); err == nil {
		t.Error("1.2 was spoken with min_version 1.3")
	}
	if err := <-w.over; err == nil {
		t.Error("Established(nil) for a version below the minimum")
	}
	if got := value(t, s.reg, "holdfast_gateway_tls_handshakes_total", "failed"); got != 1 {
		t.Errorf("%v handshakes failed, want 1", got)
	}
	old := s.config(nil)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if err := tls.Client(s.wire(), old).Handshake(); err == nil {
		t.Error("1.1 was spoken")
	}
}

func TestALPN(t *testing.T) {
	s := newServer(t, nil)
	for _, tt := range []struct {
		offers []string
		want   string
		ok     bool
	}{
		{nil, "", true},
		{[]string{"holdfast.v1"}, "holdfast.v1", true},
		{[]string{"http/1.1"}, "http/1.1", true},
		{[]string{"h2", "http/1.1"}, "http/1.1", true},
		{[]string{"http/1.1", "holdfast.v1"}, "holdfast.v1", true},
		{[]string{"h2"}, "", false},
		{[]string{"holdfast.v2", "mqtt"}, "", false},
	} {
		w := s.wire()
		cfg := s.config(nil)
		cfg.NextProtos = tt.offers
		c := tls.Client(w, cfg)
		err := c.Handshake()
		if (err == nil) != tt.ok {
			t.Errorf("offers %v: %v, want ok %v", tt.offers, err, tt.ok)
			continue
		}
		if err != nil {
			var alert tls.AlertError
			if errors.As(err, &alert) && alert != 120 {
				t.Errorf("offers %v: alert %v, want no_application_protocol", tt.offers, alert)
			}
			continue
		}
		if got := c.ConnectionState().NegotiatedProtocol; got != tt.want {
			t.Errorf("offers %v: %q, want %q", tt.offers, got, tt.want)
		}
	}
}

func TestResumption(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, tickets := range []bool{true, false} {
			s := newServer(t, func(c *Config) { c.SessionTickets = tickets })
			cache := tls.NewLRUClientSessionCache(1)
			for i := range 3 {
				c := s.client(t, s.wire(), func(c *tls.Config) { only(version)(c); c.ClientSessionCache = cache })
				echo(t, c, []byte("a ticket comes before this"))
				if got, want := c.ConnectionState().DidResume, tickets && i > 0; got != want {
					t.Errorf("version %x, tickets %v, connection %d: resumed %v, want %v", version, tickets, i, got, want)
				}
			}
			want := map[bool]float64{true: 2, false: 0}[tickets]
			if got := value(t, s.reg, "holdfast_gateway_tls_handshakes_total", "resumed"); got != want {
				t.Errorf("%v resumed handshakes counted, want %v", got, want)
			}
		}
	}
}

// TestEverySplit cuts all that a client sends, once, at each place.
func TestEverySplit(t *testing.T) {
	s := newServer(t, nil)
	payload := []byte("a payload of some bytes")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for at, sent := 1, 2; at < sent; at++ {
			w := s.wire()
			sent = 0
			w.cut = func(n int) int {
				before := sent
				if before < at && at < before+n {
					sent = at
					return at - before
				}
				sent += n
				return n
			}
			c := s.client(t, w, func(c *tls.Config) { only(version)(c); smallHello(c) })
			echo(t, c, payload)
			if err := c.Close(); err != nil || w.err() != io.EOF {
				t.Fatalf("version %x, split at %d: Close() = %v, Feed = %v", version, at, err, w.err())
			}
		}
	}
}

// TestChunks sends large payloads through a client's bytes cut in odd ways.
func TestChunks(t *testing.T) {
	s := newServer(t, nil)
	for name, cut := range map[string]func(int) int{
		"whole": nil,
		"one":   func(int) int { return 1 },
		"seven": func(int) int { return 7 },
		"16389": func(int) int { return 16389 },
		"any":   func(n int) int { return rand.IntN(n) + 1 },
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			w := s.wire()
			w.cut = cut
			c := s.client(t, w, only(version))
			for _, size := range []int{1, 16383, 16384, 16385, 200_000} {
				if name == "one" && size > 20_000 {
					continue // it is the same, slowly
				}
				echo(t, c, randomBytes(size))
			}
		}
	}
}

// TestCloseNotify closes from both sides; what was said before arrives.
func TestCloseNotify(t *testing.T) {
	s := newServer(t, nil)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		var got []byte
		w := s.wire()
		w.take = func(_ *wire, b []byte) { got = append(got, b...) }
		c := s.client(t, w, only(version))
		if _, err := c.Write([]byte("last words")); err != nil {
			t.Fatal(err)
		}
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if string(got) != "last words" || w.err() != io.EOF {
			t.Errorf("the client closed: got %q, %v, want its last words and EOF", got, w.err())
		}
		if err := w.conn.Feed([]byte("more"), w.plain); err != io.EOF {
			t.Errorf("Feed after close_notify = %v, want EOF again", err)
		}

		w = s.wire()
		c = s.client(t, w, only(version))
		echo(t, c, []byte("established on both sides"))
		if err := w.say([]byte("ours")); err != nil {
			t.Fatal(err)
		}
		w.closeNotify()
		if err := w.say([]byte("too late")); err == nil {
			t.Error("Seal after CloseNotify did not fail")
		}
		if b, err := io.ReadAll(c); string(b) != "ours" || err != nil {
			t.Errorf("we closed: the client read %q, %v, want ours and EOF", b, err)
		}
	}
}

// TestOneSegment feeds what a client sends last in its handshake together with
// what it says next, and with its close_notify.
func TestOneSegment(t *testing.T) {
	s := newServer(t, nil)
	var got []byte
	w := s.wire()
	w.take = func(_ *wire, b []byte) { got = append(got, b...) }
	held := &holder{wire: w}
	c := tls.Client(held, s.config(nil))
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("with the handshake")); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(held.rest); err != nil {
		t.Fatal(err)
	}
	if err := <-w.over; err != nil {
		t.Fatal(err)
	}
	if string(got) != "with the handshake" || w.err() != io.EOF {
		t.Errorf("got %q, %v, want what was said and EOF", got, w.err())
	}
}

// holder sends the client's first write and keeps the others.
type holder struct {
	*wire
	begun bool
	rest  []byte
}

func (h *holder) Write(b []byte) (int, error) {
	if h.begun {
		h.rest = append(h.rest, b...)
		return len(b), nil
	}
	h.begun = true
	return h.wire.Write(b)
}

// TestGarbage sends what is no TLS, at once, during and after the handshake.
func TestGarbage(t *testing.T) {
	s := newServer(t, nil)
	w := s.wire()
	if w.feed([]byte("G")); !errors.Is(w.err(), ErrNotTLS) {
		t.Errorf("Feed(G) = %v, want ErrNotTLS", w.err())
	}
	if err := w.conn.Feed([]byte("ET"), nil); !errors.Is(err, ErrNotTLS) {
		t.Errorf("Feed again = %v, want the same", err)
	}

	w = s.wire()
	w.feed(clientHello(t, s.config(nil)))
	w.feed([]byte("GET / HTTP/1.1\r\n\r\n"))
	if err := <-w.over; err == nil {
		t.Error("Established(nil) though garbage came during the handshake")
	}
	if err := w.conn.Feed([]byte("x"), nil); err == nil {
		t.Error("Feed takes more after a handshake that failed")
	}

	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		w = s.wire()
		c := s.client(t, w, only(version))
		echo(t, c, []byte("established"))
		w.feed([]byte("\x17\x03\x03\x00\x20" + "0123456789abcdef0123456789abcdef"))
		if w.err() == nil {
			t.Error("a record that was not sealed by the client was taken")
		}
		if _, err := c.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("the client read %v, want the alert bad_record_mac", err)
		}
		if err := w.say([]byte("x")); err == nil {
			t.Error("Seal after a fatal alert did not fail")
		}
	}
}

// TestBounds sends more than may be kept before the handshake is over.
func TestBounds(t *testing.T) {
	s := newServer(t, nil)
	hello := clientHello(t, s.config(nil))
	for _, before := range []int{len(hello), 0} {
		w := newWire(s.store.TLS(), NewHandshakes(1, s.set.timeout, s.set.metrics)) // no Run: it waits
		if before > 0 {
			w.feed(hello)
			w.feed(make([]byte, cameBytesMax-len(hello)))
			if w.feedErr != nil {
				t.Errorf("64 KiB were refused: %v", w.feedErr)
			}
			w.feed([]byte{0})
		} else {
			w.feedErr = w.conn.Feed(append(bytes.Clone(hello), make([]byte, cameBytesMax)...), nil)
		}
		if !errors.Is(w.feedErr, ErrTooMuch) {
			t.Errorf("Feed = %v, want ErrTooMuch", w.feedErr)
		}
	}
}

// TestAhead lets a client say more, right behind its part of the handshake, than
// TLS itself needs.
func TestAhead(t *testing.T) {
	const ahead = 100 << 10
	s := newServer(t, nil)
	w := newWire(s.store.TLS(), NewHandshakes(1, s.set.timeout, s.set.metrics)) // no Run: it waits
	w.conn.Ahead(ahead)
	hello := clientHello(t, s.config(nil))
	w.feed(hello)
	w.feed(make([]byte, cameBytesMax+ahead-len(hello)))
	if w.feedErr != nil {
		t.Errorf("what Ahead allows is refused: %v", w.feedErr)
	}
	if w.feed([]byte{0}); !errors.Is(w.feedErr, ErrTooMuch) {
		t.Errorf("Feed beyond it = %v, want ErrTooMuch", w.feedErr)
	}
}

func TestSealTooEarly(t *testing.T) {
	s := newServer(t, nil)
	w := s.wire()
	if b, err := w.conn.Seal([]byte("x"), []byte("y")); string(b) != "x" || err != ErrNotEstablished {
		t.Errorf("Seal = %q, %v, want ErrNotEstablished", b, err)
	}
	w.conn.CloseNotify()
	if b := w.conn.Take(nil); len(b) > 0 {
		t.Errorf("Take = %x before anything came", b)
	}
	w.conn.Close()
	if err := w.conn.Feed([]byte{0x16}, nil); err == nil {
		t.Error("Feed after Close did not fail")
	}
}

// TestSeal holds Seal to what it appends: whole records behind dst and nothing
// left for Take; without plaintext only what TLS has to say.
func TestSeal(t *testing.T) {
	s := newServer(t, noTickets)
	w := s.wire()
	in, out := rawClient(t, s, w)
	w.conn.out = outputFunc(func(error) {}) // Take is ours
	if err := w.conn.Feed(out.seal(typeHandshake, keyUpdate(askedForUpdate)), nil); err != nil {
		t.Fatal(err)
	}
	b, err := w.conn.Seal([]byte("before"), nil)
	if err != nil || !bytes.HasPrefix(b, []byte("before")) {
		t.Fatalf("Seal = %x, %v, want it behind what is there", b, err)
	}
	typ, plain, rest, err := in.open(b[len("before"):])
	if err != nil || typ != typeHandshake || !bytes.Equal(plain, keyUpdate(0)) || len(rest) > 0 {
		t.Fatalf("Seal of nothing made type %x, %x, %v and %d bytes more, want a key update", typ, plain, err, len(rest))
	}
	in.update()
	payload := randomBytes(40_000)
	if b, err = w.conn.Seal(nil, payload); err != nil {
		t.Fatal(err)
	}
	var got []byte
	records := 0
	for ; len(b) > 0; records++ {
		if _, plain, b, err = in.open(b); err != nil {
			t.Fatal(err)
		}
		got = append(got, plain...)
	}
	if !bytes.Equal(got, payload) || records != 3 {
		t.Errorf("%d records carry %d bytes, want 40,000 in 3", records, len(got))
	}
	if left := w.conn.Take(nil); len(left) > 0 {
		t.Errorf("%d bytes are left for Take", len(left))
	}
}

// TestOpening gives no plaintext between Established and Feed(nil).
func TestOpening(t *testing.T) {
	s := newServer(t, nil)
	over := make(chan error, 1)
	w := s.wire()
	w.conn.out = &closedDoor{wire: w, over: over}
	var got []byte
	w.take = func(_ *wire, b []byte) { got = append(got, b...) }
	c := tls.Client(w, s.config(nil))
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-over; err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("early")); err != nil {
		t.Fatal(err)
	}
	if len(got) > 0 {
		t.Errorf("%q came before Feed(nil)", got)
	}
	if w.feed(nil); string(got) != "early" {
		t.Errorf("got %q at Feed(nil), want what was kept", got)
	}
}

// closedDoor does not begin to read when the handshake is over.
type closedDoor struct {
	*wire
	over chan error
}

func (d *closedDoor) Established(err error) { d.over <- err }
