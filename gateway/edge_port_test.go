package gateway_test

import (
	"bytes"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway"
	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// onOnePort are the ways that one address serves.
func onOnePort() (all []way) {
	for _, w := range ways {
		if !w.unix {
			all = append(all, w)
		}
	}
	return all
}

// TestOnePort: all transports on one address at the same time, and nobody gets
// what is another's.
func TestOnePort(t *testing.T) {
	const each, rounds = 4, 10
	e := startEdge(t)
	var wg sync.WaitGroup
	for _, w := range onOnePort() {
		for i := range each {
			wg.Go(func() {
				c, _ := e.loginBy(t, w, approach{}, fmt.Sprint(w.name, i))
				for id := uint32(1); id <= rounds; id++ {
					mine := fmt.Sprintf(`"%s %d %d %s"`, w.name, i, id, strings.Repeat("x", int(id)*300))
					wantReply(t, c, id, "echo.say", mine, mine)
				}
			})
		}
	}
	wg.Wait()
}

// TestCutAnywhere: the first 64 bytes of a connection may come in any two pieces,
// whatever is spoken, with and without a PROXY header in front.
func TestCutAnywhere(t *testing.T) {
	const first = 64
	e := startEdge(t)
	type try struct {
		w  way
		a  approach
		at int
	}
	tries := make(chan try)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for one := range tries {
				one.a.split = one.at
				c, err := e.dialWay(one.w, one.a)
				if err != nil {
					t.Errorf("%s cut at %d: %v", one.w.name, one.at, err)
					continue
				}
				if got := hailed(t, c, one.w); !got {
					t.Errorf("%s with %.12q in front, cut at %d: not served", one.w.name, one.a.prefix, one.at)
				}
				c.Close()
			}
		})
	}
	for at := 1; at <= first; at++ {
		for i, prefix := range [][]byte{nil, proxyV1("198.51.100.7"), proxyV2("2001:db8::1", tlv(0x04, make([]byte, 9)))} {
			a := approach{prefix: prefix}
			if prefix != nil {
				a.door = proxiedDoor
			}
			for _, w := range []way{ways[0], ways[3], ways[6], ways[8]} {
				tries <- try{w: w, a: a, at: at}
			}
			if at%3 == i { // handshakes are dear
				tries <- try{w: ways[1+at%2*3], a: a, at: at}
			}
		}
	}
	close(tries)
	wg.Wait()
	eventually(t, "all logins were judged", func() bool { return len(e.disp.asked()) > 0 })
}

// hailed says HELLO on c and reports whether WELCOME came.
func hailed(t *testing.T, c net.Conn, w way) bool {
	switch {
	case w.http():
		body := `{"protocol":1,"token":"u"}`
		_, _ = fmt.Fprintf(c, "POST /v1/poll HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
		_ = c.SetReadDeadline(time.Now().Add(deadline))
		var all bytes.Buffer
		_, _ = all.ReadFrom(c)
		return strings.HasPrefix(all.String(), "HTTP/1.1 200 ") && strings.Contains(all.String(), `"type":"welcome"`)
	case w.ws():
		ws := newWSClient(t, c, w.kind == kindText, approach{})
		ws.say(hello("u"))
		f, ok := ws.hear()
		return ok && f.Type == wire.TypeWelcome
	default:
		s := &streamClient{t: t, c: c}
		s.say(hello("u"))
		f, ok := s.hear()
		return ok && f.Type == wire.TypeWelcome
	}
}

// TestIdleTakesNoGoroutine: 1,000 idle connections on WebSocket, the same over
// TLS, waiting polls, streams and frames, and some on each other transport, take
// no goroutine between them.
func TestIdleTakesNoGoroutine(t *testing.T) {
	const each = 1000
	e := startEdge(t, func(c *gateway.Config) { c.Poll.Wait = time.Minute; c.Session.HelloTimeout = time.Minute })
	e.loginBy(t, ways[0], approach{}, "u") // what begins with the first connection has begun
	idle := []struct {
		w way
		n int
	}{{ways[0], each}, {ways[1], each / 5}, {ways[3], each}, {ways[4], each}, {ways[8], each}, {ways[11], each}, {ways[9], each / 5}, {ways[12], each / 5}}
	before, total := runtime.NumGoroutine(), 0
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for _, one := range idle {
		conns = append(conns, e.idle(t, one.w, one.n)...)
		total += one.n
	}
	eventually(t, "every session is there", func() bool { return e.srv.Sessions() == int64(total)+1 })
	eventually(t, "every call waits", func() bool { return e.metric("holdfast_gateway_poll_calls_open", "") == 2*each+2*each/5 })
	var after int
	eventually(t, "no goroutine is left of the handshakes", func() bool {
		after = runtime.NumGoroutine()
		return after <= before+4 // the pools of net and Kitex breathe
	})
	testenv.Figure(t, "P20", "%d idle connections on %d transports (waiting polls and streams too): %d goroutines before, %d with them", total, len(idle), before, after)
}

// idle opens n connections that are logged in and wait.
func (e *edge) idle(t *testing.T, w way, n int) []net.Conn {
	conns := make([]net.Conn, n)
	next := make(chan int)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range next {
				c, err := e.dialWay(w, approach{})
				if err != nil {
					t.Errorf("%s: %v", w.name, err)
					continue
				}
				conns[i] = c
				e.settle(t, w, c)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	return conns
}

// settle logs in on c and leaves it waiting.
func (e *edge) settle(t *testing.T, w way, c net.Conn) {
	if !w.http() {
		if !hailed(t, c, w) {
			t.Errorf("%s: not served", w.name)
		}
		return
	}
	body := `{"protocol":1,"token":"u"}`
	_, _ = fmt.Fprintf(c, "POST /v1/poll HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	_ = c.SetReadDeadline(time.Now().Add(deadline))
	buf := make([]byte, 2<<10)
	got := ""
	for !strings.HasSuffix(got, "}") {
		n, err := c.Read(buf)
		if err != nil {
			t.Errorf("%s: %q %v", w.name, got, err)
			return
		}
		got += string(buf[:n])
	}
	_, object, _ := strings.Cut(got, "\r\n\r\n")
	welcome, err := wire.ParseWelcome([]byte(object))
	if err != nil {
		t.Errorf("%s: %q %v", w.name, got, err)
		return
	}
	path := "/v1/poll?seq=0"
	if w.kind == kindSSE {
		path = "/v1/events"
	}
	_, _ = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s.%s\r\n\r\n", path, welcome.Session, welcome.Secret)
	if w.kind == kindSSE {
		if n, err := c.Read(buf); err != nil || !strings.HasPrefix(string(buf[:n]), "HTTP/1.1 200 ") {
			t.Errorf("%s: %q %v", w.name, buf[:n], err)
		}
	}
}
