package websocket

import (
	"fmt"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Kind says what has come.
type Kind uint8

// The kinds of events.
const (
	None    Kind = iota // nothing whole yet: more bytes are needed
	Message             // a whole message, its fragments put together
	Ping                // wants a Pong with the same payload
	Pong
	Close // the last event: what comes after it is ignored
)

// kindNames are in the order of the constants.
var kindNames = [...]string{"None", "Message", "Ping", "Pong", "Close"}

// String is the kind's name.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Event is one thing that a client said.
type Event struct {
	Kind Kind
	// Payload is what a Message, Ping or Pong carries, unmasked. It aliases the
	// bytes given to Next, or a buffer of the decoder's, and is valid until the
	// next call.
	Payload []byte
	// Code and Reason are a Close's. Code is CloseNoStatus when it has none.
	// Reason is UTF-8 and aliases memory as Payload does.
	Code   uint16
	Reason []byte
}

// The close codes of RFC 6455 that this package uses itself.
const (
	CloseProtocol    uint16 = 1002 // the framing is broken
	CloseUnsupported uint16 = 1003 // text where binary was agreed on, or the reverse
	CloseNoStatus    uint16 = 1005 // stands for a Close without a code, and is never sent
	CloseNotUTF8     uint16 = 1007 // text that is not UTF-8
	CloseFragments   uint16 = 1009 // more than FragmentsMax fragments
)

// CloseTooLarge is the protocol's own code for a message beyond the limit.
const CloseTooLarge = uint16(wire.CloseFrameTooLarge)

// Fault is why a connection cannot go on: close it with Code.
type Fault struct {
	Code uint16
	// Message names the rule or limit. It is at most wire.ReasonBytesMax bytes
	// and holds nothing that the peer sent but numbers, so it can be the reason
	// of the Close.
	Message string
}

// Error is the message with the code before it.
func (f *Fault) Error() string { return fmt.Sprintf("websocket: %d: %s", f.Code, f.Message) }

// faultf makes a Fault.
func faultf(code uint16, format string, args ...any) *Fault {
	return &Fault{Code: code, Message: fmt.Sprintf(format, args...)}
}
