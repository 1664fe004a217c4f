package client

import "time"

// State is where a client is in its life.
//
//	Connecting ──▶ Connected ──▶ Leaving ──▶ Connecting ...
//	    ▲  │           │            │
//	    │  ▼           ▼            │
//	   Waiting ◀────────────────────┘      any ──▶ Stopped
type State uint8

// The states.
const (
	// StateConnecting: an attempt has begun.
	StateConnecting State = iota
	// StateConnected: there is a session, and requests go out.
	StateConnected
	// StateLeaving: a GOAWAY came. The connection still serves until its
	// successor is there.
	StateLeaving
	// StateWaiting: there is no connection; the next attempt follows.
	StateWaiting
	// StateStopped: the client will not come back. Err says why.
	StateStopped
)

var stateNames = [...]string{"connecting", "connected", "leaving", "waiting", "stopped"}

// String is the state's name, such as "connected".
func (s State) String() string {
	if int(s) >= len(stateNames) {
		return "unknown"
	}
	return stateNames[s]
}

// Change is what OnState is told.
type Change struct {
	State State
	// Endpoint is where the client is connected or connects to.
	Endpoint string
	// Session is set with StateConnected.
	Session Session
	// RetryIn is how long the client rests before the next attempt; set with
	// StateLeaving and StateWaiting.
	RetryIn time.Duration
	// Err is why the last connection or attempt ended; set with StateWaiting
	// and StateStopped.
	Err error
}
