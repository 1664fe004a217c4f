package websocket

import (
	"encoding/binary"

	"github.com/gobwas/ws"
)

const (
	// FragmentsMax bounds the frames of one message. Clients fragment at 16 KiB
	// or more, where 64 suffice for a megabyte.
	FragmentsMax = 1024

	controlBytesMax = ws.MaxControlFramePayloadSize
	headBytesMax    = ws.MaxHeaderSize // with a 64-bit length and a mask

	finBit    = 0x80
	rsvBits   = 0x70
	opBits    = 0x0f
	maskBit   = 0x80
	lenBits   = 0x7f
	length16  = 126 // the length follows in 2 bytes
	length64  = 127 // the length follows in 8 bytes
	maskBytes = 4
)

// frame is the head of the frame that is being read.
type frame struct {
	op     ws.OpCode
	fin    bool
	mask   [maskBytes]byte
	offset uint8 // of the next payload byte in mask
	left   int   // payload bytes that have not come
}

// head reads the frame head at the start of b, as far as it is there, and holds
// it to every rule that can be judged: in the order of its bytes, so that a head
// in pieces breaks the same rule as a whole one. size is 0 while it is
// incomplete.
func (d *Decoder) head(b []byte) (f frame, size int, fault *Fault) {
	if len(b) == 0 {
		return f, 0, nil
	}
	f.op, f.fin = ws.OpCode(b[0]&opBits), b[0]&finBit != 0
	if fault := d.checkKind(b[0]&rsvBits != 0, f.op, f.fin); fault != nil {
		return f, 0, fault
	}
	if len(b) < 2 {
		return f, 0, nil
	}
	short := b[1] & lenBits
	if fault := checkShort(b[1]&maskBit != 0, f.op, short); fault != nil {
		return f, 0, fault
	}
	n, lengthEnd := uint64(short), 2
	switch short {
	case length16:
		lengthEnd = 4
		if len(b) < lengthEnd {
			return f, 0, nil
		}
		n = uint64(binary.BigEndian.Uint16(b[2:]))
	case length64:
		lengthEnd = 10
		if len(b) < lengthEnd {
			return f, 0, nil
		}
		n = binary.BigEndian.Uint64(b[2:])
	}
	if fault := d.checkLength(f.op, short, n); fault != nil {
		return f, 0, fault
	}
	size = lengthEnd + maskBytes
	if len(b) < size {
		return f, 0, nil
	}
	f.left = int(n)
	f.mask = [maskBytes]byte(b[lengthEnd:size])
	return f, size, nil
}

// checkKind judges the first byte of a head.
func (d *Decoder) checkKind(rsv bool, op ws.OpCode, fin bool) *Fault {
	switch {
	case rsv:
		return faultf(CloseProtocol, "reserved bits are set without an extension")
	case op.IsReserved():
		return faultf(CloseProtocol, "opcode %d is unknown", op)
	case op.IsControl():
		if !fin {
			return faultf(CloseProtocol, "a control frame is fragmented")
		}
		return nil
	case op == ws.OpContinuation:
		if d.fragments == 0 {
			return faultf(CloseProtocol, "a continuation without a message to continue")
		}
		if d.fragments >= FragmentsMax {
			return faultf(CloseFragments, "a message of more than %d fragments", FragmentsMax)
		}
		return nil
	case d.fragments > 0:
		return faultf(CloseProtocol, "a new message inside a fragmented one")
	case op == ws.OpText && !d.text:
		return faultf(CloseUnsupported, "text message, want binary")
	case op == ws.OpBinary && d.text:
		return faultf(CloseUnsupported, "binary message, want text")
	}
	return nil
}

// checkShort judges the second byte of a head.
func checkShort(masked bool, op ws.OpCode, short byte) *Fault {
	switch {
	case !masked:
		return faultf(CloseProtocol, "a client's frame is not masked")
	case op.IsControl() && short > controlBytesMax:
		return faultf(CloseProtocol, "a control frame of more than %d bytes", controlBytesMax)
	case op == ws.OpClose && short == 1:
		return faultf(CloseProtocol, "a close code of 1 byte, want 2")
	}
	return nil
}

// checkLength judges a length that stood as short in the second byte.
func (d *Decoder) checkLength(op ws.OpCode, short byte, n uint64) *Fault {
	switch {
	case n>>63 != 0:
		return faultf(CloseProtocol, "a length with its top bit set")
	case short == length16 && n < length16, short == length64 && n < 1<<16:
		return faultf(CloseProtocol, "length %d is not in its shortest form", n)
	case op.IsData() && n > uint64(d.messageBytesMax-len(d.message)):
		return faultf(CloseTooLarge, "message: %d bytes, at most %d", n+uint64(len(d.message)), d.messageBytesMax)
	}
	return nil
}
