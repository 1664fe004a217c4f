package wire

import "unicode/utf8"

// Type says which frame it is, and is its first byte.
type Type uint8

// The frame types. The numbers are the protocol's: never renumber one.
const (
	TypeHello   Type = 0x01
	TypeWelcome Type = 0x02
	TypeRequest Type = 0x03
	TypeReply   Type = 0x04
	TypePush    Type = 0x05
	TypeAck     Type = 0x06
	TypePing    Type = 0x07
	TypePong    Type = 0x08
	TypeGoAway  Type = 0x09
	TypeClose   Type = 0x0A
)

// Side says who sent what is being parsed.
type Side uint8

// The sides of a connection.
const (
	FromClient Side = iota
	FromGateway
)

// String is "client" or "gateway".
func (s Side) String() string {
	if s == FromClient {
		return "client"
	}
	return "gateway"
}

// other is the side that s talks to.
func (s Side) other() Side { return s ^ 1 }

// bodyUnbounded stands for a body that only max_frame bounds.
const bodyUnbounded = FrameBytesMax

// form is what a frame's type fixes of it.
type form struct {
	name     string
	from     [2]bool // indexed by Side: who may send it
	min, max int     // bytes of the body, the type's own byte apart
}

var forms = [...]form{
	TypeHello:   {"hello", [2]bool{FromClient: true}, 2, bodyUnbounded},
	TypeWelcome: {"welcome", [2]bool{FromGateway: true}, 2, bodyUnbounded},
	TypeRequest: {"request", [2]bool{FromClient: true}, 6, bodyUnbounded},
	TypeReply:   {"reply", [2]bool{FromGateway: true}, 6, bodyUnbounded},
	TypePush:    {"push", [2]bool{FromGateway: true}, 10, bodyUnbounded},
	TypeAck:     {"ack", [2]bool{FromClient: true}, 8, 8},
	TypePing:    {"ping", [2]bool{true, true}, 0, PingBytesMax},
	TypePong:    {"pong", [2]bool{true, true}, 0, PingBytesMax},
	TypeGoAway:  {"goaway", [2]bool{FromGateway: true}, 2, bodyUnbounded},
	TypeClose:   {"close", [2]bool{true, true}, 2, 2 + ReasonBytesMax},
}

// Valid reports whether t is one of the ten.
func (t Type) Valid() bool { return t >= TypeHello && t <= TypeClose }

// String is the type's lower-case name, which is also the type of a JSON frame.
func (t Type) String() string {
	if !t.Valid() {
		return "unknown"
	}
	return forms[t].name
}

// SentBy reports whether side may send a frame of type t.
func (t Type) SentBy(side Side) bool { return t.Valid() && forms[t].from[side] }

// Frame is any frame. Type says which fields mean something; the others are
// zero after parsing and ignored when encoding:
//
//	HELLO, WELCOME, GOAWAY   Payload (the JSON object)
//	REQUEST                  ID, Command, Payload
//	REPLY                    ID, Status, Flags, Payload
//	PUSH                     Seq, Command, Payload
//	ACK                      Seq
//	PING, PONG               Payload (the data)
//	CLOSE                    Code, Reason
//
// It is one flat struct so that a frame costs no allocation. All slices of a
// parsed Frame alias the input; see the package's comment on memory.
type Frame struct {
	Type    Type
	ID      uint32
	Seq     uint64 // 0 in a PUSH: transient, neither kept nor acknowledged
	Command []byte
	Status  Status
	Flags   Flags
	Payload []byte
	Code    CloseCode
	Reason  []byte
}

// checkHead judges what a frame's type and the length of its body tell, which
// is all that is known before the rest of it has arrived.
func checkHead(t Type, body int, from Side) error {
	if !t.Valid() {
		return refusef("type: 0x%02x, want 0x01 to 0x0a", uint8(t))
	}
	fm := &forms[t]
	if !fm.from[from] {
		return refusef("type: %s is sent by the %s only", fm.name, from.other())
	}
	return checkBody(fm, body)
}

// checkBody judges the length of a body, its type's byte apart.
func checkBody(fm *form, body int) error {
	switch {
	case body >= fm.min && body <= fm.max:
		return nil
	case fm.max == bodyUnbounded && body < fm.min:
		return refusef("%s: a body of %d bytes, want at least %d", fm.name, body, fm.min)
	case fm.min == fm.max:
		return refusef("%s: a body of %d bytes, want %d", fm.name, body, fm.min)
	default:
		return refusef("%s: a body of %d bytes, want %d to %d", fm.name, body, fm.min, fm.max)
	}
}

// check judges everything in f that both codecs share, so that what one
// accepts the other can express, and nothing is sent that would be refused.
func (f *Frame) check() error {
	switch f.Type {
	case TypeRequest:
		if f.ID == 0 {
			return refusef("request id: 0, want 1 to 4294967295")
		}
		return f.checkCommand()
	case TypeReply:
		return f.checkReply()
	case TypePush:
		if f.Seq > SeqMax {
			return refusef("push seq: over 9223372036854775807")
		}
		return f.checkCommand()
	case TypeAck:
		if f.Seq > SeqMax {
			return refusef("ack seq: over 9223372036854775807")
		}
		return nil
	case TypePing, TypePong:
		if len(f.Payload) > PingBytesMax {
			return refusef("%s data: %d bytes, at most %d", f.Type, len(f.Payload), PingBytesMax)
		}
		return nil
	case TypeHello, TypeWelcome, TypeGoAway:
		return checkObject(f.Type, f.Payload)
	case TypeClose:
		return f.checkReason()
	default:
		return refusef("type: 0x%02x, want 0x01 to 0x0a", uint8(f.Type))
	}
}

func (f *Frame) checkCommand() error {
	switch {
	case ValidCommand(f.Command):
		return nil
	case len(f.Command) == 0 || len(f.Command) > CommandBytesMax:
		return refusef("%s command: %d bytes, want 1 to %d", f.Type, len(f.Command), CommandBytesMax)
	default:
		return refusef("%s command: bytes other than a-z 0-9 . _ - after an optional leading $", f.Type)
	}
}

func (f *Frame) checkReply() error {
	switch {
	case f.ID == 0:
		return refusef("reply id: 0, want 1 to 4294967295")
	case !f.Status.Valid():
		return refusef("reply status: %d, want 0 to %d", f.Status, StatusMax)
	case f.Flags&^FlagOriginGateway != 0:
		return refusef("reply flags: 0x%02x, only bit 0 has a meaning", uint8(f.Flags))
	default:
		return nil
	}
}

func (f *Frame) checkReason() error {
	switch {
	case len(f.Reason) > ReasonBytesMax:
		return refusef("close reason: %d bytes, at most %d", len(f.Reason), ReasonBytesMax)
	case !utf8.Valid(f.Reason):
		return refusef("close reason: not UTF-8")
	default:
		return nil
	}
}
