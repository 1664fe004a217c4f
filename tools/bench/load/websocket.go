package load

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// What a loader needs of RFC 6455 is little: whole messages in one frame, masked
// on their way out. It is not a client to learn from.
const (
	wsFinal  = 0x80
	wsBinary = 0x2
	wsClose  = 0x8
	wsMasked = 0x80
	// wsHeadMax is the longest head of a frame of ours.
	wsHeadMax = 2 + 8 + 4
	// wsAnswerMax bounds the answer to the handshake.
	wsAnswerMax = 4 << 10
)

// wsHandshake asks for a WebSocket. Its key may be the same each time: it keeps
// caches from answering, and here is none.
var wsHandshake = []byte("GET /v1/ws HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + base64.StdEncoding.EncodeToString([]byte("holdfast bench 1")) +
	"\r\nSec-WebSocket-Protocol: holdfast.v1\r\n\r\n")

// wsAccepted tells how long the answer to the handshake is at the start of b: 0
// while it is incomplete, and whether it is the one hoped for.
func wsAccepted(b []byte) (size int, ok bool) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, len(b) <= wsAnswerMax
	}
	head := bytes.ToLower(b[:end+2])
	return end + 4, bytes.HasPrefix(head, []byte("http/1.1 101 ")) && bytes.Contains(head, []byte("\r\nsec-websocket-protocol: holdfast.v1\r\n"))
}

// appendWS appends f as a masked message. It does not allocate when dst has room.
func appendWS(dst []byte, f *wire.Frame, mask uint32) ([]byte, error) {
	start := len(dst)
	var room [wsHeadMax]byte
	b, err := wire.Binary.Append(append(dst, room[:]...), f)
	if err != nil {
		return dst, err
	}
	payload := b[start+wsHeadMax:]
	maskBytes(payload, mask)
	head := appendWSHead(b[:start], wsBinary, len(payload), mask)
	return b[:len(head)+copy(b[len(head):], payload)], nil
}

// appendWSHead appends the head of a masked frame with n bytes of payload.
func appendWSHead(dst []byte, op byte, n int, mask uint32) []byte {
	dst = append(dst, wsFinal|op)
	switch {
	case n < 126:
		dst = append(dst, wsMasked|byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, wsMasked|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, wsMasked|127), uint64(n))
	}
	return binary.LittleEndian.AppendUint32(dst, mask)
}

// maskBytes masks b, or unmasks it.
func maskBytes(b []byte, mask uint32) {
	twice := uint64(mask)<<32 | uint64(mask)
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^twice)
	}
	for i := range b {
		b[i] ^= byte(mask >> (8 * (i % 4)))
	}
}

// wsFrame is the frame at the start of b. size is 0 while it is incomplete, -1
// when a gateway cannot have sent it.
func wsFrame(b []byte) (op byte, payload []byte, size int) {
	if len(b) < 2 {
		return 0, nil, 0
	}
	if b[0]&^0xf != wsFinal || b[1]&wsMasked != 0 {
		return 0, nil, -1
	}
	n, head := uint64(b[1]), 2
	switch n {
	case 126:
		head = 4
	case 127:
		head = 10
	}
	if len(b) < head {
		return 0, nil, 0
	}
	switch head {
	case 4:
		n = uint64(binary.BigEndian.Uint16(b[2:]))
	case 10:
		n = binary.BigEndian.Uint64(b[2:])
	}
	switch {
	case n > frameBytesMax:
		return 0, nil, -1
	case len(b)-head < int(n):
		return 0, nil, 0
	}
	return b[0] & 0xf, b[head : head+int(n)], head + int(n)
}

// upgraded takes the answer to the handshake and says HELLO.
func (l *loop) upgraded(c *conn, b []byte) (rest []byte, done bool) {
	size, ok := wsAccepted(b)
	switch {
	case !ok:
		l.lose(c, KindUpgrade)
		return nil, true
	case size == 0:
		return b, true
	}
	l.greet(c)
	return b[size:], false
}

// takeWS is take for messages.
func (l *loop) takeWS(c *conn, b []byte, now int64) (rest []byte) {
	if c.state == stateUpgrading {
		var done bool
		if b, done = l.upgraded(c, b); done {
			return b
		}
	}
	for gen := c.gen; len(b) > 0 && c.gen == gen; {
		op, payload, size := wsFrame(b)
		if size == 0 {
			return b
		}
		if size < 0 {
			l.lose(c, KindFrame)
			return nil
		}
		b = b[size:]
		switch op {
		case wsBinary:
			f, err := wire.Parse(payload, wire.FromGateway)
			if err != nil {
				l.lose(c, KindFrame)
				return nil
			}
			l.handle(c, &f, now)
		case wsClose: // CLOSE has said why; the end of the stream follows
		default: // the gateway sends no others
			l.lose(c, KindFrame)
			return nil
		}
	}
	return nil
}
