package transport

import (
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
	c.listener.Metrics.closed(code)
	if c.waiting {
		c.truncateLocked()
	}
	c.lendLocked()
	for i := range before {
		_ = c.appendLocked(&before[i]) // a frame of ours that does not encode is left out: CLOSE matters more
	}
	c.out.b = c.framing.appendEnd(c.out.b, code, wire.TrimReason(reason), c.echo)
	c.finishLocked()
	return true
}

// Finish ends the connection behind what is queued, without a CLOSE.
func (c *Conn) Finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == phaseOpen {
		c.finishLocked()
	}
}

// finishLocked lets nothing be queued any more and writes what is.
func (c *Conn) finishLocked() {
	c.phase = phaseFlushing
	c.closeBy = c.listener.Wheel.Now() + c.limits.WriteTimeout.Milliseconds()
	c.listener.Wheel.Set(&c.timer, c, c.closeBy)
	if c.writing == 0 && !c.waiting {
		c.writeLocked()
	}
}

// cutStalled ends the connection of a client that has read nothing for too
// long. On HTTP there is no frame to say so in.
func (c *Conn) cutStalled() {
	c.mu.Lock()
	_, raw := c.framing.(rawFraming)
	c.mu.Unlock()
	if raw {
		c.listener.Metrics.closed(wire.CloseSlowConsumer)
		c.Abort()
		return
	}
	c.CloseWith(wire.CloseSlowConsumer, "nothing read for write_timeout")
}

// truncateLocked drops what waits behind the frame that is being written.
func (c *Conn) truncateLocked() {
	o := c.out
	o.b = o.b[:frameEnd(c.framing, o.b, o.off)]
	o.loose, o.oldest, o.dead = o.loose[:0], 0, 0
}

// frameStart is where the frame begins of which b[off] is a byte, or off itself
// when one begins there. A queue always begins with a whole frame.
func frameStart(f framing, b []byte, off int) int {
	at := 0
	for at < off {
		next := at + f.frameLen(b[at:])
		if next > off {
			break
		}
		at = next
	}
	return at
}

// frameEnd is where that frame ends; off itself when one begins there.
func frameEnd(f framing, b []byte, off int) int {
	at := frameStart(f, b, off)
	if at == off {
		return off
	}
	return at + f.frameLen(b[at:])
}

// lingerLocked shuts our side down, now that CLOSE is with the kernel.
func (c *Conn) lingerLocked() {
	c.phase = phaseLingering
	now := c.listener.Wheel.Now()
	c.closeBy = now + lingerMillis
	if err := unix.Shutdown(c.fd, unix.SHUT_WR); err != nil {
		c.closeBy = now // the peer is gone already
	}
	c.listener.Wheel.Set(&c.timer, c, c.closeBy)
}

// reset is Abort for a client that goes on sending. What the kernel still takes in
// would be read before netpoll closes the descriptor, without the client being told
// that there is room again; then nothing is unread, so the kernel closes without a
// reset, and the client waits for room until it forgets the connection.
func (c *Conn) reset() {
	c.mu.Lock()
	if c.phase != phaseGone {
		now := unix.Linger{Onoff: 1}
		_ = unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &now) // without it the client waits
	}
	c.mu.Unlock()
	c.Abort()
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
		c.phase = phaseLingering                // what the kernel has already is still read, and must mean nothing
		_ = unix.Shutdown(c.fd, unix.SHUT_RDWR) // its only error is that the peer was faster
	}
}
