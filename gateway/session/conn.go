package session

import (
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Conn is what a session needs of its connection. None of its methods blocks or
// calls the session back: they are called with the session's lock held.
type Conn interface {
	// Queue encodes a frame behind those that wait. It reports false when the
	// client reads so slowly that the frame was not queued. On a connection that
	// is closing it does nothing and reports true. On a connection that keeps
	// replies until they are named, a reply that is queued again keeps its place.
	Queue(f wire.Frame) bool
	// QueueAll is Queue for frames that are judged as one: all of them or none.
	// They are always taken when nothing waits.
	QueueAll(frames []wire.Frame) bool
	// QueueTransient queues a frame that may be lost, in Encoding already. One
	// with a key replaces an unsent one of the same key; until (wheel time, 0 for
	// no bound) is when it is no longer worth sending; dropOldest makes room by
	// dropping older transient frames. It reports false when b was not queued.
	QueueTransient(b []byte, key string, until int64, dropOldest bool) bool
	Encoding() wire.Encoding
	// Flush writes what is queued as far as the socket takes it.
	Flush()
	// CloseWith ends the connection with CLOSE behind the given frames. Only
	// the first call counts and reports true.
	CloseWith(code wire.CloseCode, reason string, before ...wire.Frame) bool
	// LastRead is when bytes came last, on the wheel's clock.
	LastRead() int64
	// Now is the wheel's clock, in milliseconds.
	Now() int64
	// WakeAt asks for Attachment.Expire at that time or earlier.
	WakeAt(at int64)
	// Queued is how many bytes wait for the socket.
	Queued() int
	// Transport and RemoteIP say how and from where the client came.
	Transport() string
	RemoteIP() string
	// Pings reports whether the connection is one stream: PING and its time-out
	// apply, and an id that repeats is an error unless a resume explains it.
	// Long poll and SSE are not.
	Pings() bool
}

// Meter decides whether a session may send one more request now. It must not
// block; it is called with the session's lock held.
type Meter interface {
	// Request admits with an empty reason. buckets are the session's own, at
	// zero when it begins.
	Request(uid string, buckets *[2]int64, command []byte, payloadBytes int) (reason string, retryAfter time.Duration)
}
