package client

import "time"

// State is where a client is in its life.
//
//	Connecting ──▶ Connected ──▶ Leaving ──▶ Connecting ...
//	    ▲  │       or Resumed       │
//	    │  │           │            │
//	    │  ▼           ▼            │
//	   Waiting ◀────────────────────┘      any ──▶ Stopped
type State uint8

// The states.
const (
	// StateConnecting: an attempt has begun.
	StateConnecting State = iota
	// StateConnected: there is a new session, and requests go out. What an
	// earlier session had not delivered is lost: the application synchronises
	// from its own position.
	StateConnected
	// StateLeaving: a GOAWAY came. The connection still serves until its
	// successor is there.
	StateLeaving
	// StateWaiting: there is no connection; the next attempt follows.
	StateWaiting
	// StateStopped: the client will not come back. Err says why.
	StateStopped
	// StateResumed: the session that there was goes on over a new connection.
	// Nothing was lost, and nothing needs to be done.
	StateResumed
)

var stateNames = [...]string{"connecting", "connected", "leaving", "waiting", "stopped", "resumed"}

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
	// Session is set with StateConnected and StateResumed.
	Session Session
	// RetryIn is how long the client rests before the next attempt; set with
	// StateLeaving and StateWaiting.
	RetryIn time.Duration
	// Err is why the last connection or attempt ended; set with StateWaiting
	// and StateStopped.
	Err error
}
