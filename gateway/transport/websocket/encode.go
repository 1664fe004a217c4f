package websocket

import (
	"encoding/binary"

	"github.com/gobwas/ws"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// headReserved is what Begin leaves free: the head of a payload of 126 to 65535
// bytes, so only a shorter one (by 2 bytes) or a longer one (by 6) is moved.
const headReserved = 4

// Begin reserves room for a frame's head behind dst. Append the payload to b and
// give it to End with start, which is where the frame begins.
func Begin(dst []byte) (b []byte, start int) {
	return append(dst, make([]byte, headReserved)...), len(dst)
}

// End makes a frame, a whole message, of what stands in b since Begin. It does
// not allocate, unless the payload is longer than 65535 bytes and b has no room
// for 6 more.
func End(b []byte, start int, text bool) []byte {
	n := len(b) - start - headReserved
	switch size := headLen(n); {
	case size < headReserved:
		copy(b[start+size:], b[start+headReserved:])
		b = b[:start+size+n]
	case size > headReserved:
		b = append(b, make([]byte, size-headReserved)...)
		copy(b[start+size:], b[start+headReserved:start+headReserved+n])
	}
	appendHead(b[:start], messageOp(text), n)
	return b
}

// AppendMessage appends a message in one frame. It does not allocate when dst
// has room.
func AppendMessage(dst []byte, text bool, payload []byte) []byte {
	return append(appendHead(dst, messageOp(text), len(payload)), payload...)
}

// AppendControl appends a frame of kind Ping, Pong or Close, and no other, with
// payload as it is. A control frame has room for 125 bytes; what is beyond is cut
// off. A Pong's payload is that of its Ping.
func AppendControl(dst []byte, kind Kind, payload []byte) []byte {
	payload = payload[:min(len(payload), controlBytesMax)]
	return append(appendHead(dst, controlOp(kind), len(payload)), payload...)
}

// AppendClose appends a Close. The reason is cut to wire.ReasonBytesMax bytes. A
// code that may not travel, such as CloseNoStatus, makes a Close without a body,
// so the Code of a client's Close can be echoed as it is.
func AppendClose(dst []byte, code uint16, reason string) []byte {
	if !mayTravel(code) {
		return AppendControl(dst, Close, nil)
	}
	reason = wire.TrimReason(reason)
	dst = appendHead(dst, ws.OpClose, 2+len(reason))
	dst = binary.BigEndian.AppendUint16(dst, code)
	return append(dst, reason...)
}

// FrameLen is the length, its head included, of the frame of ours at the start
// of b. At least the head must be there.
func FrameLen(b []byte) int {
	switch short := int(b[1] & lenBits); short {
	case length16:
		return 4 + int(binary.BigEndian.Uint16(b[2:]))
	case length64:
		return 10 + int(binary.BigEndian.Uint64(b[2:]))
	default:
		return 2 + short
	}
}

// headLen is the length of the head before a payload of n bytes.
func headLen(n int) int {
	switch {
	case n < length16:
		return 2
	case n < 1<<16:
		return 4
	default:
		return 10
	}
}

// appendHead appends the head of an unmasked frame that is a whole message or a
// control frame.
func appendHead(dst []byte, op ws.OpCode, n int) []byte {
	first := finBit | byte(op)
	switch headLen(n) {
	case 2:
		return append(dst, first, byte(n))
	case 4:
		return append(dst, first, length16, byte(n>>8), byte(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, first, length64), uint64(n))
	}
}

func messageOp(text bool) ws.OpCode {
	if text {
		return ws.OpText
	}
	return ws.OpBinary
}

func controlOp(kind Kind) ws.OpCode {
	switch kind {
	case Ping:
		return ws.OpPing
	case Pong:
		return ws.OpPong
	case Close:
		return ws.OpClose
	default:
		panic("websocket: " + kind.String() + " is not a control frame")
	}
}
