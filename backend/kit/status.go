package kit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Status is the outcome of a packet as the client sees it: a gRPC canonical code.
type Status int32

// The statuses. A backend may use every one of them except OK in Fail.
const (
	OK                 Status = 0
	Canceled           Status = 1
	Unknown            Status = 2
	InvalidArgument    Status = 3
	DeadlineExceeded   Status = 4
	NotFound           Status = 5
	AlreadyExists      Status = 6
	PermissionDenied   Status = 7
	ResourceExhausted  Status = 8
	FailedPrecondition Status = 9
	Aborted            Status = 10
	OutOfRange         Status = 11
	Unimplemented      Status = 12
	Internal           Status = 13
	Unavailable        Status = 14
	DataLoss           Status = 15
	Unauthenticated    Status = 16
)

var statusNames = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
	"UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

// Valid reports whether s is one of the seventeen codes.
func (s Status) Valid() bool { return s >= 0 && int(s) < len(statusNames) }

// String returns the code's name, such as UNAVAILABLE.
func (s Status) String() string {
	if !s.Valid() {
		return fmt.Sprintf("STATUS_%d", int32(s))
	}
	return statusNames[s]
}

// Failure is the error by which a handler chooses what the client is told.
type Failure struct {
	Status  Status
	Payload []byte // goes to the client as it is
	message string
}

// Error implements error.
func (f *Failure) Error() string { return fmt.Sprintf("%s: %s", f.Status, f.message) }

// Fail ends a packet with a status and the payload {"message": message}.
// The client reads the message: say nothing in it that it should not know.
func Fail(status Status, message string) error {
	return &Failure{Status: status, Payload: messagePayload(message), message: message}
}

// FailPayload ends a packet with a status and a payload of the backend's own form.
func FailPayload(status Status, payload []byte) error {
	return &Failure{Status: status, Payload: payload, message: "payload given"}
}

func messagePayload(message string) []byte {
	b, err := json.Marshal(struct {
		Message string `json:"message"`
	}{message})
	if err != nil { // cannot be: a string always encodes
		return []byte(`{"message":""}`)
	}
	return b
}

// outcome is the only place where a handler's error becomes a status. unexpected
// tells that the error's text was kept from the client and belongs in the log.
func outcome(payload []byte, err error) (status Status, body []byte, unexpected bool) {
	var f *Failure
	switch {
	case err == nil:
		return OK, payload, false
	case errors.As(err, &f):
		if f.Status == OK || !f.Status.Valid() { // a mistake of the handler: an error is never OK
			return Internal, f.Payload, true
		}
		return f.Status, f.Payload, false
	case errors.Is(err, context.DeadlineExceeded):
		return DeadlineExceeded, messagePayload("deadline exceeded"), false
	case errors.Is(err, context.Canceled):
		return Canceled, messagePayload("canceled"), false
	default:
		return Internal, messagePayload("internal error"), true
	}
}

// CloseCode tells a client why its login was refused or its session ended, and
// so whether it comes back: 4000 to 4499 reconnect, 4500 to 4999 stop.
type CloseCode int32

// The close codes that a backend has use for.
const (
	CloseOverloaded         CloseCode = 4003 // come back after retryAfter
	CloseInternal           CloseCode = 4006 // come back later
	CloseBackendUnavailable CloseCode = 4007 // come back after retryAfter
	CloseRateLimited        CloseCode = 4011 // come back after retryAfter
	CloseUnauthenticated    CloseCode = 4502 // stop until there is a new token
	ClosePermissionDenied   CloseCode = 4503 // stop
	CloseKicked             CloseCode = 4504 // stop until the user acts
	CloseTokenExpired       CloseCode = 4507 // stop until there is a new token
)

// reasonBytesMax bounds the text in a CLOSE frame.
const reasonBytesMax = 120

// Refusal is the error by which Connect turns a login away.
type Refusal struct {
	Code       CloseCode
	Reason     string
	RetryAfter time.Duration
}

// Error implements error.
func (r *Refusal) Error() string { return fmt.Sprintf("refused with %d: %s", r.Code, r.Reason) }

// Refuse turns a login away. reason is for the client, at most 120 bytes (the
// rest is cut off); retryAfter counts with CloseOverloaded, CloseRateLimited and
// CloseBackendUnavailable, 0 leaves it to the client's back-off.
func Refuse(code CloseCode, reason string, retryAfter time.Duration) error {
	return &Refusal{Code: code, Reason: reason, RetryAfter: retryAfter}
}
