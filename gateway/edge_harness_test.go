package gateway_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway"
	"github.com/holdfast-io/holdfast/gateway/transport"
	"github.com/holdfast-io/holdfast/gateway/transport/secure"
	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// The listeners of an edge. Each serves every transport that it can.
const (
	openDoor    = iota // for anybody
	proxiedDoor        // wants a PROXY header from this machine
	unixDoor           // a unix socket, so without TLS
	foreignDoor        // wants a PROXY header from a network that nobody here is in
)

// forwarders is the network whose X-Forwarded-For is believed on proxiedDoor.
const forwarders = "10.9.0.0/16"

// edge is a gateway that listens in every way there is.
type edge struct {
	*running
	cfg   gateway.Config
	doors []net.Addr
	tls   *tls.Config
}

// certificates are made once: of ten gateways none needs its own.
type certificates struct {
	ca   *testenv.CA
	cert testenv.Cert
}

func newCertificates(t *testing.T) certificates {
	ca := testenv.NewCA(t)
	return certificates{ca: ca, cert: ca.Issue("gw.test", "127.0.0.1")}
}

func startEdge(t *testing.T, change ...func(*gateway.Config)) *edge {
	t.Helper()
	certs := newCertificates(t)
	e := &edge{tls: &tls.Config{RootCAs: certs.ca.Pool, ServerName: "gw.test", CurvePreferences: []tls.CurveID{tls.X25519}}}
	listen := func(c *gateway.Config) {
		own := secure.DefaultConfig()
		own.Certificates = []secure.Certificate{{Cert: certs.cert.CertFile, Key: certs.cert.KeyFile}}
		all := transport.ListenerConfig{Transports: transport.Names, Address: "127.0.0.1:0", TLS: own}
		proxied, foreign := all, all
		proxied.Proxy = transport.ProxyConfig{Required: true, Trusted: []string{"127.0.0.1"}}
		proxied.ForwardedFor = []string{forwarders}
		foreign.Proxy = transport.ProxyConfig{Required: true, Trusted: []string{"192.0.2.0/24"}}
		unix := transport.ListenerConfig{
			Transports: []transport.Name{transport.TCP, transport.WS, transport.Poll, transport.SSE},
			Address:    "unix:" + filepath.Join(t.TempDir(), "edge.sock"),
		}
		c.Listeners = []transport.ListenerConfig{openDoor: all, proxiedDoor: proxied, unixDoor: unix, foreignDoor: foreign}
		c.Session.ResumeTTL = time.Minute
	}
	keep := func(c *gateway.Config) { e.cfg = *c }
	e.running = start(t, append(append([]func(*gateway.Config){listen}, change...), keep)...)
	e.doors = e.srv.Addrs()
	return e
}

// approach is how a client comes to the door.
type approach struct {
	door   int
	prefix []byte            // in front of everything, such as a PROXY header
	header map[string]string // of each HTTP request
	query  string            // of the WebSocket handshake and of HELLO's POST
	split  int               // how many bytes go ahead of the rest; 0: all at once
}

// from is an approach through a balancer that names this client.
func from(addr string) approach { return approach{door: proxiedDoor, prefix: proxyV1(addr)} }

func proxyV1(addr string) []byte {
	family, to := "TCP4", "127.0.0.1"
	if netip.MustParseAddr(addr).Is6() {
		family, to = "TCP6", "::1"
	}
	return []byte("PROXY " + family + " " + addr + " " + to + " 40000 443\r\n")
}

// proxyV2 is a header of version 2 with what stands behind the addresses.
func proxyV2(addr string, tlvs []byte) []byte {
	a := netip.MustParseAddr(addr)
	to, family := netip.MustParseAddr("127.0.0.1"), byte(0x11)
	if a.Is6() {
		to, family = netip.IPv6Loopback(), 0x21
	}
	body := append(append(a.AsSlice(), to.AsSlice()...), 0x9C, 0x40, 0x01, 0xBB)
	return proxyV2Raw(0x21, family, append(body, tlvs...))
}

func proxyV2Raw(command, family byte, body []byte) []byte {
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), command, family)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(body))), body...)
}

// tlv is one value of a header of version 2.
func tlv(kind byte, value []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(value))), value...)
}

// dialDoor connects and says the prefix.
func (e *edge) dialDoor(a approach) (net.Conn, error) {
	addr := e.doors[a.door]
	c, err := net.DialTimeout(addr.Network(), addr.String(), deadline)
	if err != nil {
		return nil, err
	}
	if a.split > 0 {
		return &splitConn{Conn: c, at: a.split, first: bytes.Clone(a.prefix)}, nil
	}
	if len(a.prefix) > 0 {
		if _, err := c.Write(a.prefix); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// splitConn sends its first bytes in two pieces.
type splitConn struct {
	net.Conn
	at    int
	first []byte // goes in front of the first Write
}

// splitPause is long enough for the gateway to read one piece before the other
// comes. When it is not, the test tests less and fails nothing.
const splitPause = 2 * time.Millisecond

func (s *splitConn) Write(b []byte) (int, error) {
	if s.at == 0 {
		return s.Conn.Write(b)
	}
	all := append(s.first, b...)
	at := min(s.at, len(all))
	s.at, s.first = 0, nil
	if _, err := s.Conn.Write(all[:at]); err != nil {
		return 0, err
	}
	time.Sleep(splitPause)
	if _, err := s.Conn.Write(all[at:]); err != nil {
		return 0, err
	}
	return len(b), nil
}

// kind is the form in which frames travel.
type kind int

const (
	kindStream kind = iota
	kindBinary      // WebSocket, subprotocol holdfast.v1
	kindText        // WebSocket, subprotocol holdfast.v1.json
	kindPoll
	kindSSE
)

// way is one way to speak to a gateway.
type way struct {
	name string
	kind kind
	tls  bool
	unix bool
}

// http reports whether frames are calls.
func (w way) http() bool { return w.kind >= kindPoll }

// ws reports whether frames are messages.
func (w way) ws() bool { return w.kind == kindBinary || w.kind == kindText }

// via is what the backend is told at the login. A stream begins with a POST.
func (w way) via() string {
	name := []string{"tcp", "ws", "ws", "poll", "poll"}[w.kind]
	if !w.tls {
		return name
	}
	return map[string]string{"tcp": "tls", "ws": "wss", "poll": "polls"}[name]
}

// ways are all of them.
var ways = []way{
	{"tcp", kindStream, false, false}, {"tls", kindStream, true, false}, {"unix", kindStream, false, true},
	{"ws", kindBinary, false, false}, {"wss", kindBinary, true, false}, {"unix ws", kindBinary, false, true},
	{"ws json", kindText, false, false}, {"wss json", kindText, true, false},
	{"poll", kindPoll, false, false}, {"polls", kindPoll, true, false}, {"unix poll", kindPoll, false, true},
	{"sse", kindSSE, false, false}, {"sses", kindSSE, true, false}, {"unix sse", kindSSE, false, true},
}

// visitor is somebody at the door, or beyond. Its methods fail the test when the
// gateway does not answer at all.
type visitor interface {
	// say sends frames. What the gateway makes of them is heard.
	say(frames ...wire.Frame)
	// sayBody sends what may be no frame: the bytes of one, or the JSON.
	sayBody(binary []byte, json string)
	// hear returns the next frame, or ok false when nothing follows: then end tells
	// why.
	hear() (f wire.Frame, ok bool)
	end() ending
	// cut goes away without a word.
	cut()
}

// ending is how a gateway has said that it is over.
type ending struct {
	code   wire.CloseCode // 0: it has not said so
	status int            // of the HTTP answer that refused; 0: none has
	ws     uint16         // of the WebSocket close frame; 0: none came
	waits  bool           // the client was told to wait: GOAWAY before WELCOME, or Retry-After
	header http.Header    // of the refusal
}

// approachBy is a with the door that w needs.
func (w way) approachBy(a approach) approach {
	if w.unix {
		a.door = unixDoor
	}
	return a
}

// come connects by w. Nothing of the protocol has been said then.
func (e *edge) come(t *testing.T, w way, a approach) visitor {
	t.Helper()
	a = w.approachBy(a)
	if w.http() {
		return newHTTPClient(t, e, w, a)
	}
	c, err := e.dialWay(w, a)
	if err != nil {
		t.Fatalf("%s: %v", w.name, err)
	}
	t.Cleanup(func() { c.Close() })
	if w.ws() {
		return newWSClient(t, c, w.kind == kindText, a)
	}
	return &streamClient{t: t, c: c}
}

// dialWay connects and shakes hands where w wants TLS.
func (e *edge) dialWay(w way, a approach) (net.Conn, error) {
	c, err := e.dialDoor(a)
	if err != nil || !w.tls {
		return c, err
	}
	_ = c.SetDeadline(time.Now().Add(deadline))
	s := tls.Client(c, e.tls)
	if err := s.Handshake(); err != nil {
		c.Close()
		return nil, err
	}
	return s, nil
}

// login comes by w, says HELLO with token and wants WELCOME.
func (e *edge) loginBy(t *testing.T, w way, a approach, token string) (visitor, wire.Welcome) {
	t.Helper()
	c := e.come(t, w, a)
	c.say(hello(token))
	return c, wantWelcome(t, c)
}

func wantWelcome(t *testing.T, c visitor) wire.Welcome {
	t.Helper()
	f, ok := c.hear()
	if !ok || f.Type != wire.TypeWelcome {
		t.Fatalf("came %s %s %+v, want WELCOME", f.Type, describe(f), c.end())
	}
	w, err := wire.ParseWelcome(f.Payload)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// rest hears until nothing follows, or until WELCOME: then more would follow than
// a test that asks for the end can wait for.
func rest(c visitor) (frames []wire.Frame, how ending) {
	for {
		f, ok := c.hear()
		if !ok {
			return frames, c.end()
		}
		frames = append(frames, f)
		if f.Type == wire.TypeWelcome {
			return frames, c.end()
		}
	}
}

// wantEnd hears until nothing follows and wants this code.
func wantEnd(t *testing.T, c visitor, code wire.CloseCode) (frames []wire.Frame, how ending) {
	t.Helper()
	frames, how = rest(c)
	if how.code != code {
		t.Errorf("ended with %+v after %s, want %d %s", how, types(frames), code, code)
	}
	return frames, how
}

func types(frames []wire.Frame) (s string) {
	for _, f := range frames {
		s += "[" + f.Type.String() + "]"
	}
	return s
}

// wantReply says a request and wants its answer.
func wantReply(t *testing.T, c visitor, id uint32, command, payload, want string) {
	t.Helper()
	c.say(request(id, command, payload))
	f, ok := c.hear()
	if !ok || f.Type != wire.TypeReply || f.ID != id || string(f.Payload) != want {
		t.Errorf("request %d: came %s %s %+v, want the reply %q", id, f.Type, describe(f), c.end(), want)
	}
}

// each runs fn for every way.
func each(t *testing.T, fn func(t *testing.T, w way)) {
	t.Helper()
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) { fn(t, w) })
	}
}

// metric is the value of a counter or gauge; label is the value of its label, ""
// for the sum of all.
func (e *edge) metric(name, label string) (sum float64) {
	e.t.Helper()
	families, err := e.reg.Gather()
	if err != nil {
		e.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if label == "" || (len(m.GetLabel()) > 0 && m.GetLabel()[0].GetValue() == label) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
		return sum
	}
	e.t.Fatalf("no metric %s", name)
	return 0
}
