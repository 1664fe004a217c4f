package wire

import "encoding/binary"

// Parse decodes one binary frame without its length, as in one WebSocket
// message. The frame's slices alias body. The error is a *ProtocolError with
// code 4500.
func Parse(body []byte, from Side) (Frame, error) {
	if len(body) == 0 {
		return Frame{}, refusef("frame: 0 bytes, want at least 1")
	}
	t := Type(body[0])
	b := body[1:]
	if err := checkHead(t, len(b), from); err != nil {
		return Frame{}, err
	}
	f := Frame{Type: t}
	switch t {
	case TypeRequest:
		f.ID = binary.BigEndian.Uint32(b)
		b = b[4:]
	case TypeReply:
		f.ID, f.Status, f.Flags = binary.BigEndian.Uint32(b), Status(b[4]), Flags(b[5])
		b = b[6:]
	case TypePush:
		f.Seq = binary.BigEndian.Uint64(b)
		b = b[8:]
	case TypeAck:
		f.Seq = binary.BigEndian.Uint64(b)
		b = nil
	case TypeClose:
		f.Code, f.Reason = CloseCode(binary.BigEndian.Uint16(b)), b[2:]
		b = nil
	}
	if t == TypeRequest || t == TypePush {
		n := int(b[0]) // checkHead saw to it that there is one
		if len(b) <= n {
			return Frame{}, refusef("%s command: %d bytes named, %d left", t, n, len(b)-1)
		}
		f.Command, b = b[1:1+n], b[1+n:]
	}
	f.Payload = b
	if err := f.check(); err != nil {
		return Frame{}, err
	}
	return f, nil
}

// BinaryLen is how many bytes Append adds for f: the frame without its length.
func (f *Frame) BinaryLen() int {
	switch f.Type {
	case TypeRequest:
		return 6 + len(f.Command) + len(f.Payload)
	case TypeReply:
		return 7 + len(f.Payload)
	case TypePush:
		return 10 + len(f.Command) + len(f.Payload)
	case TypeAck:
		return 9
	case TypeClose:
		return 3 + len(f.Reason)
	default:
		return 1 + len(f.Payload)
	}
}

// Append encodes f as one binary frame without its length and returns the
// extended dst. It refuses, with dst as it was, what Parse would refuse, and a
// frame over FrameBytesMax (4501). The caller holds it to the peer's max_frame.
func Append(dst []byte, f *Frame) ([]byte, error) {
	if err := f.check(); err != nil {
		return dst, err
	}
	if n := f.BinaryLen(); n > FrameBytesMax {
		return dst, tooLarge(uint64(n), FrameBytesMax)
	}
	return appendBinary(dst, f), nil
}

// appendBinary encodes a frame that was checked.
func appendBinary(dst []byte, f *Frame) []byte {
	dst = append(dst, byte(f.Type))
	switch f.Type {
	case TypeRequest:
		dst = binary.BigEndian.AppendUint32(dst, f.ID)
		dst = append(dst, byte(len(f.Command)))
		dst = append(dst, f.Command...)
		return append(dst, f.Payload...)
	case TypeReply:
		dst = binary.BigEndian.AppendUint32(dst, f.ID)
		dst = append(dst, byte(f.Status), byte(f.Flags))
		return append(dst, f.Payload...)
	case TypePush:
		dst = binary.BigEndian.AppendUint64(dst, f.Seq)
		dst = append(dst, byte(len(f.Command)))
		dst = append(dst, f.Command...)
		return append(dst, f.Payload...)
	case TypeAck:
		return binary.BigEndian.AppendUint64(dst, f.Seq)
	case TypeClose:
		dst = binary.BigEndian.AppendUint16(dst, uint16(f.Code))
		return append(dst, f.Reason...)
	default: // HELLO, WELCOME, GOAWAY, PING, PONG
		return append(dst, f.Payload...)
	}
}
