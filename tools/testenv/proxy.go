package testenv

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Proxy passes TCP connections on to another address, counts their bytes, and
// does to them what networks do. Its methods may be called from any goroutine.
type Proxy struct {
	Addr string // where to connect to instead

	target string
	ln     net.Listener
	up     atomic.Int64
	down   atomic.Int64
	done   chan struct{} // closed when the proxy ends
	wg     sync.WaitGroup

	mu       sync.Mutex // guards the following
	moved    *sync.Cond // frozen or closed has changed
	frozen   bool
	refusing bool
	closed   bool
	perSec   int // bytes a second each way; 0: as fast as it goes
	open     map[*net.TCPConn]struct{}
}

// proxyChunk is read and passed on at once. It is small, so that a slow proxy
// trickles.
const proxyChunk = 4 << 10

// StartProxy starts a proxy in front of target, which ends with the test.
func StartProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: ln.Addr().String(), target: target, ln: ln, done: make(chan struct{}), open: map[*net.TCPConn]struct{}{}}
	p.moved = sync.NewCond(&p.mu)
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Up is the bytes passed on to the target.
func (p *Proxy) Up() int64 { return p.up.Load() }

// Down is the bytes passed on from the target.
func (p *Proxy) Down() int64 { return p.down.Load() }

// Open is how many connections of clients there are.
func (p *Proxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open) / 2
}

// Cut resets every connection, on both sides. New ones are passed on.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		_ = c.SetLinger(0) // without it the end is not a reset but still an end
		_ = c.Close()      // the copiers notice
	}
}

// Freeze stops all bytes, as a network that is gone does: nobody is told. Thaw
// lets them go on.
func (p *Proxy) Freeze() { p.freeze(true) }

// Thaw is the end of Freeze.
func (p *Proxy) Thaw() { p.freeze(false) }

func (p *Proxy) freeze(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = on
	p.moved.Broadcast()
}

// Refuse resets new connections, or no longer does.
func (p *Proxy) Refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusing = on
}

// Slow bounds the bytes a second of each direction of each connection; 0 lifts it.
func (p *Proxy) Slow(bytesPerSecond int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.perSec = bytesPerSecond
}

func (p *Proxy) close() {
	_ = p.ln.Close() // there is nothing to lose
	close(p.done)
	p.mu.Lock()
	p.closed = true
	p.moved.Broadcast()
	p.mu.Unlock()
	p.Cut()
	p.wg.Wait()
}

func (p *Proxy) accept() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return // closed
		}
		p.wg.Go(func() { p.serve(c.(*net.TCPConn)) })
	}
}

// serve copies both ways until both have ended.
func (p *Proxy) serve(client *net.TCPConn) {
	if !p.admit(client) {
		_ = client.SetLinger(0) // as in Cut
		_ = client.Close()
		return
	}
	defer p.forget(client)
	conn, err := net.DialTimeout("tcp", p.target, 10*time.Second)
	if err != nil {
		return
	}
	server := conn.(*net.TCPConn)
	if !p.admit(server) {
		_ = server.Close()
		return
	}
	defer p.forget(server)
	var both sync.WaitGroup
	both.Go(func() { p.copy(server, client, &p.up) })
	both.Go(func() { p.copy(client, server, &p.down) })
	both.Wait()
}

func (p *Proxy) admit(c *net.TCPConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.refusing {
		return false
	}
	p.open[c] = struct{}{}
	return true
}

func (p *Proxy) forget(c *net.TCPConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
	_ = c.Close() // it may have been cut
}

// copy passes bytes on until one side has ended, and then that end too.
func (p *Proxy) copy(to, from *net.TCPConn, count *atomic.Int64) {
	buf := make([]byte, proxyChunk)
	for {
		n, err := from.Read(buf)
		for rest := buf[:n]; len(rest) > 0; {
			piece := p.next(len(rest))
			if piece == 0 {
				return
			}
			if _, err := to.Write(rest[:piece]); err != nil {
				_ = from.Close() // nobody takes it any more
				return
			}
			count.Add(int64(piece))
			rest = rest[piece:]
		}
		if err != nil {
			p.thawed() // a dead network does not tell of an end either
			_ = to.CloseWrite()
			return
		}
	}
}

// next waits until some of n bytes may go on and says how many; 0: the proxy ends.
func (p *Proxy) next(n int) int {
	p.mu.Lock()
	perSec := p.perSec
	p.mu.Unlock()
	if perSec > 0 {
		n = min(n, max(1, perSec/20))
		select {
		case <-time.After(time.Duration(n) * time.Second / time.Duration(perSec)):
		case <-p.done:
			return 0
		}
	}
	if !p.thawed() {
		return 0
	}
	return n
}

func (p *Proxy) thawed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.frozen && !p.closed {
		p.moved.Wait()
	}
	return !p.closed
}
