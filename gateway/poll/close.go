package poll

import (
	"strconv"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// CloseWith ends the connection with CLOSE, after the frames given. A GET that
// waits gets what is kept and both, a stream the same and its end; a POST and a
// HELLO are refused with the code, and so is every later call. The reason is cut
// to 120 bytes. Only the first call counts; it reports whether this was it.
//
// The receiver is told by Closed, at the wheel's next tick: whoever closes may
// not be done with the session yet.
func (c *Conn) CloseWith(code wire.CloseCode, reason string, before ...wire.Frame) bool {
	over := &refusal{code: code, reason: wire.TrimReason(reason)}
	if !c.shut(over, before, true) {
		return false
	}
	c.srv.metrics.closed(code)
	return true
}

// Abort ends the connection without CLOSE. Whoever waits is answered as if
// nothing had come.
func (c *Conn) Abort() {
	c.shut(&refusal{code: wire.CloseInternal, reason: "the connection was cut"}, nil, false)
}

// shut ends the connection and tells the calls that are open, by CLOSE behind
// before where say is set.
func (c *Conn) shut(over *refusal, before []wire.Frame, say bool) bool {
	c.mu.Lock()
	if c.phase != phaseOpen {
		c.mu.Unlock()
		return false
	}
	for i := range before {
		c.queueLocked(&before[i], true)
	}
	over.retryAfter = c.retryAfter
	c.phase, c.over, c.held = phaseClosing, over, false
	if say {
		c.sayCloseLocked()
	}
	c.srv.wheel.Set(&c.timer, c, c.Now()+1)
	c.mu.Unlock()
	c.Flush()
	c.work() // calls that had to wait for the receiver are turned away
	return true
}

// sayCloseLocked puts CLOSE behind what waits.
func (c *Conn) sayCloseLocked() {
	f := wire.Frame{Type: wire.TypeClose, Code: c.over.code, Reason: []byte(c.over.reason)}
	c.list.add(item{b: c.encode(&f), kind: kindNotice})
}

func appendReconnectAfter(b []byte, ms int64) []byte {
	b = append(b, `,"reconnect_after_ms":`...)
	b = strconv.AppendInt(b, ms, 10)
	return append(b, '}')
}
