package transport

import (
	"errors"

	"github.com/holdfast-io/holdfast/gateway/transport/websocket"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// wsReader takes WebSocket messages, one frame of ours in each.
type wsReader struct {
	decoder *websocket.Decoder
	parse   func(b []byte, from wire.Side) (wire.Frame, error)
}

func newWSReader(text bool, frameBytesMax int) *wsReader {
	r := &wsReader{decoder: websocket.NewDecoder(text, frameBytesMax), parse: wire.Parse}
	if text {
		r.parse = wire.ParseJSON
	}
	return r
}

func (r *wsReader) readLocked(c *Conn, b []byte) {
	for len(b) > 0 {
		ev, n, err := r.decoder.Next(b)
		if err != nil {
			c.wsFault(err)
			return
		}
		b = b[n:]
		if !r.handle(c, ev) || (len(b) > 0 && c.leftLocked(b)) {
			return
		}
	}
}

// handle takes one event and reports whether the next may be looked at.
func (r *wsReader) handle(c *Conn, ev websocket.Event) bool {
	switch ev.Kind {
	case websocket.None:
		return false
	case websocket.Message:
		f, err := r.parse(ev.Payload, wire.FromClient)
		if err != nil {
			c.refuse(err)
			return true // leftLocked throws the rest away
		}
		(*c.receiver.Load()).Receive(f)
	case websocket.Ping:
		c.wsControl(websocket.Pong, ev.Payload)
	case websocket.Pong: // that bytes came is all that counts
	case websocket.Close:
		c.wsClosed(ev.Code)
	}
	return true
}

// wsControl answers on the WebSocket layer. A client that does not read gets no
// answer: the write deadline looks after it.
func (c *Conn) wsControl(kind websocket.Kind, payload []byte) {
	c.mu.Lock()
	if c.phase == phaseOpen && c.fitsLocked(len(payload), c.limits.OutboundBytesMax) {
		c.lendLocked()
		c.out.b = websocket.AppendControl(c.out.b, kind, payload)
	}
	c.mu.Unlock()
	c.Flush()
}

// wsClosed is the client's close frame: the same as CLOSE with that code. The
// receiver's answer repeats it, as RFC 6455 section 5.5.1 wants.
func (c *Conn) wsClosed(code uint16) {
	c.mu.Lock()
	c.echo = code
	c.mu.Unlock()
	(*c.receiver.Load()).Receive(wire.Frame{Type: wire.TypeClose, Code: wire.CloseCode(code)})
	c.CloseWith(wire.CloseNormal, "") // where the receiver has not
}

// wsFault ends a connection that breaks the rules of the WebSocket layer, with
// that layer's own code.
func (c *Conn) wsFault(err error) {
	refused := &wire.ProtocolError{Code: wire.CloseProtocolError, Message: "malformed message"}
	var fault *websocket.Fault
	if errors.As(err, &fault) {
		refused = &wire.ProtocolError{Code: wire.CloseCode(fault.Code), Message: fault.Message}
	}
	(*c.receiver.Load()).Refuse(refused)
}
