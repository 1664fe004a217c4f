package wire

import (
	"encoding/binary"
	"fmt"
)

// ParseStream decodes the frame at the beginning of b, which is what has been
// read of a stream, and reports how many bytes it took, its length included.
//
// A frame longer than maxFrame is refused (4501) as soon as its length is
// there, and one whose type or length cannot be right as soon as its type is
// there; only a frame that may still turn out well is ErrIncomplete. So a
// reader that keeps b until ErrIncomplete goes away never keeps more than
// StreamPrefixBytes+maxFrame bytes of one frame.
//
// The frame's slices alias b.
func ParseStream(b []byte, maxFrame int, from Side) (f Frame, size int, err error) {
	if len(b) < StreamPrefixBytes {
		return Frame{}, 0, ErrIncomplete
	}
	n := binary.BigEndian.Uint32(b)
	if n == 0 {
		return Frame{}, 0, refusef("length: 0, want at least 1")
	}
	if maxFrame = min(maxFrame, FrameBytesMax); uint64(n) > uint64(max(maxFrame, 0)) {
		return Frame{}, 0, tooLarge(uint64(n), maxFrame)
	}
	size = StreamPrefixBytes + int(n)
	if len(b) < size {
		if len(b) > StreamPrefixBytes {
			if err := checkHead(Type(b[StreamPrefixBytes]), int(n)-1, from); err != nil {
				return Frame{}, 0, err
			}
		}
		return Frame{}, 0, ErrIncomplete
	}
	f, err = Parse(b[StreamPrefixBytes:size:size], from)
	if err != nil {
		return Frame{}, 0, err
	}
	return f, size, nil
}

// AppendStream encodes f with its length before it. It refuses what Append
// refuses, with dst as it was.
func AppendStream(dst []byte, f *Frame) ([]byte, error) {
	if err := f.check(); err != nil {
		return dst, err
	}
	n := f.BinaryLen()
	if n > FrameBytesMax {
		return dst, tooLarge(uint64(n), FrameBytesMax)
	}
	return appendBinary(binary.BigEndian.AppendUint32(dst, uint32(n)), f), nil
}

// tooLarge refuses a frame for its length.
func tooLarge(n uint64, limit int) *ProtocolError {
	return &ProtocolError{
		Code:    CloseFrameTooLarge,
		Message: fmt.Sprintf("length: %d bytes, at most %d", n, limit),
	}
}
