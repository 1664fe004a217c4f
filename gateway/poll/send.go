package poll

import (
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// eventBytesMax is how much goes to a stream at a time, one event at least, so
// that neither the buffer nor the chunk grows with what is kept.
const eventBytesMax = 32 << 10

// output is one thing to say to one call.
type output struct {
	what    what
	call    Call
	status  int
	buf     *[]byte // of scratch
	refusal *refusal
}

type what uint8

const (
	sayNothing what = iota
	sayAnswer       // status and buf
	sayRefusal
	sayEvent // buf
	sayEnd
)

// Flush answers the calls that what is queued is for. When somebody else is at
// it, that one takes it along.
func (c *Conn) Flush() {
	c.mu.Lock()
	if c.sending {
		c.mu.Unlock()
		return
	}
	c.sending = true
	for {
		o := c.nextLocked()
		if o.what == sayNothing {
			break
		}
		c.mu.Unlock()
		c.say(o)
		c.mu.Lock()
	}
	c.sending = false
	if c.phase != phaseOpen {
		c.list = list{}
	}
	c.mu.Unlock()
	c.present()
}

// say says it, without the lock: a call may tell us at once that its client is
// gone.
func (c *Conn) say(o output) {
	switch o.what {
	case sayAnswer:
		o.call.Answer(o.status, 0, *o.buf)
		putScratch(o.buf)
	case sayRefusal:
		c.srv.refuse(o.call, o.refusal)
	case sayEvent:
		ok := o.call.Event(*o.buf)
		putScratch(o.buf)
		if !ok {
			c.streamOver(o.call)
		}
	case sayEnd:
		o.call.End()
	}
}

// streamOver lets go of a stream that takes nothing any more. What is kept waits
// for the next call.
func (c *Conn) streamOver(call Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stream == call {
		c.stream = nil
		c.leaveLocked()
		c.srv.metrics.lost.Inc()
	}
}

// nextLocked finds something to say, and takes the call out of its place when
// that is the last it hears.
func (c *Conn) nextLocked() output {
	over := c.phase != phaseOpen
	switch {
	case c.hello != nil:
		return c.answerHelloLocked(over)
	case c.post != nil && (over || c.post.ready && c.post.done()):
		return c.answerPostLocked(over)
	case c.get != nil && (over || c.getDue || c.list.fresh > 0):
		return c.answerGetLocked()
	case c.stream != nil:
		return c.streamLocked(over)
	default:
		return output{}
	}
}

func (c *Conn) answerHelloLocked(over bool) output {
	o := output{call: c.hello}
	switch {
	case over:
		o.what, o.refusal = sayRefusal, c.over
	case c.welcome != nil:
		welcome := c.welcome
		o.what, o.status, o.buf = sayAnswer, 200, &welcome
		c.welcome = nil
	default:
		return output{}
	}
	c.hello = nil
	c.leaveLocked()
	return o
}

// done reports whether a POST has what it waits for.
func (p *post) done() bool { return !p.wait || p.due || len(p.wanted) == 0 }

func (c *Conn) answerPostLocked(over bool) output {
	p := c.post
	o := output{what: sayAnswer, call: p.call, status: 202}
	if over && !p.closes {
		o.what, o.refusal = sayRefusal, c.over
	} else {
		o.buf = scratch.Get().(*[]byte)
		b := append(*o.buf, '[')
		if p.wait {
			o.status = 200
			b = c.list.appendPost(b)
		}
		*o.buf = append(b, ']')
	}
	c.post = nil
	c.leaveLocked()
	return o
}

func (c *Conn) answerGetLocked() output {
	c.list.expire(c.Now())
	limit := c.srv.cfg.OutboundBytesMax
	if c.phase != phaseOpen {
		limit = 1 << 31 // there is no next answer for the rest
	}
	o := output{what: sayAnswer, call: c.get, status: 200, buf: scratch.Get().(*[]byte)}
	*o.buf = append(c.list.appendAll(append(*o.buf, '['), limit), ']')
	c.get, c.getDue = nil, false
	c.leaveLocked()
	return o
}

func (c *Conn) streamLocked(over bool) output {
	o := output{call: c.stream}
	c.list.expire(c.Now())
	switch {
	case c.list.fresh > 0:
		o.what, o.buf = sayEvent, scratch.Get().(*[]byte)
		*o.buf = c.list.appendEvents(*o.buf, eventBytesMax)
	case over:
		o.what = sayEnd
		c.stream = nil
		c.leaveLocked()
		return o
	case c.beatDue:
		o.what, o.buf = sayEvent, scratch.Get().(*[]byte)
		*o.buf = append(*o.buf, comment...)
	default:
		return output{}
	}
	c.beatDue = false
	c.beatBy = c.Now() + c.srv.cfg.Heartbeat.Milliseconds()
	return o
}

// closeObject is CLOSE as the body of an answer, with how long to wait as GOAWAY
// would say it. A client that does not know that member ignores it.
func closeObject(r *refusal) []byte {
	b, err := wire.AppendJSON(nil, &wire.Frame{Type: wire.TypeClose, Code: r.code, Reason: []byte(wire.TrimReason(r.reason))})
	if err != nil { // cannot be: the reason is trimmed
		return nil
	}
	if ms := r.retryAfter.Milliseconds(); ms > 0 {
		b = appendReconnectAfter(b[:len(b)-1], ms)
	}
	return b
}
