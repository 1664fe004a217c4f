package client

import (
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// write sends what is queued until the connection ends. Everything that was
// queued while one write was in progress leaves with the next one.
func (c *connection) write() {
	var buf []byte
	for {
		select {
		case <-c.stop:
			return
		case <-c.wake:
		}
		var last bool
		buf, last = c.takeOutput(buf)
		if len(buf) > 0 {
			if err := c.transport.Write(buf, c.writeTimeout); err != nil {
				c.cut(err)
				return
			}
		}
		if last {
			c.linger()
			return
		}
	}
}

// linger waits for the gateway to close its side after our CLOSE, then cuts.
func (c *connection) linger() {
	if err := c.transport.CloseWrite(); err == nil {
		wait := time.NewTimer(lingerTime)
		defer wait.Stop()
		select {
		case <-c.stop:
		case <-wait.C:
		}
	}
	c.cut(errReplaced)
}

// takeOutput exchanges the queued bytes for the spare buffer, and adds what is
// made at the last moment: the ACK, which is cumulative, and the CLOSE. last
// says that nothing may follow.
func (c *connection) takeOutput(spare []byte) (buf []byte, last bool) {
	if cap(spare) > outKeepBytes {
		spare = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen > c.acked {
		c.acked, c.ackArmed = c.seen, false
		c.appendLocked(&wire.Frame{Type: wire.TypeAck, Seq: c.seen})
	}
	if c.closing != nil {
		c.appendLocked(c.closing)
	}
	buf, c.out = c.out, spare[:0]
	c.sentID, c.pongs = c.queuedID, 0
	return buf, c.closing != nil
}

// appendLocked encodes a frame of our own making.
func (c *connection) appendLocked(f *wire.Frame) {
	out, err := c.transport.Append(c.out, f)
	if err != nil {
		c.log.Error("own frame does not encode", "type", f.Type.String(), "error", err)
		return
	}
	c.out = out
}

// queueRequest queues a REQUEST; the error is a refusal to encode it.
func (c *connection) queueRequest(f *wire.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	out, err := c.transport.Append(c.out, f)
	if err != nil {
		return err
	}
	c.out, c.queuedID = out, f.ID
	signal(c.wake)
	return nil
}

func (c *connection) sendPong(data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pongs == pongsQueuedMax {
		return
	}
	c.pongs++
	c.appendLocked(&wire.Frame{Type: wire.TypePong, Payload: data})
	signal(c.wake)
}

// handled notes that the push with this seq, and so every one before it, has
// been handled, and has it acknowledged in time. On a connection that has ended
// there is nobody to tell: a resume acknowledges what has come.
func (c *connection) handled(seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if seq <= c.seen || c.isLeaving() && c.closing == nil {
		return
	}
	c.seen = seq
	switch {
	case c.seen-c.acked >= ackEvery:
		signal(c.wake)
	case c.ackArmed:
	case c.ackTimer == nil:
		c.ackArmed = true
		c.ackTimer = time.AfterFunc(ackDelay, func() { signal(c.wake) })
	default:
		c.ackArmed = true
		c.ackTimer.Reset(ackDelay)
	}
}
