package transport

import (
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// refusedWait is how long a connection that may not stay has to show how it
// speaks, so that it can be told why. One that says nothing is closed.
const refusedWait = time.Second

// newcomer receives for a connection of which nothing is known yet but where it
// comes from. It keeps the first deadlines.
type newcomer struct{ c *Conn }

// Receive is never called: there are no frames yet.
func (n newcomer) Receive(wire.Frame) {}

// Refuse ends a connection whose first bytes fit nothing that is spoken here.
func (n newcomer) Refuse(*wire.ProtocolError) { n.c.Abort() }

// Closed has nobody to tell.
func (n newcomer) Closed() {}

// firstLook is when its first deadline is over.
func (n newcomer) firstLook() int64 {
	l := n.c.limits
	by := l.HelloTimeout
	if n.c.listener.cfg.Proxy.Required {
		by = min(by, l.ProxyTimeout)
	}
	if n.c.refusal != nil {
		by = min(by, refusedWait)
	}
	return n.c.openedAt + by.Milliseconds()
}

// Expire cuts a connection that has not introduced itself in time. Nobody knows
// how to tell it why.
func (n newcomer) Expire(now int64) int64 {
	c := n.c
	if by := n.deadline(); now < by {
		return by
	}
	if c.GotBytes() {
		c.listener.Metrics.vanished.halfway.Inc()
	} else {
		c.listener.Metrics.vanished.silent.Inc()
	}
	c.Abort()
	return 0
}

// deadline is for what is awaited now.
func (n newcomer) deadline() int64 {
	c := n.c
	c.readMu.Lock()
	_, proxy := c.reader.(*proxyReader)
	refused := c.refusal != nil
	c.readMu.Unlock()
	by := c.limits.HelloTimeout
	if proxy {
		by = min(by, c.limits.ProxyTimeout)
	}
	if refused {
		by = min(by, refusedWait)
	}
	return c.openedAt + by.Milliseconds()
}

// Refusal says why a connection may not stay.
type Refusal struct {
	Code       wire.CloseCode
	Message    string
	RetryAfter time.Duration
}

// Gatekeeper decides who may stay. Its methods do not block.
type Gatekeeper interface {
	// Accept is asked when a socket was accepted, before anything is known of the
	// client. nil lets it in; Released must follow when it has gone.
	Accept() *Refusal
	Released()
	// Enter is asked when the client's address is known. nil lets it in; Left must
	// follow when it has gone.
	Enter(c *Conn) *Refusal
	// EnterForwarded is Enter for a client whose address a trusted proxy's header
	// has told. The proxy's own connection does not enter.
	EnterForwarded(c *Conn) *Refusal
	Left(c *Conn)
}

// enterLocked has the client judged, now that its address is known.
func (c *Conn) enterLocked() {
	if c.refusal != nil || within(c.listener.believed.Load().forwarders, c.remote.Addr()) {
		return // a proxy stands for many clients, each of which is judged by its own address
	}
	c.judgeLocked(c.listener.Gate.Enter(c))
}

// judgeLocked notes what the gatekeeper has said.
func (c *Conn) judgeLocked(r *Refusal) {
	if r == nil {
		c.entered = true
		return
	}
	c.refuseLater(r)
	c.WakeAt(c.openedAt + refusedWait.Milliseconds())
}

// refusingMax is how many connections of all listeners may wait to be told why they
// may not stay. Those beyond it are cut: a flood must not be served with words, and
// each takes one of the descriptors that admission leaves to others, at least 128.
const refusingMax = 32

// refuseLater tells the client r when it has shown how it speaks.
func (c *Conn) refuseLater(r *Refusal) {
	c.refusal = r
	if c.listener.Refusing.Add(1) > refusingMax {
		c.Abort()
	}
}

// leave gives back what the gatekeeper has let in.
func (c *Conn) leave() {
	if c.entered {
		c.entered = false
		c.listener.Gate.Left(c)
	}
	if c.counted {
		c.counted = false
		c.listener.Gate.Released()
	}
	if c.refusal != nil {
		c.listener.Refusing.Add(-1)
	}
}
