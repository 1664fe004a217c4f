package transport

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// lingerMillis is how long a connection is kept after our side was shut down,
// for the client to read the CLOSE.
const lingerMillis = 1000

// CloseWith ends the connection with CLOSE, after the frames given, and sees to
// it that they arrive: what a slow client has not read is dropped but for the
// frame that it is in the middle of, our side is shut down behind CLOSE, and
// what still comes is thrown away for a second before the descriptor is closed.
// The reason is cut to 120 bytes. Only the first call counts; it reports
// whether this was it.
func (c *Conn) CloseWith(code wire.CloseCode, reason string, before ...wire.Frame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != phaseOpen {
		return false
	}
	c.listener.metrics.closed(code)
	c.phase = phaseFlushing
	c.closeBy = c.listener.wheel.Now() + c.listener.limits.WriteTimeout.Milliseconds()
	if c.waiting {
		c.out.b = c.out.b[:frameEnd(c.out.b, c.out.off)]
	}
	for i := range before {
		_ = c.appendLocked(&before[i]) // a frame of ours that does not encode is left out: CLOSE matters more
	}
	// A trimmed reason always encodes.
	_ = c.appendLocked(&wire.Frame{Type: wire.TypeClose, Code: code, Reason: []byte(wire.TrimReason(reason))})
	c.listener.wheel.Set(&c.timer, c, c.closeBy)
	if c.writing == 0 && !c.waiting {
		c.writeLocked()
	}
	return true
}

// frameStart is where the frame begins of which b[off] is a byte, or off itself
// when one begins there. A queue always begins with a whole frame.
func frameStart(b []byte, off int) int {
	at := 0
	for at < off {
		next := at + 4 + int(binary.BigEndian.Uint32(b[at:]))
		if next > off {
			break
		}
		at = next
	}
	return at
}

// frameEnd is where that frame ends; off itself when one begins there.
func frameEnd(b []byte, off int) int {
	at := frameStart(b, off)
	if at == off {
		return off
	}
	return at + 4 + int(binary.BigEndian.Uint32(b[at:]))
}

// lingerLocked shuts our side down, now that CLOSE is with the kernel.
func (c *Conn) lingerLocked() {
	c.phase = phaseLingering
	now := c.listener.wheel.Now()
	c.closeBy = now + lingerMillis
	if err := unix.Shutdown(c.fd, unix.SHUT_WR); err != nil {
		c.closeBy = now // the peer is gone already
	}
	c.listener.wheel.Set(&c.timer, c, c.closeBy)
}

// Abort cuts the connection. What was queued is lost. It does not close the
// descriptor itself: netpoll's Close, called while the poller is in one of our
// inline handlers, runs the close callback inside that handler, where freeing
// the poller's operator waits for the poller, which is itself. The poller sees
// the shut socket after the handler and closes it then.
func (c *Conn) Abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != phaseGone {
		_ = unix.Shutdown(c.fd, unix.SHUT_RDWR) // its only error is that the peer was faster
	}
}
