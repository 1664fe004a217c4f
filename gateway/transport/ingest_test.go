package transport

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// script is a connection without a poller: bytes are given to ingest, what comes of
// them is noted. Its socket is one end of a pair, so that writing is real.
type script struct {
	t      testing.TB
	c      *Conn
	peer   int
	events []string // frames, refusals and calls, in order
	said   []byte   // what the client reads
	held   bool
	buf    [4 << 10]byte
}

// newScript accepts a connection on l.
func newScript(t testing.TB, l *Listener, from string) *script {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &script{t: t, peer: fds[1]}
	s.c = &Conn{listener: l, limits: l.Limits(), fd: fds[0], remote: netip.MustParseAddrPort(from), openedAt: 1, framing: rawFraming{}}
	l.verdict.Store(&verdict{})
	l.remember(s.c)
	s.c.SetReceiver(newcomer{s.c})
	l.welcome(s.c)
	scripts[s.c] = s
	return s
}

// scripts are those under way, by connection: Accept and Serve are the listener's.
var scripts = map[*Conn]*script{}

// end closes the connection.
func (s *script) end() {
	_ = s.c.gone(nil) // it has no error to tell
	delete(scripts, s.c)
	for _, fd := range []int{s.c.fd, s.peer} {
		if err := unix.Close(fd); err != nil {
			s.t.Fatal(err)
		}
	}
}

// feed gives b to the connection as one read.
func (s *script) feed(b []byte) {
	s.c.ingest(slices.Clone(b)) // it may change what it is given
	s.c.Flush()
	for {
		n, err := unix.Read(s.peer, s.buf[:])
		if n <= 0 || err != nil {
			return
		}
		s.said = append(s.said, s.buf[:n]...)
	}
}

// release lets a held login through.
func (s *script) release() {
	if s.held {
		s.held = false
		s.c.Release()
		s.feed(nil)
	}
}

func (s *script) note(format string, a ...any) {
	s.events = append(s.events, fmt.Sprintf(format, a...))
}

// Receive implements Receiver. HELLO is judged later, as by a backend; what is no
// HELLO first is refused.
func (s *script) Receive(f wire.Frame) {
	s.note("%s id=%d seq=%d %q %q code=%d", f.Type, f.ID, f.Seq, f.Command, f.Payload, f.Code)
	switch {
	case f.Type == wire.TypeHello:
		s.held = true
		s.c.Hold()
	case f.Type == wire.TypeClose:
		s.c.CloseWith(wire.CloseNormal, "")
	case f.Type == wire.TypePing:
		s.c.Queue(wire.Frame{Type: wire.TypePong, Payload: f.Payload})
	}
}

func (s *script) Refuse(err *wire.ProtocolError) {
	s.note("refused %d %s", err.Code, err.Message)
	s.c.CloseWith(err.Code, err.Message)
}
func (s *script) Closed()            {}
func (s *script) Expire(int64) int64 { return 0 }

// serveScript answers HTTP calls: WebSockets are upgraded, others told what they
// asked.
func serveScript(k *Call) {
	r := k.Request()
	scripts[k.h.c].note("%s %s?%s %q %s", r.Method, r.Path, r.RawQuery, r.Body, k.RemoteIP())
	switch r.Path {
	case "/v1/ws":
		k.Upgrade()
	case "/v1/events":
		if k.Stream() {
			k.Event([]byte(": here\n\n"))
			k.End()
		}
	default:
		k.Answer(200, 0, []byte("[]"))
	}
}

// scriptListeners are a listener that speaks everything in plain, and one behind a
// balancer.
func scriptListeners(t testing.TB) (edge, proxied *Listener) {
	deps := testDeps()
	deps.Accept = func(c *Conn) Receiver { return scripts[c] }
	deps.Serve = serveScript
	limits := *deps.Limits()
	limits.FrameBytesMax = 4 << 10 // so that short inputs reach every bound
	deps.Limits = func() *Limits { return &limits }
	all := []Name{TCP, WS, Poll, SSE}
	for _, cfg := range []ListenerConfig{
		{Transports: all, Address: "127.0.0.1:0", ForwardedFor: []string{"192.0.2.0/24"}},
		{Transports: all, Address: "127.0.0.1:0", Proxy: ProxyConfig{Required: true, Trusted: []string{"127.0.0.0/8"}}},
	} {
		l, err := Listen(cfg, deps)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.Close)
		edge, proxied = proxied, l
	}
	return edge, proxied
}

// outcome is what becomes of pieces that come one after another.
type outcome struct {
	events  []string
	said    string
	closing bool
}

// retainedMax is what a connection may keep of what it was sent.
const retainedMax = 4<<10 + heldBytesMax

func play(t testing.TB, l *Listener, pieces [][]byte) outcome {
	s := newScript(t, l, "127.0.0.1:9")
	defer s.end()
	for _, b := range pieces {
		s.feed(b)
		if n := len(s.c.partial); n > retainedMax {
			t.Fatalf("%d bytes are kept, want at most %d", n, retainedMax)
		}
	}
	s.release()
	for range 3 { // what waited for the answer before it
		if h, ok := s.c.Receiver().(*httpConn); ok {
			h.readOn()
			s.feed(nil)
		}
	}
	s.release()
	// Who sends the body along has not waited to be told to.
	said := strings.ReplaceAll(string(s.said), "HTTP/1.1 100 Continue\r\n\r\n", "")
	return outcome{s.events, said, s.c.Closing()}
}

// cutUp cuts b at random.
func cutUp(rnd *rand.Rand, b []byte) (pieces [][]byte) {
	for len(b) > 0 {
		n := 1 + rnd.IntN(len(b))
		if rnd.IntN(3) > 0 {
			n = min(n, 1+rnd.IntN(8))
		}
		pieces, b = append(pieces, b[:n]), b[n:]
	}
	return pieces
}

// singleBytesMax is up to where an input is also given byte by byte.
const singleBytesMax = 1 << 10

// checkIngest plays in whole, byte by byte and cut at random: it makes no
// difference.
func checkIngest(t testing.TB, l *Listener, in []byte, seed uint64) outcome {
	want := play(t, l, [][]byte{in})
	rnd := rand.New(rand.NewPCG(seed, 0))
	for how, pieces := range map[string][][]byte{"byte by byte": slices.Collect(slices.Chunk(in, 1+len(in)/singleBytesMax)), "at random": cutUp(rnd, in)} {
		got := play(t, l, pieces)
		if !slices.Equal(got.events, want.events) || got.said != want.said || got.closing != want.closing {
			t.Fatalf("%.300q\ncut %s is %.600q\nwhole         %.600q\nsaid %.300q\nwhole %.300q\nclosing %t, whole %t",
				in, how, got.events, want.events, got.said, want.said, got.closing, want.closing)
		}
	}
	return want
}

// FuzzIngest holds the whole way of bytes from a read to frames and calls, through
// PROXY, the first byte, HTTP and WebSocket: it never panics, what it keeps is
// bounded, and how the bytes are cut makes no difference to anything.
func FuzzIngest(f *testing.F) {
	edge, proxied := scriptListeners(f)
	for i, in := range ingestSeeds() {
		f.Add([]byte(in), i%2 == 0, uint64(i))
		f.Add([]byte("PROXY TCP4 203.0.113.9 192.0.2.1 1 2\r\n"+in), true, uint64(i))
	}
	f.Fuzz(func(t *testing.T, in []byte, balanced bool, seed uint64) {
		l := edge
		if balanced {
			l = proxied
		}
		if len(in) > 0 && in[0] == 0x16 { // TLS is package secure's
			return
		}
		checkIngest(t, l, in, seed)
	})
}

// ingestSeeds are conversations, right and wrong.
func ingestSeeds() []string {
	frames := func(frames ...wire.Frame) string {
		var b []byte
		for i := range frames {
			b, _ = wire.AppendStream(b, &frames[i])
		}
		return string(b)
	}
	hello := wire.Frame{Type: wire.TypeHello, Payload: []byte(`{"protocol":1,"token":"a"}`)}
	request := wire.Frame{Type: wire.TypeRequest, ID: 1, Command: []byte("echo.say"), Payload: []byte("hi")}
	ping := wire.Frame{Type: wire.TypePing, Payload: []byte("12345678")}
	end := wire.Frame{Type: wire.TypeClose, Code: wire.CloseNormal}
	long := wire.Frame{Type: wire.TypeRequest, ID: 2, Command: []byte("c"), Payload: make([]byte, 4000)}
	upgrade := "GET /v1/ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: holdfast.v1\r\n\r\n"
	message := func(first byte, payload string) string {
		head := []byte{first, 0x80 | byte(min(len(payload), 126))}
		if len(payload) >= 126 {
			head = binary.BigEndian.AppendUint16(head, uint16(len(payload)))
		}
		return string(append(head, 0, 0, 0, 0)) + payload
	}
	poll := "GET /v1/poll?seq=0 HTTP/1.1\r\nHost: h\r\n\r\n"
	post := "POST /v1/poll HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"
	return []string{
		frames(hello, request, ping, request, end, request),
		frames(request, hello, hello), frames(hello, long, long, ping), frames(hello) + "\x00\x00\x00\x00" + frames(ping),
		frames(ping, ping, end), frames(ping) + "\xff\xff\xff\xff", "\x00\x10\x00\x00\x01", "\x80\x00\x00\x00", "\x01",
		frames(hello) + strings.Repeat(frames(long), 20), // more than may be sent ahead
		upgrade + message(0x82, frames(hello)[4:]) + message(0x82, frames(request)[4:]) + message(0x89, "ping") + message(0x88, "\x03\xe8"),
		upgrade + message(0x02, frames(ping)[4:9]) + message(0x89, "in between") + message(0x80, frames(ping)[9:]),
		upgrade + message(0xc2, "compressed"), upgrade + message(0x81, "text"), upgrade + "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		upgrade + message(0x82, frames(long)[4:]) + message(0x82, ""), upgrade + message(0x88, "\x03\xe8\xff"),
		poll, poll + poll + post + poll, post + upgrade + message(0x82, frames(ping)[4:]),
		"GET /v1/events HTTP/1.1\r\nHost: h\r\n\r\n" + poll, "HEAD / HTTP/1.0\r\n\r\n", "P", "PR", "PROXX", "PROPFIND / HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST /v1/poll HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n" + poll,
		"POST /v1/poll HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n8000000000000000\r\n",
		"POST /v1/poll HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775808\r\n\r\n", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"POST /v1/poll HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n{}" + poll,
		"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", headBytesMax) + "\r\n\r\n",
		"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00" + frames(hello), "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x00\x01\x00\x02" + frames(hello, ping),
		"\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff", "PROXY UNKNOWN\r\n" + frames(hello), "PROXY TCP4 1.1.1.1\r\n" + frames(hello), "PROXY " + strings.Repeat("x", 200),
	}
}

// TestIngestMutations does a little of what the fuzz target does, on every run, and
// sees that the inputs reach what they are to reach.
func TestIngestMutations(t *testing.T) {
	edge, proxied := scriptListeners(t)
	seeds := ingestSeeds()
	rnd := rand.New(rand.NewPCG(5, 6))
	seen := map[string]int{}
	for round := range 1500 {
		in := []byte(seeds[rnd.IntN(len(seeds))])
		for range rnd.IntN(3) {
			i := rnd.IntN(len(in))
			switch rnd.IntN(4) {
			case 0:
				in[i] ^= 1 << rnd.IntN(8)
			case 1:
				in = append(in[:i:i], in[i+1:]...)
			case 2:
				in = append(in[:i:i], append([]byte(seeds[rnd.IntN(len(seeds))]), in[i:]...)...)
			default:
				in = in[:i+1]
			}
			if len(in) == 0 {
				in = []byte{0}
			}
		}
		if in[0] == 0x16 {
			continue
		}
		l := edge
		if rnd.IntN(2) == 0 {
			l, in = proxied, append([]byte("PROXY TCP4 203.0.113.9 192.0.2.1 1 2\r\n"), in...)
		}
		for _, e := range checkIngest(t, l, in, uint64(round)).events {
			what, _, _ := strings.Cut(e, " ")
			seen[what]++
		}
	}
	for _, what := range []string{"hello", "request", "ping", "close", "refused", "GET", "POST"} {
		if seen[what] < 20 {
			t.Errorf("%q came %d times: the test sees too little; %v", what, seen[what], seen)
		}
	}
}

// TestNothingAfterAbort has a client that may not speak, or whose PROXY header is
// malformed, send HELLO nevertheless. The kernel takes it in after the connection
// was shut, so it is read; nobody hears of it.
func TestNothingAfterAbort(t *testing.T) {
	edge, proxied := scriptListeners(t)
	hello, err := wire.AppendStream(nil, &wire.Frame{Type: wire.TypeHello, Payload: []byte(`{"protocol":1,"token":"a"}`)})
	if err != nil {
		t.Fatal(err)
	}
	poll := []byte("GET /v1/poll HTTP/1.1\r\nHost: h\r\n\r\n")
	header := []byte("PROXY TCP4 203.0.113.9 192.0.2.1 1 2\r\n")
	for _, tt := range []struct {
		name   string
		l      *Listener
		from   string
		pieces [][]byte
	}{
		{"an untrusted source", proxied, "198.51.100.7:1", [][]byte{hello}},
		{"an untrusted source with a header", proxied, "198.51.100.7:1", [][]byte{header, hello}},
		{"no header, then one", proxied, "127.0.0.1:1", [][]byte{hello, header, hello}},
		{"a malformed header, then a good one", proxied, "127.0.0.1:1", [][]byte{[]byte("PROXY TCP9 1\r\n"), header, poll}},
		{"LOCAL, then HELLO", proxied, "127.0.0.1:1", [][]byte{[]byte("\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"), {0}, hello}},
	} {
		s := newScript(t, tt.l, tt.from)
		for _, b := range tt.pieces {
			s.feed(b)
		}
		if len(s.events) > 0 || len(s.said) > 0 {
			t.Errorf("%s: %q came of it, and %q was said; want nothing", tt.name, s.events, s.said)
		}
		s.end()
	}
	s := newScript(t, edge, "127.0.0.1:1")
	defer s.end()
	s.feed(hello)
	s.c.Abort()
	s.release()
	if s.feed(bytes.Repeat(hello, 2)); len(s.events) != 1 {
		t.Errorf("after Abort: %q, want the one HELLO before", s.events)
	}
}
