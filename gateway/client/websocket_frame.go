package client

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"unicode/utf8"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// The WebSocket layer itself, RFC 6455 section 5, as a client needs it.

type opcode uint8

const (
	opContinuation opcode = 0x0
	opText         opcode = 0x1
	opBinary       opcode = 0x2
	opClose        opcode = 0x8
	opPing         opcode = 0x9
	opPong         opcode = 0xA
)

const (
	finBit  = 0x80
	maskBit = 0x80
	// clientHeadBytesMax is the longest head of a frame that we send.
	clientHeadBytesMax = 2 + 8 + 4
	// controlBytesMax bounds the payload of a control frame.
	controlBytesMax = 125
)

// The WebSocket layer's own close codes.
const (
	wsProtocolError wire.CloseCode = 1002
	wsUnsupported   wire.CloseCode = 1003
	wsNoStatus      wire.CloseCode = 1005
	wsNotUTF8       wire.CloseCode = 1007
	wsTooBig        wire.CloseCode = 1009
)

// wsHead is the head of a frame from the gateway.
type wsHead struct {
	op      opcode
	fin     bool
	head    int // bytes of the head
	payload int // bytes behind it
}

func wsFault(code wire.CloseCode, message string) error {
	return &wire.ProtocolError{Code: code, Message: "websocket: " + message}
}

// parseHead decodes the head at the beginning of b, and judges what the head
// alone tells; wire.ErrIncomplete while it is not all there.
func parseHead(b []byte) (h wsHead, err error) {
	if len(b) < 2 {
		return h, wire.ErrIncomplete
	}
	h = wsHead{op: opcode(b[0] & 0x0F), fin: b[0]&finBit != 0, head: 2, payload: int(b[1] & 0x7F)}
	switch {
	case b[0]&0x70 != 0:
		return h, wsFault(wsProtocolError, "a reserved bit is set")
	case b[1]&maskBit != 0:
		return h, wsFault(wsProtocolError, "masked by the gateway")
	case h.op > opBinary && h.op < opClose, h.op > opPong:
		return h, wsFault(wsProtocolError, "unknown opcode")
	case h.op >= opClose && (!h.fin || h.payload > controlBytesMax):
		return h, wsFault(wsProtocolError, "a control frame in fragments or longer than 125 bytes")
	case h.payload < 126:
		return h, nil
	}
	return parseLength(h, b)
}

// parseLength decodes a length of 2 or 8 bytes. What is longer than any frame of
// this protocol may be is refused here, so that it fits an int everywhere.
func parseLength(h wsHead, b []byte) (wsHead, error) {
	size, least := 2, uint64(126)
	if h.payload == 127 {
		size, least = 8, 1<<16
	}
	h.head += size
	if len(b) < h.head {
		return h, wire.ErrIncomplete
	}
	n := uint64(binary.BigEndian.Uint16(b[2:]))
	if size == 8 {
		n = binary.BigEndian.Uint64(b[2:])
	}
	switch {
	case n < least:
		return h, wsFault(wsProtocolError, "a length that would fit fewer bytes")
	case n > wire.FrameBytesMax:
		return h, wsFault(wsTooBig, "a message longer than any frame")
	}
	h.payload = int(n)
	return h, nil
}

// appendWebSocket appends one whole frame, masked as a client's must be. fill
// appends its payload; when it fails, dst comes back as it was.
func appendWebSocket(dst []byte, op opcode, fill func([]byte) ([]byte, error)) ([]byte, error) {
	start := len(dst)
	out, err := fill(append(dst, make([]byte, clientHeadBytesMax)...))
	if err != nil {
		return dst, err
	}
	payload := out[start+clientHeadBytesMax:]
	head := append(out[start:start], byte(op)|finBit)
	switch n := len(payload); {
	case n < 126:
		head = append(head, maskBit|byte(n))
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, maskBit|126), uint16(n))
	default:
		head = binary.BigEndian.AppendUint64(append(head, maskBit|127), uint64(n))
	}
	var key [4]byte
	rand.Read(key[:]) // must not be foreseen by whoever chose the payload, section 10.3
	head = append(head, key[:]...)
	body := out[start+len(head) : start+len(head)+len(payload)]
	copy(body, payload)
	mask(body, key)
	return out[:start+len(head)+len(payload)], nil
}

// mask applies the key, 8 bytes at a time as far as that goes.
func mask(b []byte, key [4]byte) {
	k := binary.LittleEndian.Uint32(key[:])
	wide := uint64(k)<<32 | uint64(k)
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^wide)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= key[i&3]
	}
}

// appendControl appends a control frame. payload is at most controlBytesMax.
func appendControl(dst []byte, op opcode, payload []byte) []byte {
	dst, _ = appendWebSocket(dst, op, func(b []byte) ([]byte, error) { return append(b, payload...), nil })
	return dst
}

// closePayload is the body of a close frame.
func closePayload(code wire.CloseCode, reason string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), wire.TrimReason(reason)...)
}

// parseClose decodes the body of a close frame.
func parseClose(b []byte) (wire.CloseCode, []byte, error) {
	if len(b) == 0 {
		return wsNoStatus, nil, nil
	}
	if len(b) == 1 {
		return 0, nil, wsFault(wsProtocolError, "a close frame of one byte")
	}
	code := wire.CloseCode(binary.BigEndian.Uint16(b))
	switch {
	case code < 1000, code >= 1004 && code <= 1006, code >= 1015 && code < 3000, code >= 5000:
		return 0, nil, wsFault(wsProtocolError, "a close code that must not be sent")
	case !utf8.Valid(b[2:]):
		return 0, nil, wsFault(wsNotUTF8, "a close reason that is not UTF-8")
	}
	return code, b[2:], nil
}

// incomplete says whether more bytes may help.
func incomplete(err error) bool { return errors.Is(err, wire.ErrIncomplete) }
