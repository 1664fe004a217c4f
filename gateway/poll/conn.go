package poll

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wheel"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Conn is a client's connection that is made of calls. To a session it is a
// connection like any other: frames are queued, flushed, and it is closed with
// a code. Its methods may be called from any goroutine and never block.
type Conn struct {
	// static
	srv *Server

	receiver atomic.Pointer[Receiver]
	lastRead atomic.Int64 // wheel time of the last call
	timer    wheel.Timer

	mu sync.Mutex // guards the following

	// the receiver's turn, see inbox.go
	inbox []event
	busy  bool // somebody is working through the inbox
	held  bool // nobody may, until Release
	here  bool // what the receiver was told last: a call is open

	// the calls that are open. At most one of get and stream is set.
	hello  Call
	get    Call
	stream Call
	post   *post
	open   int // those and what the inbox has of others

	// what goes to the client
	list    list
	welcome []byte // answers hello
	window  int    // how many replies the session keeps; 0 before WELCOME
	sending bool   // somebody is in send
	getDue  bool   // the waiting GET is answered whatever there is
	beatDue bool   // the stream gets a comment

	retryAfter time.Duration // of the last GOAWAY

	// wheel times, 0 for never
	getBy      int64
	beatBy     int64
	receiverAt int64

	phase phase
	over  *refusal // why, once phase is not phaseOpen
	told  bool     // the receiver knows that the connection is over

	kind     callKind // of the hello, GET or stream opened last
	secure   bool     // that call came over TLS
	remoteIP string   // of the last call
}

// phase is how far a connection is on its way out.
type phase uint8

const (
	phaseOpen    phase = iota
	phaseClosing       // nothing may be queued; the open calls are being told
	phaseGone          // nobody is left
)

// post is the POST of frames under way.
type post struct {
	call   Call
	wait   bool     // it is answered with replies
	wanted []uint32 // ids of its requests whose replies have not come
	by     int64    // wheel time at which it is answered with what there is
	ready  bool     // all its frames are with the receiver
	due    bool     // by has come
	closes bool     // one of its frames is CLOSE
}

// newConn is a connection that begins with the given HELLO call.
func (s *Server) newConn(call Call) *Conn {
	c := &Conn{srv: s, hello: call, open: 1, here: true, kind: callHello, secure: call.Secure(), remoteIP: call.RemoteIP()}
	c.lastRead.Store(s.wheel.Now())
	s.metrics.open.Inc()
	return c
}

// SetReceiver hands the connection over to r. Call it from Receive, or while the
// connection is held.
func (c *Conn) SetReceiver(r Receiver) { c.receiver.Store(&r) }

// Receiver is who takes what the connection brings now.
func (c *Conn) Receiver() Receiver {
	if r := c.receiver.Load(); r != nil {
		return *r
	}
	return nil
}

// Encoding is the form that QueueTransient takes.
func (c *Conn) Encoding() wire.Encoding { return wire.JSON }

// Pings reports that silence is no sign here.
func (c *Conn) Pings() bool { return false }

// LastRead is when the last call came, on the wheel's clock.
func (c *Conn) LastRead() int64 { return c.lastRead.Load() }

// Now is the wheel's clock.
func (c *Conn) Now() int64 { return c.srv.wheel.Now() }

// Queued is how many bytes are kept for the client, those included that have
// been sent and that it has not named yet.
func (c *Conn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.list.bytes
}

// Transport names how the client came by the HELLO, GET or stream opened last,
// as docs/protocol.md section 1 does.
func (c *Conn) Transport() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := "poll"
	if c.kind == callEvents {
		name = "sse"
	}
	if c.secure {
		name += "s"
	}
	return name
}

// RemoteIP is where the last call came from.
func (c *Conn) RemoteIP() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.remoteIP
}

// Closing reports whether the connection is over, or on its way.
func (c *Conn) Closing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase != phaseOpen
}

// enter counts a call in, or says why it is refused: the connection is over, or
// another POST is under way.
func (c *Conn) enter(kind callKind, call Call, p *post) *refusal {
	ip, secure := call.RemoteIP(), call.Secure()
	c.lastRead.Store(c.srv.wheel.Now())
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.phase != phaseOpen:
		return c.over
	case p != nil && c.post != nil:
		return &refusal{code: wire.CloseRateLimited, reason: "another POST of this session is under way"}
	case p != nil:
		c.post = p
	case kind == callPoll, kind == callEvents:
		c.kind, c.secure = kind, secure
	}
	c.remoteIP = ip
	c.open++
	c.srv.metrics.open.Inc()
	return nil
}

// leaveLocked counts a call out that has been answered or lost. The caller sees
// to it that present is called afterwards, without the lock.
func (c *Conn) leaveLocked() {
	c.open--
	c.srv.metrics.open.Dec()
}

// leave is leaveLocked with all that belongs to it.
func (c *Conn) leave() {
	c.mu.Lock()
	c.leaveLocked()
	c.mu.Unlock()
	c.present()
}
