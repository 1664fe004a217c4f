package proof

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// The promise about inbound floods (P11).
const (
	floodRetained = 64<<10 + 64<<10 // max_frame, and what may be sent ahead
	floodClients  = 100
	floodCut      = 5 * time.Second
	// floodOwn is what a connection costs besides; on TLS its state and the record
	// that is not whole yet come on top.
	floodOwn, floodOwnTLS = 8 << 10, 48 << 10
)

// flood is a way to send more than anybody takes: first something that has to
// wait, for a backend that does not answer, then as much as the socket takes.
type flood struct {
	name   string
	begin  func(net.Conn) (net.Conn, error)
	first  func(n int64) []byte
	second []byte
}

func floods(g *target) []flood {
	plain := func(c net.Conn) (net.Conn, error) { return c, nil }
	frames := bytes.Repeat(stream(request(1, "echo.say", make([]byte, 8<<10))), 8)
	user := func(n int64) []byte { return hello(fmt.Sprint("flood-", n)) }
	return []flood{
		{"tcp", plain, user, frames},
		{"tls", func(c net.Conn) (net.Conn, error) {
			encrypted := tls.Client(c, g.tls)
			return encrypted, encrypted.Handshake()
		}, user, frames},
		{"ws", func(c net.Conn) (net.Conn, error) {
			_, err := becomeWebSocket(c, "")
			return c, err
		}, func(n int64) []byte {
			return wsFrame(wsBinary, bare(&wire.Frame{Type: wire.TypeHello, Payload: fmt.Appendf(nil, `{"protocol":1,"token":"ws-%d"}`, n)}))
		}, bytes.Repeat(wsFrame(wsBinary, bare(request(1, "echo.say", make([]byte, 8<<10)))), 8)},
		{"http", plain, func(n int64) []byte {
			return httpCall("POST /v1/poll", "", fmt.Sprintf(`{"protocol":1,"token":"http-%d"}`, n))
		}, bytes.Repeat(httpCall("GET /v1/poll?seq=0", "X-Filler: "+string(bytes.Repeat([]byte("f"), 4<<10))+"\r\n", ""), 16)},
	}
}

// httpCall is a request with more header fields and a body.
func httpCall(line, more, body string) []byte {
	return fmt.Appendf(nil, "%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n%s\r\n%s", line, len(body), more, body)
}

// TestInboundFlood has 100 clients on each transport send at line rate while their
// login is not judged. What is kept for each is bounded, and one that sends more is
// cut.
func TestInboundFlood(t *testing.T) {
	for i := range floods(nil) {
		t.Run(floods(nil)[i].name, func(t *testing.T) {
			g := deploy(t, options{}) // each its own: a backend that hangs twice is not asked a third time
			f := floods(g)[i]
			if err := g.echo.Cmd.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			retained := g.retains(t, f)
			took, sent := g.cuts(t, f)
			testenv.Figure(t, "P11", "%s: %d bytes retained of a client that has sent as much as it may; %d clients at line rate were cut after %v at most, after %d KiB each, those in both kernels' buffers included",
				f.name, retained, floodClients, took.Round(time.Millisecond), sent>>10)
			own := floodOwn
			if f.name == "tls" {
				own = floodOwnTLS
			}
			if retained > floodRetained+own || retained < floodRetained/2 {
				t.Errorf("%d bytes retained, want at most %d and %d of the connection's own, and most of it: else they were not held", retained, floodRetained, own)
			}
			if took > floodCut {
				t.Errorf("cut after %v, want %v at most", took, floodCut)
			}
		})
	}
}

// retains is how much live memory each of many clients costs that have sent almost
// as much as they may.
func (g *target) retains(t *testing.T, f flood) int {
	before := g.live()
	var users atomic.Int64
	crowd := gather(t, floodClients, g.edge, func(raw net.Conn) error {
		conn, err := f.begin(raw)
		if err != nil {
			return err
		}
		if _, err := conn.Write(f.first(users.Add(1))); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond) // TLS takes no more than 64 KiB before its own last word is read
		_, err = conn.Write(bytes.Repeat(f.second, 2)[:floodRetained-1<<10])
		return err
	})
	after := g.live()
	for last := 0; after > last+1<<10*floodClients; { // the gateway is reading
		time.Sleep(200 * time.Millisecond)
		last, after = after, g.live()
	}
	if n := crowd.left(); n != len(crowd) {
		t.Errorf("%d of %d clients were cut that had sent no more than they may", len(crowd)-n, len(crowd))
	}
	crowd.disperse()
	crowd.disperse()
	return (after - before) / len(crowd)
}

// cuts is how long clients at line rate last, and what each sent meanwhile.
func (g *target) cuts(t *testing.T, f flood) (longest time.Duration, each int64) {
	var users, sent atomic.Int64
	var mu sync.Mutex
	crowd := gather(t, floodClients, g.edge, func(raw net.Conn) error {
		_ = raw.(*net.TCPConn).SetWriteBuffer(16 << 10) // what lies here has not been sent
		conn, err := f.begin(raw)
		if err != nil {
			return err
		}
		began := time.Now()
		_, err = conn.Write(f.first(1000 + users.Add(1)))
		for err == nil {
			var n int
			n, err = conn.Write(f.second)
			sent.Add(int64(n))
			if time.Since(began) > patience/2 {
				return fmt.Errorf("not cut after %v", time.Since(began))
			}
		}
		mu.Lock()
		longest = max(longest, time.Since(began))
		mu.Unlock()
		return nil
	})
	crowd.disperse()
	return longest, sent.Load() / floodClients
}

// liveBytes is what a heap profile says of the last collection.
var liveBytes = regexp.MustCompile(`(?m)^# HeapAlloc = (\d+)$`)

// live is the gateway's heap after a collection.
func (g *target) live() int {
	g.t.Helper()
	var n int
	for range 2 { // pools are emptied by the second
		text, err := g.get("/debug/pprof/heap?gc=1&debug=1")
		if err != nil {
			g.t.Fatal(err)
		}
		m := liveBytes.FindStringSubmatch(text)
		if m == nil {
			g.t.Fatal("no HeapAlloc in the heap profile")
		}
		if n, err = strconv.Atoi(m[1]); err != nil {
			g.t.Fatal(err)
		}
	}
	return n
}
