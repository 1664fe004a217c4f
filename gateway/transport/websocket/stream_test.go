package websocket

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

// First bytes of frames.
const (
	cont   = "\x00"
	text   = "\x01"
	bin    = "\x02"
	closes = "\x88"
	ping   = "\x89"
	pong   = "\x8a"

	lastCont  = "\x80"
	wholeText = "\x81"
	wholeBin  = "\x82"
)

// testMask is that of the example in RFC 6455 section 5.7.
const testMask = "\x37\xfa\x21\x3d"

// length is n as the length of a masked frame, in its shortest form.
func length(n int) string {
	switch {
	case n < 126:
		return string([]byte{maskBit | byte(n)})
	case n < 1<<16:
		return "\xfe" + string(binary.BigEndian.AppendUint16(nil, uint16(n)))
	default:
		return "\xff" + string(binary.BigEndian.AppendUint64(nil, uint64(n)))
	}
}

// sent is a frame as a client sends it.
func sent(first, payload string) string {
	return first + length(len(payload)) + testMask + masked(payload)
}

// masked applies testMask a byte at a time.
func masked(payload string) string {
	b := []byte(payload)
	for i := range b {
		b[i] ^= testMask[i%4]
	}
	return string(b)
}

// closing is the payload of a Close.
func closing(code uint16, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, code)) + reason
}

// seen is an Event that outlives the next call.
type seen struct {
	kind Kind
	text string // Payload, or Reason
	code uint16
}

func (s seen) String() string {
	if len(s.text) > 40 {
		return fmt.Sprintf("%v %d %q...(%d)", s.kind, s.code, s.text[:40], len(s.text))
	}
	return fmt.Sprintf("%v %d %q", s.kind, s.code, s.text)
}

// outcome is what a stream came to.
type outcome struct {
	events []seen
	code   uint16 // of the fault, or 0
	at     int    // how many bytes had been given when it came
}

// say makes the outcome without a fault.
func say(events ...seen) outcome { return outcome{events: events} }

// fault adds one.
func (o outcome) fault(code uint16) outcome {
	o.code = code
	return o
}

func message(s string) seen { return seen{kind: Message, text: s} }

// run gives a stream in pieces to a decoder. It checks what must be true whatever
// comes: how many bytes are taken, that nothing of the caller's is kept, how much
// is buffered, and that the end is the end.
func run(t *testing.T, asText bool, limit int, pieces ...string) outcome {
	t.Helper()
	d := NewDecoder(asText, limit)
	var o outcome
	for _, piece := range pieces {
		if o.code != 0 {
			break
		}
		b := []byte(piece)
		o.at += len(b)
		for len(b) > 0 && o.code == 0 {
			ev, n, err := d.Next(b)
			if n < 0 || n > len(b) || ev.Kind == None && err == nil && n != len(b) {
				t.Fatalf("Next(%d bytes) took %d, event %v", len(b), n, ev.Kind)
			}
			if err != nil {
				checkFault(t, d, err)
				o.code = err.(*Fault).Code
				break
			}
			if ev.Kind != None {
				o.events = append(o.events, seen{ev.Kind, string(ev.Payload) + string(ev.Reason), ev.Code})
			}
			clear(b[:n]) // the next read's bytes may lie there
			b = b[n:]
			checkBuffers(t, d, limit)
		}
	}
	if o.code == 0 {
		o.at = 0
	}
	return o
}

// checkFault: it fits a Close, buffers are gone, and it comes again.
func checkFault(t *testing.T, d *Decoder, err error) {
	t.Helper()
	fault := err.(*Fault)
	if got := string(AppendClose(nil, fault.Code, fault.Message)[4:]); got != fault.Message {
		t.Fatalf("fault %q is cut to %q", fault.Message, got)
	}
	if d.message != nil || d.control != nil {
		t.Fatal("buffers are kept after a fault")
	}
	if _, n, again := d.Next([]byte(sent(ping, ""))); n != 0 || again != err {
		t.Fatalf("Next after a fault = %d, %v, want 0, %v", n, again, err)
	}
}

// checkBuffers: as much as has come is kept, twice of it at most, and nothing of
// a message that is over; text has been checked as far as it goes.
func checkBuffers(t *testing.T, d *Decoder, limit int) {
	t.Helper()
	if have, room := len(d.message), cap(d.message); room > max(limit, 0) || room > 2*have {
		t.Fatalf("%d bytes of memory for %d of a message of at most %d", room, have, limit)
	}
	if unchecked := len(d.message) - d.checked; d.text && unchecked > 3 {
		t.Fatalf("%d bytes of text will be looked at again, want part of a character", unchecked)
	}
	if d.fragments == 0 && d.message != nil || !d.inFrame && d.control != nil {
		t.Fatal("a buffer is kept between messages")
	}
	if cap(d.control) > 256 {
		t.Fatalf("%d bytes of memory for a control frame", cap(d.control))
	}
}

// bytewise cuts s into single bytes.
func bytewise(s string) []string {
	pieces := make([]string, len(s))
	for i := range len(s) { // not its characters
		pieces[i] = s[i : i+1]
	}
	return pieces
}

// cutAtRandom cuts s into pieces of up to 2*mean bytes.
func cutAtRandom(rnd *rand.Rand, s string, mean int) (pieces []string) {
	for len(s) > 0 {
		n := min(1+rnd.IntN(2*mean), len(s))
		pieces, s = append(pieces, s[:n]), s[n:]
	}
	return pieces
}
