package admission

import (
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Reason says which check refused. It is a metric label too, so the set is
// closed and every value is declared here.
type Reason uint8

// The reasons. Admitted, the zero value, is no label.
const (
	Admitted Reason = iota
	ReasonMemory
	ReasonDescriptors
	ReasonConnections
	ReasonAccepts
	ReasonDenied
	ReasonAddressConnections
	ReasonAddressAccepts
	ReasonHandshakes
	ReasonAddressHandshakes
	ReasonUserConnections
	ReasonCutSessions
	ReasonSessionRequests
	ReasonSessionBytes
	ReasonUserRequests
	ReasonUserBytes
	ReasonClassRequests
	ReasonClassBytes
	reasons // how many there are
)

// rule is what a client is told of a reason.
type rule struct {
	label   string
	code    wire.CloseCode
	message string
	// wait is the shortest time a client is asked to stay away; it is told one
	// between this and twice this, so that they do not come back together.
	wait time.Duration
}

// rules has a row for each reason. What concerns everybody is OVERLOADED, what a
// client or its address has brought about itself RATE_LIMITED. A client gives
// way to a full gateway for longer than to a rate, which frees a place each
// moment, and longer still where another one of its own must leave first.
var rules = [reasons]rule{
	Admitted:                 {},
	ReasonMemory:             {"memory", wire.CloseOverloaded, "the gateway is short of memory", 3 * time.Second},
	ReasonDescriptors:        {"descriptors", wire.CloseOverloaded, "the gateway has no descriptors left", 3 * time.Second},
	ReasonConnections:        {"connections", wire.CloseOverloaded, "the gateway has all its connections", 3 * time.Second},
	ReasonAccepts:            {"accepts", wire.CloseOverloaded, "too many connections at once", time.Second},
	ReasonDenied:             {"denied", wire.ClosePermissionDenied, "the address is not allowed", 0},
	ReasonAddressConnections: {"address_connections", wire.CloseRateLimited, "the address has all its connections", 5 * time.Second},
	ReasonAddressAccepts:     {"address_accepts", wire.CloseRateLimited, "the address connects too often", time.Second},
	ReasonHandshakes:         {"handshakes", wire.CloseOverloaded, "too many logins at once", time.Second},
	ReasonAddressHandshakes:  {"address_handshakes", wire.CloseRateLimited, "the address logs in too often", time.Second},
	ReasonUserConnections:    {"user_connections", wire.CloseRateLimited, "the user has all its connections", 5 * time.Second},
	ReasonCutSessions:        {label: "cut_sessions"},
	ReasonSessionRequests:    {label: "session_requests"},
	ReasonSessionBytes:       {label: "session_bytes"},
	ReasonUserRequests:       {label: "user_requests"},
	ReasonUserBytes:          {label: "user_bytes"},
	ReasonClassRequests:      {label: "class_requests"},
	ReasonClassBytes:         {label: "class_bytes"},
}

// String is the reason as metrics, logs and clients have it, such as
// address_connections; empty for Admitted.
func (r Reason) String() string {
	if r >= reasons {
		return "unknown"
	}
	return rules[r].label
}

// Reasons lists the reasons that can be labels.
func Reasons() []Reason {
	out := make([]Reason, 0, reasons-1)
	for r := Admitted + 1; r < reasons; r++ {
		out = append(out, r)
	}
	return out
}

// Refusal is what a client that may not come in is told.
type Refusal struct {
	// Code is 4003 or 4011, which ask the client to come back, or 4503.
	Code wire.CloseCode
	// Reason is which check refused.
	Reason Reason
	// RetryAfter is for GOAWAY and Retry-After; 0 with a code that says stop.
	RetryAfter time.Duration
	// Message is CLOSE's reason; it names no number that an attacker could use.
	Message string
}
