// Package poll is long poll and Server-Sent Events: a connection that is made of
// HTTP calls which come and go (docs/protocol.md section 6). It knows no socket
// and no session: a Call is a request and its answer, a Receiver is what is on
// the other side.
//
//	HTTP connections ── Call ──▶ Server ── event ──▶ Conn.inbox ──▶ Receiver (one at a time)
//	       ▲                        └─ Gateway.Find: which Conn          │
//	       └── Answer, Event ── Conn.Flush ◀── Conn.list ◀── Queue ──────┘ and from any goroutine
//
// Frames for the client wait in one list, each encoded once, in the order in
// which they were queued. Every GET is answered with all of it; what has a name
// (a push its seq, a reply its id) stays until the client names it, so an answer
// that is lost on the way is sent again. A call that waits costs no goroutine and
// no timer of its own: the wheel wakes the Conn.
//
// What a client may rely on: a reply that was never sent is never dropped because
// of what the client names, so naming the reply that its POST brought does not
// lose an earlier one that it has not polled yet.
//
// # Locks
//
// Conn.mu is a leaf: nothing of a session, a gateway or a call is called with it
// held, only the wheel's Set. A session may therefore queue with its own lock
// held. Two loops call out, each run by whoever finds it idle, and neither is
// waited for by anybody:
//
//   - the inbox calls the Receiver, Call.OnGone, Call.Stream, and answers what was
//     replaced or turned away;
//   - Flush calls Answer, Event and End of the calls that are open.
//
// A call may report from within any of these that its client is gone, or the
// Receiver may queue, flush and close from within Receive: each finds the loop
// busy, leaves its work there and returns. So there is no order of locks between
// two HTTP connections, a session and the wheel that could close to a circle. The
// price is that Flush may return before what it was called for has been sent;
// then another goroutine is about to.
package poll
