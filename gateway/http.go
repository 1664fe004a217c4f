package gateway

import (
	"net/http"
	"time"

	"github.com/holdfast-io/holdfast/gateway/poll"
	"github.com/holdfast-io/holdfast/gateway/transport"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// pathWS is where a connection becomes a WebSocket. The other paths of an edge
// listener are package poll's, and there are no more.
const pathWS = "/v1/ws"

// preflightMaxAge is how long a browser may remember what it may ask, in seconds.
const preflightMaxAge = "600"

// serveHTTP takes a call of any listener. It runs inline in the poller.
func (s *Server) serveHTTP(k *transport.Call) {
	r := k.Request()
	methods := allowed(k, r.Path)
	// First, so that a page that may connect may read every answer.
	listed := s.admitOrigin(k, r.Header["Origin"])
	if r.Path != pathWS && s.turnAway(k) { // the handshake of a WebSocket is judged and told as a connection
		return
	}
	if methods == "" {
		k.Answer(http.StatusNotFound, 0, nil)
		return
	}
	if !listed {
		s.metrics.origins.Inc()
		k.Refuse(wire.ClosePermissionDenied, "origin: not allowed", 0)
		return
	}
	switch {
	case k.TurnAwayBody():
	case r.Method == http.MethodOptions:
		k.SetField("Access-Control-Allow-Methods", methods)
		k.SetField("Access-Control-Allow-Headers", "Authorization, Content-Type, Last-Event-ID")
		k.SetField("Access-Control-Max-Age", preflightMaxAge)
		k.Answer(http.StatusNoContent, 0, nil)
	case r.Path == pathWS:
		k.Upgrade()
	default:
		s.poll.Serve(pollCall{k})
	}
}

// turnAway refuses a call whose client may not be here.
func (s *Server) turnAway(k *transport.Call) bool {
	if k.TurnAway() {
		return true
	}
	if !k.Forwarded() { // its address was judged when it connected
		return false
	}
	refused, ok := s.gate.Listed(k.Client())
	if !ok {
		k.Refuse(refused.Code, refused.Message, refused.RetryAfter)
	}
	return !ok
}

// allowed lists the methods of a path that the listener serves, "" for one that
// it does not.
func allowed(k *transport.Call, path string) string {
	served := k.Offers(transport.SSE)
	switch path {
	case pathWS:
		if k.Offers(transport.WS) {
			return "GET"
		}
		return ""
	case poll.PathPoll, poll.PathFrames: // a stream begins with POST too
		served = served || k.Offers(transport.Poll)
	}
	if !served {
		return ""
	}
	return poll.Methods(path)
}

// admitOrigin looks at who sent the page that calls. A call without an Origin is
// not a browser's, or not another page's.
func (s *Server) admitOrigin(k *transport.Call, sent []string) bool {
	if len(sent) == 0 {
		return true
	}
	if len(sent) > 1 || !s.live.Load().origins.allows(sent[0]) {
		return false
	}
	k.SetField("Access-Control-Allow-Origin", sent[0])
	k.SetField("Access-Control-Expose-Headers", "Retry-After")
	k.SetField("Vary", "Origin")
	return true
}

// pollCall is a call as package poll sees it.
type pollCall struct{ *transport.Call }

// Answer implements poll.Call.
func (p pollCall) Answer(status int, retryAfter time.Duration, body []byte) {
	if status == http.StatusUnauthorized {
		p.SetField("WWW-Authenticate", `Bearer realm="holdfast"`)
	}
	p.Call.Answer(status, retryAfter, body)
}
