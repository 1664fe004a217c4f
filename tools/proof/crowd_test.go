package proof

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// enemy is a connection that says what a test says, right or wrong, and notes what
// comes of it.
type enemy struct {
	net.Conn
	opened time.Time
	ended  chan struct{} // closed when the gateway has closed it; the following are valid then
	at     time.Time
	said   []byte // the end of what the gateway said
}

// saidBytesMax is how much of that is kept.
const saidBytesMax = 4 << 10

// open is how long the gateway has kept it.
func (e *enemy) open() time.Duration { return e.at.Sub(e.opened) }

// gone reports whether the gateway has closed it.
func (e *enemy) gone() bool {
	select {
	case <-e.ended:
		return true
	default:
		return false
	}
}

// listen reads until the connection ends.
func (e *enemy) listen() {
	defer close(e.ended)
	b := make([]byte, 1<<10)
	for {
		n, err := e.Read(b)
		e.said = append(e.said, b[:n]...)
		e.said = e.said[max(0, len(e.said)-saidBytesMax):]
		if err != nil {
			e.at = time.Now()
			return
		}
	}
}

// crowd is many of them.
type crowd []*enemy

// dialersMax is how many connections are opened at a time.
const dialersMax = 64

// gather opens n connections to address. introduce, which may be nil, is called
// with each before it is listened to. The crowd disperses with the test.
func gather(t *testing.T, n int, address string, introduce func(net.Conn) error) crowd {
	t.Helper()
	c := make(crowd, n)
	var next atomic.Int64
	var failure atomic.Pointer[error]
	var wg sync.WaitGroup
	for range min(n, dialersMax) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				conn, err := net.DialTimeout("tcp", address, patience)
				if err == nil && introduce != nil {
					_ = conn.SetDeadline(time.Now().Add(patience)) // a failure shows in what follows
					err = introduce(conn)
					_ = conn.SetDeadline(time.Time{})
				}
				if err != nil {
					failure.Store(&err)
					continue
				}
				c[i] = &enemy{Conn: conn, opened: time.Now(), ended: make(chan struct{})}
			}
		})
	}
	wg.Wait()
	t.Cleanup(c.disperse)
	if err := failure.Load(); err != nil {
		t.Fatalf("dial %s: %v", address, *err)
	}
	for _, e := range c {
		go e.listen() // disperse awaits it
	}
	return c
}

// disperse closes them all and waits for their goroutines.
func (c crowd) disperse() {
	for _, e := range c {
		if e == nil {
			continue
		}
		if tcp, ok := e.Conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // thousands in TIME_WAIT would use up the ports
		}
		_ = e.Close() // the gateway may have been faster
	}
	for _, e := range c {
		if e != nil {
			<-e.ended
		}
	}
}

// say writes b to each that is still there. What is not taken at once is a loss
// that the tests do not mind.
func (c crowd) say(b []byte) {
	for _, e := range c {
		if e.gone() {
			continue
		}
		_ = e.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = e.Write(b)
	}
}

// left is how many the gateway has not closed.
func (c crowd) left() (n int) {
	for _, e := range c {
		if !e.gone() {
			n++
		}
	}
	return n
}

// longest is how long the gateway has kept any of them.
func (c crowd) longest() (d time.Duration) {
	for _, e := range c {
		d = max(d, e.open())
	}
	return d
}

// clientHello is the first flight of a TLS client.
func clientHello(t *testing.T, cfg *tls.Config) []byte {
	t.Helper()
	near, far := net.Pipe()
	defer far.Close()
	failed := make(chan error, 1)
	go func() { failed <- tls.Client(near, cfg).Handshake() }() // ends as near is closed
	b := make([]byte, 16<<10)
	n, err := io.ReadAtLeast(far, b, 5)
	if err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadFull(far, b[n:5+int(b[3])<<8+int(b[4])])
	if err != nil {
		t.Fatal(err)
	}
	_ = near.Close() // nobody answers
	<-failed
	return b[:n+rest]
}
