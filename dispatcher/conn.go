package dispatcher

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudwego/kitex/pkg/remote"
)

type netConn = net.Conn

// errPoolClosed says that the instance is no longer called.
var errPoolClosed = errors.New("dispatcher: the instance has been left")

// connPool keeps the connections to one instance. It replaces Kitex's own pool
// because that one cannot close connections whose process is known to be gone,
// and because it is here that a call's deadline is set.
type connPool struct {
	maxIdle int

	mu         sync.Mutex // guards the following
	idle       []*pooledConn
	generation int // connections of an earlier one are not used again
	closed     bool
}

var _ remote.ConnPool = (*connPool)(nil)

// pooledConn is a connection of the pool. Kitex reads and writes the one inside.
type pooledConn struct {
	net.Conn
	generation int
	peer       atomic.Int64 // the incarnation that answered on it; 0: not known yet
}

// RawConn implements remote.RawConn.
func (c *pooledConn) RawConn() net.Conn { return c.Conn }

// alive tells whether the peer has closed the connection while nobody used it.
func (c *pooledConn) alive() bool {
	a, ok := c.Conn.(remote.IsActive)
	return !ok || a.IsActive()
}

func newConnPool(maxIdle int) *connPool { return &connPool{maxIdle: maxIdle} }

// Get implements remote.ConnPool. The connection has the deadline of ctx, for
// writing and reading.
func (p *connPool) Get(ctx context.Context, network, address string, opt remote.ConnOption) (net.Conn, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return nil, errors.New("dispatcher: a call without a deadline")
	}
	c, generation, err := p.reuse()
	if err != nil {
		return nil, err
	}
	if c == nil {
		timeout := min(opt.ConnectTimeout, time.Until(deadline))
		if timeout <= 0 {
			return nil, os.ErrDeadlineExceeded
		}
		conn, err := dialPeer(opt.Dialer, network, address, timeout)
		if err != nil {
			return nil, err
		}
		c = &pooledConn{Conn: conn, generation: generation}
	}
	if err := c.SetDeadline(deadline); err != nil {
		_ = c.Close() // it is of no use; the first error counts
		return nil, err
	}
	if call := callOf(ctx); call != nil {
		call.stage, call.conn, call.peer = stageSending, c, c.peer.Load()
	}
	return c, nil
}

// dialPeer opens a connection. Where nobody listens the error is the kernel's:
// netpoll reports a refused TCP connection as one that the peer has closed, and
// the difference decides whether a process is known to be gone.
func dialPeer(dialer remote.Dialer, network, address string, timeout time.Duration) (net.Conn, error) {
	began := time.Now()
	conn, err := dialer.DialTimeout(network, address, timeout)
	if err == nil || isRefused(err) || isTimeout(err) {
		return conn, err
	}
	left := timeout - time.Since(began)
	if left <= 0 {
		return nil, err
	}
	probe, plain := net.DialTimeout(network, address, left)
	if plain != nil {
		return nil, plain
	}
	_ = probe.Close() // somebody listens now; the next call will find out who
	return nil, err
}

// reuse returns an idle connection that is still open, or nil and the generation
// that a new one will be of.
func (p *connPool) reuse() (*pooledConn, int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, 0, errPoolClosed
	}
	for n := len(p.idle) - 1; n >= 0; n-- {
		c := p.idle[n]
		p.idle[n] = nil
		p.idle = p.idle[:n]
		if c.alive() {
			return c, p.generation, nil
		}
		_ = c.Close() // the peer has closed it already
	}
	return nil, p.generation, nil
}

// Put implements remote.ConnPool: the call went well.
func (p *connPool) Put(conn net.Conn) error {
	c, ok := conn.(*pooledConn)
	if !ok {
		return conn.Close()
	}
	p.mu.Lock()
	keep := !p.closed && c.generation == p.generation && len(p.idle) < p.maxIdle
	if keep {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if keep {
		return nil
	}
	return c.Close()
}

// Discard implements remote.ConnPool: the call failed, so nobody knows what is
// still on the connection.
func (p *connPool) Discard(conn net.Conn) error { return conn.Close() }

// drop makes sure that no connection made so far serves another call.
func (p *connPool) drop() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.generation++
	p.mu.Unlock()
	for _, c := range idle {
		_ = c.Close() // its process is gone
	}
}

// Close implements remote.ConnPool. Calls that are under way go on.
func (p *connPool) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.drop()
	return nil
}
