package gateway_test

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway"
	"github.com/holdfast-io/holdfast/gateway/admission"
	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// wantAddress wants the backend to have been asked once, about a client of addr.
func wantAddress(t *testing.T, e *edge, addr string) {
	t.Helper()
	asked := e.disp.asked()
	if len(asked) != 1 || asked[0].ClientIP != addr {
		t.Errorf("the backend was asked %+v, want once and about %s", asked, addr)
	}
}

// TestProxyHeader: the client's address is what a trusted balancer says, in either
// version, on every transport, in front of TLS and of what is in that.
func TestProxyHeader(t *testing.T) {
	e := startEdge(t)
	each(t, func(t *testing.T, w way) {
		own := "127.0.0.1"
		if w.unix {
			own = ""
		}
		e.loginBy(t, w, approach{}, "u")
		wantAddress(t, e, own)
		if w.unix {
			return
		}
		noise := tlv(0x02, []byte("gw.test"))
		noise = append(noise, tlv(0x04, make([]byte, 1000))...)
		noise = append(noise, tlv(0x05, []byte("unique"))...)
		noise = append(noise, tlv(0xEE, []byte("of nobody's"))...)
		for addr, prefix := range map[string][]byte{
			"198.51.100.7": proxyV1("198.51.100.7"),
			"2001:db8::7":  proxyV1("2001:db8::7"),
			"198.51.100.8": proxyV2("198.51.100.8", nil),
			"2001:db8::8":  proxyV2("2001:db8::8", noise),
			"192.0.2.1":    proxyV2("::ffff:192.0.2.1", nil), // one client, however it is written
		} {
			e.loginBy(t, w, approach{door: proxiedDoor, prefix: prefix}, "u")
			wantAddress(t, e, addr)
		}
	})
}

// forged is a way to claim an address that must not be believed.
type forged struct {
	name string
	a    approach
	code wire.CloseCode // what tcp is told; 0: nothing, since nobody knows how
}

func forgeries() []forged {
	header := proxyV1("198.51.100.7")
	long := proxyV2("198.51.100.7", bytes.Repeat(tlv(0xEE, make([]byte, 4093)), 15))
	long = append(long, tlv(0xEE, make([]byte, 4093-15))...)[:16+0xFFFF-12]
	long[14], long[15] = 0xFF, 0xFF
	lies := proxyV2("198.51.100.7", tlv(0x04, nil))
	lies[len(lies)-1] = 9 // a value longer than the header
	return []forged{
		{"where none is expected, version 1", approach{prefix: header}, 4500},
		{"where none is expected, version 2", approach{prefix: proxyV2("198.51.100.7", nil)}, 4500},
		{"from an untrusted source", approach{door: foreignDoor, prefix: header}, 0},
		{"missing from an untrusted source", approach{door: foreignDoor}, 0},
		{"missing", approach{door: proxiedDoor}, 0},
		{"LOCAL and then a client", approach{door: proxiedDoor, prefix: proxyV2Raw(0x20, 0, nil)}, 0},
		{"LOCAL with an address", approach{door: proxiedDoor, prefix: proxyV2Raw(0x20, 0x11, make([]byte, 12))}, 0},
		{"UNKNOWN and then a client", approach{door: proxiedDoor, prefix: []byte("PROXY UNKNOWN\r\n")}, 0},
		{"UNKNOWN with an address", approach{door: proxiedDoor, prefix: []byte("PROXY UNKNOWN 198.51.100.7 127.0.0.1 1 2\r\n")}, 0},
		{"64 KiB of values", approach{door: proxiedDoor, prefix: long}, 0},
		{"a value beyond the header", approach{door: proxiedDoor, prefix: lies}, 0},
		{"a long line", approach{door: proxiedDoor, prefix: []byte("PROXY TCP4 " + strings.Repeat("1", 200) + "\r\n")}, 0},
		{"no address", approach{door: proxiedDoor, prefix: []byte("PROXY TCP4 evil 127.0.0.1 1 2\r\n")}, 0},
		{"the other family", approach{door: proxiedDoor, prefix: []byte("PROXY TCP6 198.51.100.7 127.0.0.1 1 2\r\n")}, 0},
		{"a bare line feed", approach{door: proxiedDoor, prefix: []byte("PROXY TCP4 198.51.100.7 127.0.0.1 1 2\n")}, 0},
		{"version 3", approach{door: proxiedDoor, prefix: proxyV2Raw(0x31, 0x11, make([]byte, 12))}, 0},
		{"a family of datagrams", approach{door: proxiedDoor, prefix: proxyV2Raw(0x21, 0x12, make([]byte, 12))}, 0},
		{"twice", approach{door: proxiedDoor, prefix: append(bytes.Clone(header), header...)}, 4500},
		{"truncated", approach{door: proxiedDoor, prefix: header[:10]}, 0},
	}
}

// TestForgedAddress (P24): nobody who lies about his address reaches the backend.
func TestForgedAddress(t *testing.T) {
	e := startEdge(t, func(c *gateway.Config) { c.Limits.ProxyTimeout = 300 * time.Millisecond })
	tried := 0
	for _, w := range []way{ways[0], ways[1], ways[3], ways[4], ways[8], ways[9], ways[11], ways[12]} {
		for _, f := range forgeries() {
			tried++
			t.Run(w.name+" "+f.name, func(t *testing.T) {
				defer func() {
					if asked := e.disp.asked(); len(asked) != 0 {
						t.Errorf("the backend was asked %+v", asked)
					}
				}()
				c, err := e.dialWay(w, f.a)
				if err != nil { // TLS got no answer
					return
				}
				defer c.Close()
				if w.ws() || w.http() {
					_, _ = c.Write([]byte("POST /v1/poll HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 26\r\n\r\n" + `{"protocol":1,"token":"u"}`))
					_ = c.SetReadDeadline(time.Now().Add(deadline))
					buf := make([]byte, 4<<10)
					n, err := c.Read(buf)
					if isTimeout(err) || bytes.Contains(buf[:n], []byte("200 OK")) {
						t.Errorf("came %.60q %v", buf[:n], err)
					}
					return
				}
				s := &streamClient{t: t, c: c}
				s.say(hello("u"))
				wantEnd(t, s, f.code)
			})
		}
	}
	eventually(t, "all are gone", func() bool { return openConnections(t, e.reg) == 0 })
	if asked := e.disp.asked(); len(asked) != 0 || e.srv.Sessions() != 0 {
		t.Errorf("the backend was asked %+v", asked)
	}
	for outcome, want := range map[string]bool{"untrusted": true, "refused": true, "local": true} {
		if got := e.metric("holdfast_gateway_proxy_headers_total", outcome) > 0; got != want {
			t.Errorf("proxy headers %s are counted: %v", outcome, got)
		}
	}
	testenv.Figure(t, "P24", "%d connections in %d ways of lying about the address: none reached the backend", tried, len(forgeries()))
}

// TestProxyDeadline: who begins a header and does not end it is cut at the deadline,
// whatever it has sent of it, and so is who sends none.
func TestProxyDeadline(t *testing.T) {
	e := startEdge(t, func(c *gateway.Config) { c.Limits.ProxyTimeout = 200 * time.Millisecond })
	whole := proxyV2("198.51.100.7", tlv(0xEE, make([]byte, 3000)))
	var conns []net.Conn
	for _, b := range [][]byte{nil, []byte("P"), proxyV1("198.51.100.7")[:20], whole[:1], whole[:15], whole[:len(whole)-1]} {
		c, err := e.dialDoor(approach{door: proxiedDoor, prefix: b})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	for i, c := range conns {
		_ = c.SetReadDeadline(time.Now().Add(deadline))
		if n, err := c.Read(make([]byte, 100)); n != 0 || isTimeout(err) {
			t.Errorf("header %d: came %d bytes and %v, want the end", i, n, err)
		}
	}
	eventually(t, "all are gone", func() bool { return openConnections(t, e.reg) == 0 })
	if nothing, little := e.metric("holdfast_gateway_vanished_connections_total", "nothing"), e.metric("holdfast_gateway_vanished_connections_total", "too_little"); nothing != 1 || little != 5 {
		t.Errorf("%v sent nothing and %v too little, want 1 and 5", nothing, little)
	}
}

// atStart is how the lines begin that a gateway logs when it begins to run.
var atStart = []string{"listening", "open connections are bounded", "no memory limit", "memory limit"}

// TestHealthChecks: a balancer that looks whether somebody is there leaves no line
// in the log and no count of an error.
func TestHealthChecks(t *testing.T) {
	e := startEdge(t)
	eventually(t, "it runs", func() bool { return e.srv.Ready() == nil })
	e.loginBy(t, ways[0], approach{}, "u")
	before := openConnections(t, e.reg)
	for range 20 {
		for _, a := range []approach{
			{}, {door: unixDoor}, {door: proxiedDoor},
			{door: proxiedDoor, prefix: proxyV2Raw(0x20, 0, nil)},
			{door: proxiedDoor, prefix: proxyV2Raw(0x20, 0x11, make([]byte, 12))},
			{door: proxiedDoor, prefix: []byte("PROXY UNKNOWN\r\n")},
			{door: proxiedDoor, prefix: proxyV1("10.0.0.1")},
			{door: foreignDoor},
		} {
			c, err := e.dialDoor(a)
			if err != nil {
				continue // the untrusted one may be cut already
			}
			c.Close()
		}
	}
	eventually(t, "all are gone", func() bool { return openConnections(t, e.reg) == before })
	for _, line := range e.logs.take() {
		if !strings.Contains(line, "tls certificate expires") && !slices.ContainsFunc(atStart, func(s string) bool { return strings.HasPrefix(line, "INFO "+s) }) {
			t.Errorf("health checks are in the log: %q", line)
		}
	}
	for _, name := range []string{"holdfast_gateway_closes_total", "holdfast_gateway_vanished_connections_total", "holdfast_gateway_handshake_refusals_total"} {
		if n := e.metric(name, ""); n != 0 {
			t.Errorf("%s = %v after health checks, want 0", name, n)
		}
	}
	if n := e.metric("holdfast_gateway_proxy_headers_total", "refused"); n != 0 {
		t.Errorf("%v PROXY headers were refused", n)
	}
}

// TestForwardedFor: the header counts from proxies that are trusted, and the last
// address in it that is not one of them is the client's.
func TestForwardedFor(t *testing.T) {
	e := startEdge(t)
	for _, w := range ways {
		if !carriesHeader(w) {
			continue
		}
		for _, tt := range []struct{ from, header, want string }{
			{"10.9.1.1", "198.51.100.7", "198.51.100.7"},
			{"10.9.1.1", "203.0.113.1, 198.51.100.7", "198.51.100.7"},
			{"10.9.1.1", "203.0.113.1, 198.51.100.7, 10.9.2.2", "198.51.100.7"},
			{"10.9.1.1", "198.51.100.7, nonsense", "10.9.1.1"},
			{"10.9.1.1", "2001:db8::5", "2001:db8::5"},
			{"10.9.1.1", "10.9.3.3", "10.9.3.3"},
			{"10.10.1.1", "198.51.100.7", "10.10.1.1"}, // not a proxy of ours
			{"198.51.100.1", "10.9.1.1", "198.51.100.1"},
		} {
			a := from(tt.from)
			a.header = map[string]string{"X-Forwarded-For": tt.header, "X-Real-Ip": "1.2.3.4", "Forwarded": "for=1.2.3.4"}
			e.loginBy(t, w, a, "u")
			wantAddress(t, e, tt.want)
		}
	}
}

// TestLimitBehindBalancer (P23): one address opens 2,000 connections through the
// balancer, and so does one /64 of IPv6: no more than its limit stays, whoever is
// told is told 4011 (429 on HTTP), and others do not notice.
func TestLimitBehindBalancer(t *testing.T) {
	const limit, tries = 256, 2000
	e := startEdge(t, func(c *gateway.Config) {
		c.Admission.ConnectionsPerAddress = admission.Count{Max: limit}
	})
	block := netip.MustParsePrefix("2001:db8:1:2::/64").Addr().As16()
	for name, addr := range map[string]func(i int) string{
		"one address": func(int) string { return "198.51.100.66" },
		"one /64": func(i int) string {
			b := block
			b[8], b[13], b[14], b[15] = byte(i*7), byte(i>>3), byte(i>>8), byte(i)
			return netip.AddrFrom16(b).String()
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := flood(t, e, tries, addr)
			for i := range 20 { // while the flood holds its places
				c, _ := e.loginBy(t, ways[[]int{0, 3, 6, 8}[i%4]], from(fmt.Sprintf("203.0.113.%d", i)), "other")
				wantReply(t, c, 1, "echo.say", `1`, `1`)
				c.cut()
			}
			if n := f.stayed.Load(); n > limit || n < limit*9/10 {
				t.Errorf("%d of %d stay, want at most and about %d", n, tries, limit)
			}
			if f.wrong.Load() > 0 {
				t.Errorf("%d were told something else than 4011: %v", f.wrong.Load(), f.what.Load())
			}
			if f.told.Load() == 0 {
				t.Error("nobody was told why")
			}
			testenv.Figure(t, "P23", "%d connections of %s behind the balancer, limit %d: %d stay, %d were told 4011 or 429, %d were cut; 20 of 20 others served",
				tries, name, limit, f.stayed.Load(), f.told.Load(), f.cut.Load())
			f.end()
		})
	}
	eventually(t, "the places are free again", func() bool {
		c := e.come(t, ways[0], from("198.51.100.66"))
		c.say(hello("u"))
		f, _ := c.hear()
		c.cut()
		return f.Type == wire.TypeWelcome
	})
}

// flooding is how many of a flood came in.
type flooding struct {
	stayed, told, cut, wrong atomic.Int64
	what                     atomic.Value
	mu                       sync.Mutex
	in                       []visitor
}

// flood opens connections, a few at a time, most of them streams of frames, and
// leaves those open that are let in.
func flood(t *testing.T, e *edge, n int, addr func(i int) string) *flooding {
	f := &flooding{}
	var wg sync.WaitGroup
	next := atomic.Int64{}
	for range 16 {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				f.one(t, e, i, addr(i))
			}
		})
	}
	wg.Wait()
	return f
}

func (f *flooding) one(t *testing.T, e *edge, i int, addr string) {
	w := ways[map[int]int{1: 3, 2: 8, 3: 6}[i%10]] // tcp but for a few
	conn, err := e.dialWay(w, from(addr))
	if err != nil {
		f.cut.Add(1)
		return
	}
	var c visitor
	switch {
	case w.ws():
		c = newWSClient(t, conn, w.kind == kindText, approach{})
	case w.http():
		conn.Close()
		c = newHTTPClient(t, e, w, from(addr))
	default:
		c = &streamClient{t: t, c: conn}
	}
	c.say(hello("flood"))
	if frame, ok := c.hear(); ok && frame.Type == wire.TypeWelcome {
		f.stayed.Add(1)
		f.mu.Lock()
		f.in = append(f.in, c)
		f.mu.Unlock()
		return
	}
	switch _, how := rest(c); {
	case how.code == 4011 && how.waits && (!w.http() || how.status == 429):
		f.told.Add(1)
	case how.code == 0 && how.status == 0:
		f.cut.Add(1)
	default:
		f.wrong.Add(1)
		f.what.Store(how)
	}
	c.cut()
}

func (f *flooding) end() {
	for _, c := range f.in {
		c.cut()
	}
}
