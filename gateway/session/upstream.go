package session

import "time"

// Upstream is a session's way to the backends: its lanes, one per service. It is
// declared here because the session is what needs it; the dispatcher provides it.
type Upstream interface {
	// Submit queues a request behind the session's earlier ones to the same
	// service. It copies command and payload, never blocks, and is followed by
	// exactly one Reply or Refuse for id on the session, possibly before Submit
	// returns. It must not be called with the session's lock held.
	Submit(id uint32, command, payload []byte)
	// Answer brings what a backend answered to a packet that it had deferred.
	// It reports false when nobody waits for that answer any more.
	Answer(service string, seq int64, attempt int32, status int32, payload []byte, notExecuted bool, reason string, retryAfter time.Duration) bool
	// Cut tells the backends that the session lost its connection and may be
	// resumed. Cut, Resumed and End are called one at a time and in their order;
	// they must not call the session back.
	Cut(reason string)
	// Resumed tells the backends that a new connection took the session over.
	Resumed(transport, clientIP string)
	// End drops the requests that wait, discards later answers and tells the
	// backends that the session is over.
	End(reason string)
}
