package wire

import (
	"encoding/base64"
	"strconv"
)

// AppendJSON encodes f as one JSON frame and returns the extended dst. It
// refuses, with dst as it was, what ParseJSON would refuse. The caller holds it
// to max_frame: base64 makes a payload longer by a third.
//
// A payload that is JSON goes into the frame as it is, without the white space
// around it; it may hold line breaks, which matters to SSE. Any other payload,
// one that nests deeper than JSONDepthMax included, travels as payload_base64,
// and an empty one is left out.
func AppendJSON(dst []byte, f *Frame) ([]byte, error) {
	if err := f.check(); err != nil {
		return dst, err
	}
	switch f.Type {
	case TypeHello, TypeWelcome, TypeGoAway:
		return appendObject(dst, f)
	}
	dst = append(dst, `{"type":"`...)
	dst = append(dst, f.Type.String()...)
	dst = append(dst, '"')
	switch f.Type {
	case TypeRequest:
		dst = appendNumber(dst, "id", uint64(f.ID))
		dst = appendCommand(dst, f.Command)
		dst = appendPayload(dst, f.Payload)
	case TypeReply:
		dst = appendNumber(dst, "id", uint64(f.ID))
		dst = appendNumber(dst, "status", uint64(f.Status))
		if f.Flags.FromGateway() {
			dst = append(dst, `,"gateway":true`...)
		}
		dst = appendPayload(dst, f.Payload)
	case TypePush:
		dst = appendNumber(dst, "seq", f.Seq)
		dst = appendCommand(dst, f.Command)
		dst = appendPayload(dst, f.Payload)
	case TypeAck:
		dst = appendNumber(dst, "seq", f.Seq)
	case TypePing, TypePong:
		dst = appendBase64(dst, "data", f.Payload)
	case TypeClose:
		dst = appendNumber(dst, "code", uint64(f.Code))
		if len(f.Reason) > 0 {
			dst = appendString(appendName(dst, "reason"), f.Reason)
		}
	}
	return append(dst, '}'), nil
}

// appendObject encodes HELLO, WELCOME and GOAWAY: their object, with the type in
// front unless it has one, which f.check found to be the right one.
func appendObject(dst []byte, f *Frame) ([]byte, error) {
	obj := trimSpaceRight(f.Payload[skipSpace(f.Payload, 0):])
	typ, err := objectType(f.Type, obj)
	if err != nil {
		return dst, err
	}
	if typ != nil {
		return append(dst, obj...), nil
	}
	dst = append(dst, `{"type":"`...)
	dst = append(dst, f.Type.String()...)
	dst = append(dst, '"')
	rest := obj[skipSpace(obj, 1):] // the first member, or the closing brace
	if rest[0] != '}' {
		dst = append(dst, ',')
	}
	return append(dst, rest...), nil
}

// appendName appends a comma and a member's name. Names are ours and need no
// escapes.
func appendName(dst []byte, name string) []byte {
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	return append(dst, '"', ':')
}

func appendNumber(dst []byte, name string, n uint64) []byte {
	return strconv.AppendUint(appendName(dst, name), n, 10)
}

// appendCommand appends a command, whose alphabet needs no escapes.
func appendCommand(dst, command []byte) []byte {
	dst = append(appendName(dst, "command"), '"')
	dst = append(dst, command...)
	return append(dst, '"')
}

// appendPayload appends a payload in the form that fits it; empty: nothing.
func appendPayload(dst, payload []byte) []byte {
	if value := validValue(payload); value != nil {
		return append(appendName(dst, "payload"), value...)
	}
	return appendBase64(dst, "payload_base64", payload)
}

// appendBase64 appends a member of base64; empty: nothing.
func appendBase64(dst []byte, name string, b []byte) []byte {
	if len(b) == 0 {
		return dst
	}
	dst = append(appendName(dst, name), '"')
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}
