package poll

import "github.com/holdfast-io/holdfast/gateway/wire"

// event is one thing that the receiver must hear of in its turn.
type event struct {
	kind    eventKind
	call    Call
	q       query
	refused *wire.ProtocolError // of the query or the body
	body    []byte
	post    *post
}

type eventKind uint8

const (
	eventPresence eventKind = iota // the number of open calls has changed
	eventHello
	eventPoll
	eventStream
	eventFrames
	eventDelete
	eventGone // the client no longer waits for call
)

// deliver has e worked through after the events before it, by the caller or,
// when somebody is at it already, by that one. So the receiver is never called by
// two goroutines at once although calls come on several HTTP connections, and no
// lock is held meanwhile: the receiver may queue, flush and close, which answers
// other calls, which may tell us in the same breath that their client is gone.
//
// The inbox is bounded by the number of open calls, of which each has at most
// two events in it.
func (c *Conn) deliver(e event) {
	c.mu.Lock()
	if c.busy || c.held || len(c.inbox) > 0 {
		c.inbox = append(c.inbox, e)
		c.mu.Unlock()
		c.work()
		return
	}
	c.busy = true // the common case needs no queue
	c.mu.Unlock()
	c.handle(e)
	c.mu.Lock()
	c.busy = false
	c.mu.Unlock()
	c.work()
}

// work empties the inbox, unless somebody is at it already or it is held.
func (c *Conn) work() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.busy && !c.held && len(c.inbox) > 0 {
		e := c.inbox[0]
		c.inbox[0] = event{}
		if c.inbox = c.inbox[1:]; len(c.inbox) == 0 {
			c.inbox = nil // an idle connection keeps no memory for it
		}
		c.busy = true
		c.mu.Unlock()
		c.handle(e)
		c.mu.Lock()
		c.busy = false
	}
}

func (c *Conn) handle(e event) {
	switch e.kind {
	case eventPresence:
		c.tellPresence()
	case eventHello:
		c.login(e)
	case eventPoll:
		c.tellPresence()
		c.poll(e)
	case eventStream:
		c.tellPresence()
		c.begin(e)
	case eventFrames:
		c.tellPresence()
		c.take(e)
	case eventDelete:
		c.tellPresence()
		c.end(e)
	case eventGone:
		c.forget(e.call)
	}
}

// Hold keeps calls from the receiver until Release. Call it from Receive.
func (c *Conn) Hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = c.phase == phaseOpen // who waits at a closed connection must be told so
}

// Release lets the calls through that came since Hold, on the caller's goroutine.
func (c *Conn) Release() {
	c.mu.Lock()
	c.held = false
	c.mu.Unlock()
	c.work()
}

// present tells the receiver when the last call has ended.
func (c *Conn) present() {
	c.mu.Lock()
	same := c.here == (c.open > 0) || c.phase != phaseOpen
	c.mu.Unlock()
	if !same {
		c.deliver(event{kind: eventPresence})
	}
}

// tellPresence tells the receiver whether a call is open, if that is news.
func (c *Conn) tellPresence() {
	c.mu.Lock()
	here := c.open > 0
	news := here != c.here && c.phase == phaseOpen
	if news {
		c.here = here
	}
	c.mu.Unlock()
	switch {
	case !news:
	case here:
		c.Receiver().Back()
	default:
		c.Receiver().Away()
	}
}

// forget lets go of a call whose client is gone. What it would have been
// answered with is kept for the next.
func (c *Conn) forget(call Call) {
	c.mu.Lock()
	switch {
	case call == c.get:
		c.get = nil
	case call == c.stream:
		c.stream = nil
	case c.post != nil && call == c.post.call:
		c.post = nil
		c.list.unclaim()
	default: // it has been answered meanwhile
		c.mu.Unlock()
		return
	}
	c.leaveLocked()
	c.mu.Unlock()
	c.srv.metrics.lost.Inc()
	c.tellPresence()
	c.Flush() // a GET that waits gets what the POST has asked for
}
