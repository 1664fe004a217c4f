package proof

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// noiseWindow is how long a noisy crowd makes noise.
const noiseWindow = 2 * time.Second

// noise is something allowed that is cheap to say and has to be answered.
type noise struct {
	name  string
	begin func(net.Conn) error
	text  []byte
	reads bool // what it is answered
	again bool // comes back when it is cut
}

func noises() []noise {
	var users atomic.Int64
	logged := func(conn net.Conn) error {
		_, err := login(conn, fmt.Sprint("noise-", users.Add(1)))
		return err
	}
	ping := repeat(stream(&wire.Frame{Type: wire.TypePing, Payload: []byte("12345678")}), 4000)
	wsPings := repeat(wsFrame(wsPing, []byte("12345678")), 4000)
	tiny := repeat([]byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), 500)
	none := func(net.Conn) error { return nil }
	return []noise{
		{"PING", logged, ping, true, false},
		{"PING, never reading", logged, ping, false, false},
		{"WebSocket ping", webSocketWelcomed(), wsPings, true, false},
		{"WebSocket ping, never reading", webSocketWelcomed(), wsPings, false, false},
		{"WebSocket ping before HELLO", ws, wsPings, true, false},
		{"tiny HTTP requests, pipelined", none, tiny, true, false},
		{"tiny HTTP requests, never reading", none, tiny, false, false},
		{"frames after what is no frame", none, append([]byte{0, 0, 0, 0}, repeat(ping, 40)...), false, true},
		{"WebSocket frames after a fault", ws, append([]byte{0xff, 0}, repeat(wsPings, 40)...), false, true},
	}
}

// TestNoise has eight clients at a time say at line rate what costs the gateway an
// answer. It goes on serving others, keeps no more of the noise than of anything
// else, and is quiet afterwards.
func TestNoise(t *testing.T) {
	g := deploy(t, options{})
	conn, err := net.Dial("tcp", g.edge)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	other, err := login(conn, "other")
	if err != nil {
		t.Fatal(err)
	}
	id := uint32(0)
	for _, n := range noises() {
		before := g.usage()
		stop := n.make(t, g, 8)
		var took []time.Duration
		for end := time.Now().Add(noiseWindow); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			id++
			began := time.Now()
			if err := other.echo(id); err != nil {
				t.Fatalf("%s: another client: %v", n.name, err)
			}
			took = append(took, time.Since(began))
		}
		after := g.usage()
		sent := stop()
		slices.Sort(took)
		median, worst := took[len(took)/2], took[len(took)-1]
		testenv.Figure(t, "P11", "8 clients, %s: %d MB sent in %v, %.0f %% of a core; another client's echo %v, at worst %v; %+.1f MB resident, %d goroutines more",
			n.name, sent>>20, noiseWindow, 100*share(before, after), median.Round(10*time.Microsecond), worst.Round(time.Millisecond), float64(after.rss-before.rss)/1e6, after.goroutines-before.goroutines)
		if worst > 2*time.Second {
			t.Errorf("%s: another client waited %v", n.name, worst)
		}
		if grown := after.rss - before.rss; grown > 128<<20 {
			t.Errorf("%s: %d MB more are resident", n.name, grown>>20)
		}
	}
	began := g.usage()
	time.Sleep(time.Second)
	if s := share(began, g.usage()); s > 0.2 {
		t.Errorf("%.0f %% of a core afterwards, want silence", 100*s)
	}
}

// make begins the noise; stop ends it and returns the bytes that were sent.
func (n *noise) make(t *testing.T, g *target, clients int) (stop func() int64) {
	t.Helper()
	var wg sync.WaitGroup
	var sent atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	come := func() net.Conn {
		conn, err := net.Dial("tcp", g.edge)
		if err != nil {
			t.Errorf("%s: %v", n.name, err)
			return nil
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		if err := n.begin(conn); err != nil && ctx.Err() == nil {
			t.Errorf("%s: %v", n.name, err)
		}
		context.AfterFunc(ctx, func() { _ = conn.Close() }) // the gateway may have been faster
		if n.reads {
			wg.Go(func() { _, _ = io.Copy(io.Discard, conn) }) // until it is closed
		}
		return conn
	}
	for range clients {
		conn := come()
		wg.Go(func() {
			for conn != nil {
				k, err := conn.Write(n.text)
				sent.Add(int64(k))
				if err == nil {
					continue
				}
				_ = conn.Close() // cut, or over
				if conn = nil; n.again && ctx.Err() == nil {
					conn = come()
				}
			}
		})
	}
	var once sync.Once
	stop = func() int64 {
		once.Do(func() {
			cancel()
			wg.Wait()
		})
		return sent.Load()
	}
	t.Cleanup(func() { stop() })
	return stop
}
