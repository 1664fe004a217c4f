package transport

import (
	"errors"
	"sync"

	"github.com/holdfast-io/holdfast/gateway/transport/http1"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// headBytesMax bounds the head of a request: a bearer, an Origin and what
// browsers add fit many times.
const headBytesMax = 16 << 10

// httpConn is a connection that speaks HTTP/1.1: calls, one after another, until
// it closes or becomes a WebSocket. It is the connection's reader and receiver.
type httpConn struct {
	c      *Conn
	parser http1.Parser // guarded by the reading lock

	mu    sync.Mutex // guards the following
	call  *Call      // the one that is being answered
	since int64      // wheel time since which a request or, without one, a call is awaited
	begun bool       // a part of a request has come
	kept  bool       // requests wait behind the call, or for the client to read its answers
	calls int
}

// beginHTTPLocked makes the connection one of HTTP calls.
func (c *Conn) beginHTTPLocked() {
	h := &httpConn{c: c, since: c.openedAt, begun: true}
	h.parser = http1.NewParser(http1.Limits{HeadBytes: headBytesMax, BodyBytes: c.limits.FrameBytesMax})
	c.reader = h
	c.SetReceiver(h)
	c.WakeAt(c.Now() + 1)
}

// readLocked takes requests and has them answered. While one is being answered
// what follows it waits.
func (h *httpConn) readLocked(c *Conn, b []byte) {
	for len(b) > 0 {
		if h.busy() || c.backlogged() {
			h.keepLocked(b)
			return
		}
		if len(c.partial) > 0 { // kept while the call before was answered; readOn has not come to it yet
			b = append(c.partial, b...)
			c.partial = nil
		}
		req, n, err := h.parser.Next(b)
		if err != nil {
			h.refuseLocked(err)
			return
		}
		b = b[n:]
		h.note(req == nil)
		if req == nil {
			if h.parser.WantContinue() {
				c.queueRaw([]byte("HTTP/1.1 100 Continue\r\n\r\n"), c.limits.OutboundBytesMax)
				c.Flush()
			}
			continue
		}
		h.serve(newCall(h, req))
		if c.reader != reader(h) { // it has become a WebSocket
			c.takeLocked(b)
			return
		}
		if len(b) > 0 && c.Closing() {
			c.discardLocked(len(b))
			return
		}
	}
}

// busy reports whether a call is being answered.
func (h *httpConn) busy() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.call != nil
}

// note starts the deadline of a request at its first byte.
func (h *httpConn) note(partly bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if partly && !h.begun {
		h.begun, h.since = true, h.c.Now()
		h.c.WakeAt(h.since + h.c.limits.HelloTimeout.Milliseconds())
	}
}

// backlogMillis is how often it is looked at whether a client has read its answers.
const backlogMillis = 100

// keepLocked keeps requests that come before the present one is answered, or while
// the client does not read the answers before, within the same bound as frames
// ahead of WELCOME. Answers are many times longer than the shortest requests, so a
// client that only asks must not have them pile up.
func (h *httpConn) keepLocked(b []byte) {
	h.mu.Lock()
	h.kept = true
	wake := h.call == nil
	h.mu.Unlock()
	if wake { // no answer will do it
		h.c.WakeAt(h.c.Now() + backlogMillis)
	}
	if len(h.c.partial)+len(b) > h.c.limits.FrameBytesMax+heldBytesMax {
		h.c.partial = nil
		h.c.reset()
		return
	}
	h.c.partial = append(h.c.partial, b...)
}

// serve has one request answered, now or later.
func (h *httpConn) serve(call *Call) {
	h.mu.Lock()
	h.call, h.begun = call, false
	h.calls++
	h.mu.Unlock()
	h.c.listener.Serve(call)
	call.req.Store(nil) // a call that waits keeps no head
}

// answered ends the present call. What waits behind it is read by the wheel's
// goroutine: whoever answers may be reading another connection, and must not
// wait for this one's reading lock.
func (h *httpConn) answered(call *Call, closes bool) {
	h.mu.Lock()
	if h.call != call {
		h.mu.Unlock()
		return
	}
	h.call, h.since = nil, h.c.Now()
	h.mu.Unlock()
	if closes {
		h.c.Finish()
		return
	}
	h.c.Flush()
	h.c.WakeAt(h.c.Now() + 1)
}

// refuseLocked answers bytes that are no request.
func (h *httpConn) refuseLocked(err error) {
	status, message := 400, "malformed request"
	var refused *http1.Error
	if errors.As(err, &refused) {
		status, message = refused.Status, refused.Message
		if refused.Request != nil {
			call := newCall(h, refused.Request)
			call.tooLong = message
			h.serve(call)
			return
		}
	}
	h.say(status, wire.CloseProtocolError, message)
}

// say ends the connection with an answer that no call has asked for.
func (h *httpConn) say(status int, code wire.CloseCode, message string) {
	h.c.listener.Metrics.closed(code)
	b := http1.AppendResponse(nil, status, true, closeObject(code, message), jsonBody)
	h.c.queueRaw(b, h.c.limits.OutboundBytesMax)
	h.c.Finish()
}

// jsonBody says what kind of body an answer has.
var jsonBody = http1.Field{Name: "Content-Type", Value: "application/json"}

// closeObject is the body of a refusal.
func closeObject(code wire.CloseCode, reason string) []byte {
	b, err := wire.AppendJSON(nil, &wire.Frame{Type: wire.TypeClose, Code: code, Reason: []byte(wire.TrimReason(reason))})
	if err != nil { // cannot be: the reason is trimmed
		return nil
	}
	return b
}

// Receive is never called: there are no frames here.
func (h *httpConn) Receive(wire.Frame) {}

// Refuse is called for a first byte that fits nothing.
func (h *httpConn) Refuse(*wire.ProtocolError) { h.c.Abort() }

// Closed tells the present call that nobody waits for it any more.
func (h *httpConn) Closed() {
	h.mu.Lock()
	call := h.call
	h.call = nil
	h.mu.Unlock()
	if call != nil {
		call.lost()
	}
}

// Expire bounds the time for a request and the time without one, and reads on
// when a request was waiting for the answer to the one before.
func (h *httpConn) Expire(now int64) (next int64) {
	h.readOn()
	c := h.c
	h.mu.Lock()
	busy, begun, kept, since := h.call != nil, h.begun, h.kept, h.since
	h.mu.Unlock()
	switch by := since + c.limits.IdleTimeout.Milliseconds(); {
	case busy:
		return 0 // whoever answers has a deadline
	case kept: // the write deadline looks after it
		return now + backlogMillis
	case begun:
		by = since + c.limits.HelloTimeout.Milliseconds()
		if now < by {
			return by
		}
		h.say(wire.CloseHelloTimeout.HTTPStatus(), wire.CloseHelloTimeout, "no complete request in time")
		return 0
	case now < by:
		return by
	default:
		c.Finish()
		return 0
	}
}

// readOn gives the reader what waited for an answer.
func (h *httpConn) readOn() {
	c := h.c
	c.readMu.Lock()
	defer c.readMu.Unlock()
	if c.reader != reader(h) || c.held || h.busy() || c.backlogged() {
		return
	}
	h.mu.Lock()
	h.kept = false
	h.mu.Unlock()
	if len(c.partial) == 0 {
		return
	}
	b := c.partial
	c.partial = nil
	h.readLocked(c, b)
}

// Idle ends the connection if no call is being answered on it.
func (h *httpConn) Idle() {
	if !h.busy() {
		h.c.Finish()
	}
}
