package transport

import (
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/cloudwego/netpoll"

	"github.com/holdfast-io/holdfast/gateway/wheel"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Receiver takes what a connection brings. A connection has one at a time:
// first the handshake, then what attaches it to a session. A Receiver knows
// its connection.
type Receiver interface {
	// Receive takes one frame, in the order in which they came and never two at
	// once. It runs inline in the poller, so it must not block. The frame's
	// slices belong to the connection and are valid until Receive returns.
	Receive(f wire.Frame)
	// Refuse is called instead of Receive when the bytes that came are not a
	// frame that a client may send. The receiver closes the connection.
	Refuse(err *wire.ProtocolError)
	// Closed is called once when the connection has gone, whoever closed it.
	Closed()
	// Expire is called when the time that it returned last (or that WakeAt was
	// given) has come, on the wheel's clock, and returns the next; 0 is never.
	Expire(now int64) (next int64)
}

// Conn is one client connection. Its methods may be called from any goroutine
// and never block.
type Conn struct {
	// static after accept
	listener *Listener
	limits   *Limits
	nc       netpoll.Connection
	fd       int

	// set while the connection introduces itself, by the goroutine that reads;
	// static once it has a receiver other than the newcomer
	remote   netip.AddrPort // the client: of the socket, or what a proxy said
	via      Name           // how the client speaks; empty while that is not known
	openedAt int64          // wheel time
	counted  bool           // the gatekeeper let the socket in
	entered  bool           // the gatekeeper let the address in
	refusal  *Refusal       // told to the client as soon as it is known how it speaks

	next, prev *Conn // in the listener's list, guarded by its lock

	receiver atomic.Pointer[Receiver]
	timer    wheel.Timer
	lastRead atomic.Int64 // wheel time at which bytes came last
	gotBytes atomic.Bool  // the client has sent at least one byte

	// the reading side
	readMu    sync.Mutex
	reader    reader  // understands what comes
	tls       *tlsEnd // nil when what comes is not encrypted; changed with both locks held
	partial   []byte  // the start of a frame whose rest has not come, or all bytes while held
	held      bool    // frames wait until Release
	discarded int     // bytes thrown away since the connection began to close

	// the writing side
	mu           sync.Mutex
	framing      framing
	out          *outbound // nil while nothing waits
	writing      int       // bytes that somebody is in write(2) with, without mu
	waiting      bool      // the writable loop will continue
	watched      bool      // the writable loop knows the descriptor
	notified     bool      // TLS has said that nothing follows
	waitingSince int64     // wheel time of the last progress of a queue that waits; 0: none waits
	phase        phase
	echo         uint16 // the code of a WebSocket close frame that the peer sent first
	closeBy      int64  // wheel time at which a closing connection is cut
}

// phase is how far a connection is on its way out.
type phase uint8

const (
	phaseOpen      phase = iota
	phaseFlushing        // CLOSE is queued; nothing may be queued behind it
	phaseLingering       // our side is shut down; what comes is thrown away
	phaseGone            // the descriptor is closed or about to be
)

// Transport names how the client came, as in WELCOME's return_to.
func (c *Conn) Transport() string { return string(c.via) }

// Pings reports whether silence is answered by PING: it is on every connection
// that stays open.
func (c *Conn) Pings() bool { return true }

// OpenedAt is when the connection was accepted, on the wheel's clock.
func (c *Conn) OpenedAt() int64 { return c.openedAt }

// Remote is the client's address.
func (c *Conn) Remote() netip.AddrPort { return c.remote }

// RemoteIP is the client's address without its port, as text.
func (c *Conn) RemoteIP() string {
	if !c.remote.IsValid() {
		return ""
	}
	return c.remote.Addr().String()
}

// LastRead is when bytes came last, on the wheel's clock.
func (c *Conn) LastRead() int64 { return c.lastRead.Load() }

// Introduced reports whether it is known how the client speaks.
func (c *Conn) Introduced() bool {
	_, new := c.Receiver().(newcomer)
	return !new
}

// GotBytes reports whether the client has sent anything at all.
func (c *Conn) GotBytes() bool { return c.gotBytes.Load() }

// SetReceiver hands the connection over to r. Frames that come later go to r;
// call it from Receive, or while the connection is held.
func (c *Conn) SetReceiver(r Receiver) { c.receiver.Store(&r) }

// Receiver is who takes what the connection brings now.
func (c *Conn) Receiver() Receiver { return *c.receiver.Load() }

// WakeAt asks for Receiver.Expire at a time of the wheel's clock that may be
// earlier than what Expire returned last.
func (c *Conn) WakeAt(at int64) { c.listener.Wheel.Set(&c.timer, c, at) }

// Now is the wheel's clock.
func (c *Conn) Now() int64 { return c.listener.Wheel.Now() }

// Closing reports whether the connection is on its way out.
func (c *Conn) Closing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase != phaseOpen
}

// Expire implements wheel.Owner: it looks after the write deadline and the end
// of a closing connection, and wakes the receiver of one that is open.
func (c *Conn) Expire(now int64) int64 {
	c.mu.Lock()
	phase, closeBy, since := c.phase, c.closeBy, c.waitingSince
	c.mu.Unlock()
	switch phase {
	case phaseGone:
		return 0
	case phaseFlushing, phaseLingering:
		if now >= closeBy {
			c.Abort()
			return 0
		}
		return closeBy
	}
	next := (*c.receiver.Load()).Expire(now)
	if since == 0 {
		return next
	}
	deadline := since + c.limits.WriteTimeout.Milliseconds()
	if now >= deadline {
		c.cutStalled()
		return now + lingerMillis
	}
	if next == 0 || deadline < next {
		next = deadline
	}
	return next
}

// gone is netpoll's close callback: it runs once, before the descriptor is
// closed, and sees to it that nobody writes to that descriptor afterwards.
func (c *Conn) gone(netpoll.Connection) error {
	c.mu.Lock()
	c.phase = phaseGone
	for c.writing > 0 { // write(2) does not block, so this lasts microseconds
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
	}
	watched, encrypted := c.watched, c.tls
	c.waiting, c.watched = false, false
	c.dropOutLocked()
	c.mu.Unlock()
	if watched {
		c.listener.writable.remove(c)
	}
	c.listener.Wheel.Stop(&c.timer)
	if encrypted != nil {
		encrypted.conn.Close()
	}
	c.leave()
	takeVectors(c.nc)
	c.listener.forget(c)
	(*c.receiver.Load()).Closed()
	return nil
}

func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		ap := tcp.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	if a == nil {
		return netip.AddrPort{}
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil { // a unix socket has no address of this kind
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
