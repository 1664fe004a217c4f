package transport

import (
	"encoding/binary"
	"errors"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// streamReader takes frames with their length in front. What it keeps is in the
// connection's partial.
type streamReader struct{}

func (streamReader) readLocked(c *Conn, b []byte) {
	if len(c.partial) > 0 {
		c.completeLocked(b)
		return
	}
	c.parseLocked(b)
}

// parseLocked hands out every whole frame of b and keeps the rest.
func (c *Conn) parseLocked(b []byte) {
	for len(b) > 0 {
		frame, size, err := wire.ParseStream(b, c.limits.FrameBytesMax, wire.FromClient)
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
		if len(b) == 0 || c.leftLocked(b) {
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
		frame, _, err := wire.ParseStream(c.partial, c.limits.FrameBytesMax, wire.FromClient)
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
	if len(b) > 0 && !c.leftLocked(b) {
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
