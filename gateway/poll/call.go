package poll

import (
	"time"

	"github.com/holdfast-io/holdfast/gateway/transport/http1"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Call is one HTTP request and its answer. transport.Call implements it. No
// method blocks, and all but Request may be called from any goroutine. Two Calls
// are the same when they compare equal, so the implementation is a pointer.
type Call interface {
	// Request is what was asked. It is looked at before Serve returns only; its
	// body is kept for as long as the call is under way.
	Request() *http1.Request
	// RemoteIP is the client's address, without a port.
	RemoteIP() string
	// Secure reports whether the call came over TLS.
	Secure() bool
	// SetField adds a field to the head of the answer.
	SetField(name, value string)
	// Answer is called at most once. The body is JSON and belongs to the caller
	// again when Answer returns. Cache-Control and CORS are the implementation's
	// to add. A retryAfter above 0 becomes Retry-After.
	Answer(status int, retryAfter time.Duration, body []byte)
	// Stream begins a stream of Server-Sent Events instead of an answer. It
	// reports false when the connection is gone.
	Stream() bool
	// Event sends b, which is one or more whole events and belongs to the caller
	// again when Event returns. It reports false when the client reads too slowly
	// or is gone: the stream is over then.
	Event(b []byte) bool
	// End ends the stream.
	End()
	// OnGone has fn called once if the connection is lost before Answer or End,
	// at once if it is lost already.
	OnGone(fn func())
}

// Receiver takes what a connection brings, as a transport's does:
// session.Attachment, and until there is a session the gateway's handshake.
//
// Receive, Refuse, Arrived, Away and Back are called one at a time and in the
// order in which the client's calls came. Closed and Expire may come at the same
// time as any of them.
type Receiver interface {
	// Receive takes one frame. Its slices are valid until Receive returns.
	Receive(f wire.Frame)
	// Refuse is called when a call broke the protocol. The receiver closes the
	// connection.
	Refuse(err *wire.ProtocolError)
	// Closed is called once when the connection is over, whoever ended it.
	Closed()
	// Expire is called when the time that it returned last (or that WakeAt was
	// given) has come, on the wheel's clock, and returns the next; 0 is never.
	Expire(now int64) (next int64)
	// Away says that no call is open any more, Back that there is one again. The
	// first call is open when the receiver is made, so Away comes first.
	Away()
	Back()
	// Arrived says that the client has the reply to a request and every reply
	// that was queued before it.
	Arrived(replyID uint32)
}

// Gateway is where clients log in and sessions are found.
type Gateway interface {
	// Accept gives a new connection its receiver, never nil; HELLO follows. When it
	// closes the connection, the receiver is told so instead.
	Accept(c *Conn) Receiver
	// Find returns the connection that a session is on, and code 0. Otherwise code
	// and reason say how the call is refused: 4009 when the session is on another
	// transport, 1000 (which is 401) when it has ended or the secret is wrong.
	Find(session, secret string) (c *Conn, code wire.CloseCode, reason string)
}
