package wire

import "strconv"

// Status is a gRPC canonical code: how a request ended. Together with the
// flags of a REPLY it says what the client may do next.
type Status uint8

// The statuses. The numbers are the protocol's: never renumber one.
const (
	StatusOK                 Status = 0
	StatusCancelled          Status = 1
	StatusUnknown            Status = 2
	StatusInvalidArgument    Status = 3
	StatusDeadlineExceeded   Status = 4
	StatusNotFound           Status = 5
	StatusAlreadyExists      Status = 6
	StatusPermissionDenied   Status = 7
	StatusResourceExhausted  Status = 8
	StatusFailedPrecondition Status = 9
	StatusAborted            Status = 10
	StatusOutOfRange         Status = 11
	StatusUnimplemented      Status = 12
	StatusInternal           Status = 13
	StatusUnavailable        Status = 14
	StatusDataLoss           Status = 15
	StatusUnauthenticated    Status = 16
)

// StatusMax is the highest status there is.
const StatusMax = StatusUnauthenticated

var statusNames = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
	"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
	"ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
	"UNAUTHENTICATED",
}

// Valid reports whether s is one of the seventeen.
func (s Status) Valid() bool { return s <= StatusMax }

// String is the status's name, as in UNAVAILABLE.
func (s Status) String() string {
	if !s.Valid() {
		return "STATUS_" + strconv.Itoa(int(s))
	}
	return statusNames[s]
}

// NotRun reports whether a reply with this status and these flags says that
// the request was not run, so sending it again is safe. Only the gateway can
// say that: the same status from a backend means what the backend says it means.
func (s Status) NotRun(f Flags) bool {
	if !f.FromGateway() {
		return false
	}
	switch s {
	case StatusUnavailable, StatusResourceExhausted, StatusUnimplemented:
		return true
	default:
		return false
	}
}

// MayRetry reports whether the client may send the request again by itself,
// after the payload's retry_after_ms where there is one. It is NotRun without
// UNIMPLEMENTED, a command without a route, which another try does not cure.
func (s Status) MayRetry(f Flags) bool {
	return s.NotRun(f) && s != StatusUnimplemented
}

// MayHaveRun reports whether a reply with this status and these flags leaves
// open whether the request ran. Such a reply never carries retry_after_ms.
func (s Status) MayHaveRun(f Flags) bool {
	return f.FromGateway() && (s == StatusUnknown || s == StatusDeadlineExceeded)
}

// Flags are the bits of a REPLY.
type Flags uint8

// FlagOriginGateway says that the gateway, not the backend, made the reply; its
// payload is then an [ErrorPayload]. All other bits are 0.
const FlagOriginGateway Flags = 1

// FromGateway reports whether the gateway made the reply.
func (f Flags) FromGateway() bool { return f&FlagOriginGateway != 0 }
