package transport

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/cloudwego/netpoll"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

const (
	// heldBytesMax is what a client may send ahead while its login is judged,
	// above one whole frame.
	heldBytesMax = 64 << 10
	// discardBytesMax is what is read and thrown away of a connection that is
	// closing, so that the reset which unread bytes cause does not destroy the
	// CLOSE on its way.
	discardBytesMax = 256 << 10
)

// onRequest is netpoll's read handler. It takes all bytes: netpoll would call
// again at once for the rest.
func onRequest(ctx context.Context, nc netpoll.Connection) error {
	c := ctx.(*connContext).conn
	r := nc.Reader()
	b, err := r.Next(r.Len())
	if err != nil { // cannot be: Len bytes are there
		c.Abort()
		return err
	}
	c.ingest(b)
	return r.Release()
}

// ingest takes bytes as they come. b belongs to the caller.
func (c *Conn) ingest(b []byte) {
	c.lastRead.Store(c.listener.wheel.Now())
	c.gotBytes.Store(true)
	c.readMu.Lock()
	defer c.readMu.Unlock()
	switch {
	case c.Closing():
		c.discardLocked(len(b))
	case c.held:
		c.holdLocked(b)
	case len(c.partial) > 0:
		c.completeLocked(b)
	default:
		c.parseLocked(b)
	}
}

// parseLocked hands out every whole frame of b and keeps the rest.
func (c *Conn) parseLocked(b []byte) {
	for len(b) > 0 {
		frame, size, err := wire.ParseStream(b, c.listener.limits.FrameBytesMax, wire.FromClient)
		if errors.Is(err, wire.ErrIncomplete) {
			// A copy of its own: b is netpoll's. The length has been judged, so
			// this and what completes it stay within one frame.
			c.partial = append(c.partial, b...)
			return
		}
		if err != nil {
			c.refuse(err)
			return
		}
		(*c.receiver.Load()).Receive(frame)
		b = b[size:]
		if len(b) == 0 {
			return
		}
		if c.held {
			c.holdLocked(b)
			return
		}
		if c.Closing() {
			c.discardLocked(len(b))
			return
		}
	}
}

// completeLocked adds to the partial frame as much of b as it lacks, and parses
// the rest of b where it lies.
func (c *Conn) completeLocked(b []byte) {
	for len(b) > 0 && len(c.partial) > 0 {
		n := min(missing(c.partial), len(b))
		c.partial = append(c.partial, b[:n]...)
		b = b[n:]
		frame, _, err := wire.ParseStream(c.partial, c.listener.limits.FrameBytesMax, wire.FromClient)
		if errors.Is(err, wire.ErrIncomplete) {
			continue
		}
		if err != nil {
			c.partial = nil
			c.refuse(err)
			return
		}
		c.partial = nil // an idle connection keeps no buffer; the frame still aliases it
		(*c.receiver.Load()).Receive(frame)
	}
	switch {
	case len(b) == 0:
	case c.held:
		c.holdLocked(b)
	case c.Closing():
		c.discardLocked(len(b))
	default:
		c.parseLocked(b)
	}
}

// missing is how many bytes the frame at the start of b lacks, as far as b tells.
func missing(b []byte) int {
	if len(b) < 4 {
		return 4 - len(b)
	}
	return 4 + int(binary.BigEndian.Uint32(b)) - len(b)
}

func (c *Conn) refuse(err error) {
	var refused *wire.ProtocolError
	if !errors.As(err, &refused) {
		refused = &wire.ProtocolError{Code: wire.CloseProtocolError, Message: "malformed frame"}
	}
	(*c.receiver.Load()).Refuse(refused)
}

// Hold keeps the frames that come until Release. Call it from Receive: the
// frames behind the present one wait. A client that sends more than a frame and
// 64 KiB meanwhile is refused.
func (c *Conn) Hold() { c.held = true }

// Release hands out what came since Hold, on the caller's goroutine, and lets
// later frames through.
func (c *Conn) Release() {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	c.held = false
	b := c.partial
	c.partial = nil
	if c.Closing() {
		c.discardLocked(len(b))
		return
	}
	c.parseLocked(b)
}

func (c *Conn) holdLocked(b []byte) {
	if len(c.partial)+len(b) > c.listener.limits.FrameBytesMax+heldBytesMax {
		c.partial = nil
		(*c.receiver.Load()).Refuse(&wire.ProtocolError{
			Code:    wire.CloseFlowControl,
			Message: "too many bytes sent ahead of WELCOME",
		})
		return
	}
	c.partial = append(c.partial, b...)
}

// discardLocked throws n bytes away, and the connection too when it keeps on
// sending.
func (c *Conn) discardLocked(n int) {
	c.partial = nil
	c.discarded += n
	if c.discarded > discardBytesMax {
		c.Abort()
	}
}
