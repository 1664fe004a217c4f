package transport

import (
	"encoding/binary"

	"github.com/holdfast-io/holdfast/gateway/transport/websocket"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// framing is how frames stand in the bytes of one kind of connection. It has no
// state, so one value serves all connections of its kind.
type framing interface {
	encoding() wire.Encoding
	// appendEncoded puts behind dst a frame that is in encoding already.
	appendEncoded(dst, frame []byte) []byte
	// appendEnd says behind dst that nothing follows. echo is the code of a peer
	// that has said so first, 0 when it has not.
	appendEnd(dst []byte, code wire.CloseCode, reason string, echo uint16) []byte
	// frameLen is the length of the frame that b begins with; the whole of its
	// head is there.
	frameLen(b []byte) int
}

// appendFrame encodes frame behind dst. It is not a method of framing, by which
// every frame that is queued would have to be allocated.
func appendFrame(f framing, dst []byte, frame *wire.Frame) ([]byte, error) {
	switch f := f.(type) {
	case streamFraming:
		return wire.AppendStream(dst, frame)
	case wsFraming:
		return f.append(dst, frame)
	default: // rawFraming has no frames of ours
		return dst, nil
	}
}

// streamFraming is tcp and tls: a length before each frame.
type streamFraming struct{}

func (streamFraming) encoding() wire.Encoding { return wire.Stream }

func (streamFraming) appendEncoded(dst, frame []byte) []byte { return append(dst, frame...) }

func (streamFraming) appendEnd(dst []byte, code wire.CloseCode, reason string, _ uint16) []byte {
	b, err := wire.AppendStream(dst, &wire.Frame{Type: wire.TypeClose, Code: code, Reason: []byte(reason)})
	if err != nil { // cannot be: the reason is trimmed
		return dst
	}
	return b
}

func (streamFraming) frameLen(b []byte) int { return 4 + int(binary.BigEndian.Uint32(b)) }

// wsFraming is ws and wss: a message for each frame.
type wsFraming struct{ text bool }

func (w wsFraming) encoding() wire.Encoding {
	if w.text {
		return wire.JSON
	}
	return wire.Binary
}

func (w wsFraming) append(dst []byte, f *wire.Frame) ([]byte, error) {
	b, start := websocket.Begin(dst)
	b, err := w.encoding().Append(b, f)
	if err != nil {
		return dst, err
	}
	return websocket.End(b, start, w.text), nil
}

func (w wsFraming) appendEncoded(dst, frame []byte) []byte {
	return websocket.AppendMessage(dst, w.text, frame)
}

// wsNoStatus stands for a close frame without a code (RFC 6455 section 7.1.5).
const wsNoStatus = 1005

// appendEnd says CLOSE in a frame and the same code in the close frame. A peer
// that closed first gets its own code back, and faults of the WebSocket layer
// have no frame of ours.
func (w wsFraming) appendEnd(dst []byte, code wire.CloseCode, reason string, echo uint16) []byte {
	switch echo {
	case 0:
	case wsNoStatus: // a close frame without a code is answered by its like
		return websocket.AppendControl(dst, websocket.Close, nil)
	default:
		return websocket.AppendClose(dst, echo, "")
	}
	if code.Named() {
		if b, err := w.append(dst, &wire.Frame{Type: wire.TypeClose, Code: code, Reason: []byte(reason)}); err == nil {
			dst = b
		}
	}
	return websocket.AppendClose(dst, uint16(code), reason)
}

func (wsFraming) frameLen(b []byte) int { return websocket.FrameLen(b) }

// rawFraming is HTTP before it has become something else: bytes without frames
// of ours, that cannot be told apart.
type rawFraming struct{}

func (rawFraming) encoding() wire.Encoding { return wire.JSON }

func (rawFraming) appendEncoded(dst, _ []byte) []byte { return dst }

func (rawFraming) appendEnd(dst []byte, _ wire.CloseCode, _ string, _ uint16) []byte { return dst }

func (rawFraming) frameLen(b []byte) int { return len(b) }
