package wire

import (
	"errors"
	"fmt"
)

// ErrIncomplete means that the bytes so far are the beginning of a frame: read
// more and parse again from the same start.
var ErrIncomplete = errors.New("wire: frame is incomplete")

// ProtocolError is a refusal: what came, or what was to be sent, breaks the
// protocol. It is the only kind of error that this package returns besides
// ErrIncomplete.
type ProtocolError struct {
	// Code is what to close the connection with.
	Code CloseCode
	// Message names the field and its limit, in at most ReasonBytesMax
	// bytes of UTF-8. It holds nothing that the peer sent but numbers, so it
	// can be logged and sent back as it is.
	Message string
}

// Error is the message with the code's name before it.
func (e *ProtocolError) Error() string {
	return "wire: " + e.Code.String() + ": " + e.Message
}

// refusef makes the refusal with code 4500. The callers' formats are constant
// and their arguments numbers or names of ours, so only a mistake of ours would
// need the trimming.
func refusef(format string, args ...any) *ProtocolError {
	return &ProtocolError{Code: CloseProtocolError, Message: TrimReason(fmt.Sprintf(format, args...))}
}
