package transport

import (
	"context"
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

// reader understands what comes on a connection, one stage of it at a time: the
// PROXY header, then the first byte, then frames, messages or requests.
type reader interface {
	// readLocked takes all of b, whose bytes are the connection's until it
	// returns and may be changed. The reading lock is held. A reader that is
	// done puts the next in its place and gives it the rest.
	readLocked(c *Conn, b []byte)
}

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
	c.lastRead.Store(c.listener.Wheel.Now())
	c.gotBytes.Store(true)
	c.readMu.Lock()
	defer c.readMu.Unlock()
	switch {
	case c.Closing():
		c.discardLocked(len(b))
	case c.tls != nil:
		c.decryptLocked(b)
	default:
		c.takeLocked(b)
	}
}

// takeLocked gives b, which is not or no longer encrypted, to whoever understands it.
func (c *Conn) takeLocked(b []byte) {
	switch {
	case len(b) == 0:
	case c.held:
		c.holdLocked(b)
	default:
		c.reader.readLocked(c, b)
	}
}

// leftLocked looks after what stands behind a frame that was handed out, and
// reports whether it has to wait or is no longer wanted.
func (c *Conn) leftLocked(b []byte) (done bool) {
	switch {
	case c.held:
		c.holdLocked(b)
	case c.Closing():
		c.discardLocked(len(b))
	default:
		return false
	}
	return true
}

// refuse tells the receiver of bytes that are no frame.
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
	c.takeLocked(b)
}

func (c *Conn) holdLocked(b []byte) {
	if len(c.partial)+len(b) > c.limits.FrameBytesMax+heldBytesMax {
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
		c.reset()
	}
}

// Partial is how many bytes are kept of a frame, message or request that is not
// whole, or that waits. It blocks while a read of the connection is looked at.
func (c *Conn) Partial() int {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	n := len(c.partial)
	switch r := c.reader.(type) {
	case *wsReader:
		n += r.decoder.Buffered()
	case *httpConn:
		n += r.parser.Buffered()
	}
	return n
}
