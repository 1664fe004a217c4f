package transport

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-io/holdfast/gateway/transport/http1"
	"github.com/holdfast-io/holdfast/gateway/transport/websocket"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Call is one HTTP request and its answer. Its methods may be called from any
// goroutine and do not block.
type Call struct {
	// static
	h        *httpConn
	client   netip.Addr
	bodyless bool   // HEAD: a body would be taken for the next answer
	old      bool   // HTTP/1.0, which has no chunks
	tooLong  string // what is wrong with the body, which is not in the request then

	req atomic.Pointer[http1.Request] // nil once the request has been looked at

	mu     sync.Mutex // guards the following
	closes bool       // the connection ends with the answer
	fields []http1.Field
	state  callState
	gone   func()
}

type callState uint8

const (
	callOpen      callState = iota // not answered
	callStreaming                  // the answer has begun
	callDone
	callLost // the connection went before the answer was complete
)

func newCall(h *httpConn, req *http1.Request) *Call {
	k := &Call{h: h, closes: req.Close, bodyless: req.Method == http.MethodHead, old: req.Minor == 0}
	k.req.Store(req)
	k.client = h.c.remote.Addr()
	if trusted := h.c.listener.believed.Load().forwarders; within(trusted, k.client) {
		k.client = forwardedFor(req.Header.Values("X-Forwarded-For"), k.client, trusted)
	}
	return k
}

// forwardedFor is the last address of the header that is not a trusted proxy's
// own: what stands before it is the client's word. Whatever is no address ends
// the search.
func forwardedFor(values []string, from netip.Addr, trusted []netip.Prefix) netip.Addr {
	hops := strings.Split(strings.Join(values, ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		addr, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return from
		}
		from = addr.Unmap()
		if !within(trusted, from) {
			break
		}
	}
	return from
}

// Request is what was asked, until the function that was given the call returns.
func (k *Call) Request() *http1.Request { return k.req.Load() }

// Client is the client's address.
func (k *Call) Client() netip.Addr { return k.client }

// RemoteIP is the client's address as text.
func (k *Call) RemoteIP() string {
	if !k.client.IsValid() {
		return ""
	}
	return k.client.String()
}

// Forwarded reports whether a proxy's header has told the client's address. Then
// the connection it came on is the proxy's, and has been judged as that.
func (k *Call) Forwarded() bool { return k.client != k.h.c.remote.Addr() }

// Secure reports whether the call came over TLS.
func (k *Call) Secure() bool { return k.h.c.tls != nil }

// Offers reports whether the listener speaks n, given its plain name.
func (k *Call) Offers(n Name) bool { return k.h.c.listener.offers.has(n.over(k.Secure())) }

// SetField adds a header field to the answer.
func (k *Call) SetField(name, value string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fields = append(k.fields, http1.Field{Name: name, Value: value})
}

// Answer answers with a JSON body, nil for none. Only the first answer counts.
func (k *Call) Answer(status int, retryAfter time.Duration, body []byte) {
	k.mu.Lock()
	if k.state != callOpen {
		k.mu.Unlock()
		return
	}
	k.state, k.gone = callDone, nil
	if retryAfter > 0 {
		seconds := (retryAfter + time.Second - 1) / time.Second
		k.fields = append(k.fields, http1.Field{Name: "Retry-After", Value: strconv.Itoa(int(seconds))})
	}
	if len(body) > 0 {
		k.fields = append(k.fields, jsonBody)
	}
	if k.bodyless {
		body = nil
	}
	closes := k.closes || k.h.c.listener.leaving.Load()
	b := http1.AppendResponse(nil, status, closes, body, k.fields...)
	k.mu.Unlock()
	c := k.h.c
	if !c.queueRaw(b, c.limits.OutboundBytesMax+c.limits.ReplyBytesMax) {
		closes = true // it has not read the answers before
	}
	k.h.answered(k, closes)
}

// Refuse answers with the status of code and CLOSE as the body.
func (k *Call) Refuse(code wire.CloseCode, reason string, retryAfter time.Duration) {
	k.Answer(code.HTTPStatus(), retryAfter, closeObject(code, reason))
}

// TurnAway refuses a call on a connection that may not stay, and reports whether
// that is so. Nothing but an Upgrade may be done for one that was not asked: a
// WebSocket is told in its own words.
func (k *Call) TurnAway() bool {
	r := k.h.c.refusal
	if r == nil {
		return false
	}
	k.Refuse(r.Code, r.Message, r.RetryAfter)
	k.h.c.Finish()
	return true
}

// TurnAwayBody refuses a call whose body is longer than a frame, and reports
// whether that is so.
func (k *Call) TurnAwayBody() bool {
	if k.tooLong == "" {
		return false
	}
	k.h.c.listener.Metrics.closed(wire.CloseFrameTooLarge)
	k.Refuse(wire.CloseFrameTooLarge, k.tooLong, 0)
	return true
}

// Upgrade makes the connection a WebSocket, or answers why it cannot be one.
func (k *Call) Upgrade() bool {
	u, response, refused := websocket.Accept(k.Request())
	if refused != nil {
		for _, f := range refused.Fields {
			k.SetField(f.Name, f.Value)
		}
		if !k.TurnAway() {
			k.Answer(refused.Status, 0, closeObject(wire.CloseProtocolError, refused.Message))
		}
		return false
	}
	c := k.h.c
	k.mu.Lock()
	k.state = callDone
	k.mu.Unlock()
	k.h.mu.Lock()
	k.h.call = nil
	if k.h.calls > 1 { // the time for HELLO begins now, not with the first of many calls
		c.openedAt = c.Now()
	}
	k.h.mu.Unlock()
	c.queueRaw(response, c.limits.OutboundBytesMax)
	c.changeClient(k.client)
	c.reader = newWSReader(u.JSON, c.limits.FrameBytesMax)
	c.speak(WS, wsFraming{text: u.JSON})
	c.Flush()
	return true
}

// changeClient has a client judged whose address came in a header of a proxy.
func (c *Conn) changeClient(addr netip.Addr) {
	if c.refusal != nil || addr == c.remote.Addr() {
		return
	}
	if c.entered { // it came before its proxy was believed
		c.entered = false
		c.listener.Gate.Left(c)
	}
	c.remote = netip.AddrPortFrom(addr, 0)
	c.judgeLocked(c.listener.Gate.EnterForwarded(c))
}

// Stream begins an answer of Server-Sent Events. It reports false when the
// connection is gone, or speaks a version of HTTP that has no streams.
func (k *Call) Stream() bool {
	if k.old {
		k.Answer(http.StatusHTTPVersionNotSupported, 0, closeObject(wire.CloseProtocolError, "a stream needs HTTP/1.1"))
		return false
	}
	k.mu.Lock()
	if k.state != callOpen {
		k.mu.Unlock()
		return false
	}
	k.state = callStreaming
	k.fields = append(k.fields, http1.Field{Name: "X-Accel-Buffering", Value: "no"}) // a proxy that collects would hold events back
	b := http1.AppendStreamHead(nil, k.fields...)
	k.mu.Unlock()
	c := k.h.c
	if !c.queueRaw(b, c.limits.OutboundBytesMax) {
		c.Abort()
		return false
	}
	c.Flush()
	return true
}

// Event sends bytes of the stream. It reports false when the client reads too
// slowly or is gone; then the stream is over.
func (k *Call) Event(b []byte) bool {
	k.mu.Lock()
	streaming := k.state == callStreaming
	k.mu.Unlock()
	if !streaming {
		return false
	}
	c := k.h.c
	chunk := http1.AppendChunk(make([]byte, 0, len(b)+16), b)
	if !c.queueRaw(chunk, c.limits.OutboundBytesMax) {
		c.Abort()
		return false
	}
	c.Flush()
	return true
}

// End ends the stream.
func (k *Call) End() {
	k.mu.Lock()
	if k.state != callStreaming {
		k.mu.Unlock()
		return
	}
	k.state, k.gone = callDone, nil
	k.mu.Unlock()
	c := k.h.c
	c.queueRaw(http1.AppendLastChunk(nil), c.limits.OutboundBytesMax)
	k.h.answered(k, true)
}

// OnGone has fn called once if the connection is lost before the answer is
// complete, at once if it is lost already.
func (k *Call) OnGone(fn func()) {
	k.mu.Lock()
	lost := k.state == callLost
	if !lost && k.state != callDone {
		k.gone = fn
	}
	k.mu.Unlock()
	if lost {
		fn()
	}
}

// lost is called when the connection is gone.
func (k *Call) lost() {
	k.mu.Lock()
	fn := k.gone
	k.gone = nil
	if k.state != callDone {
		k.state = callLost
	}
	k.mu.Unlock()
	if fn != nil {
		fn()
	}
}
