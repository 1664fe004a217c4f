package poll

import (
	"log/slog"
	"time"

	"github.com/holdfast-io/holdfast/gateway/transport/http1"
	"github.com/holdfast-io/holdfast/gateway/wheel"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// The paths that are served.
const (
	PathPoll   = "/v1/poll"
	PathFrames = "/v1/poll/frames"
	PathEvents = "/v1/events"
)

// Server answers the calls of long poll and SSE. Its methods may be called from
// any goroutine and never block.
type Server struct {
	cfg     Config
	gw      Gateway
	wheel   *wheel.Wheel
	metrics *Metrics
	log     *slog.Logger
}

// New returns a Server. cfg must be valid.
func New(cfg Config, gw Gateway, wheel *wheel.Wheel, m *Metrics, log *slog.Logger) *Server {
	return &Server{cfg: cfg, gw: gw, wheel: wheel, metrics: m, log: log}
}

// Methods lists what may be asked of a path, as in Allow and in CORS. It is empty
// for a path that is not served.
func Methods(path string) string {
	switch path {
	case PathPoll:
		return "GET, POST, DELETE"
	case PathFrames:
		return "POST"
	case PathEvents:
		return "GET"
	default:
		return ""
	}
}

// route says what a call asks for.
func route(r *http1.Request) callKind {
	switch r.Method + " " + r.Path {
	case "POST " + PathPoll:
		return callHello
	case "GET " + PathPoll:
		return callPoll
	case "POST " + PathFrames:
		return callFrames
	case "GET " + PathEvents:
		return callEvents
	case "DELETE " + PathPoll:
		return callDelete
	default:
		return callOther
	}
}

// Serve answers one call, now or later: POST, GET and DELETE of /v1/poll, POST of
// /v1/poll/frames, GET of /v1/events, and 405 otherwise. Other paths (404),
// OPTIONS and Origin are the caller's.
func (s *Server) Serve(call Call) {
	r := call.Request()
	kind := route(r)
	s.metrics.calls[kind].Inc()
	switch {
	case kind == callOther:
		s.refuseMethod(call, r)
	case kind == callHello:
		c := s.newConn(call)
		c.deliver(event{kind: eventHello, call: call, body: r.Body})
	case kind == callEvents && r.Minor == 0:
		s.refuseStatus(call, 505, &refusal{code: wire.CloseProtocolError, reason: "events: want HTTP/1.1, a stream is chunked"})
	default:
		s.serveSession(kind, call, r)
	}
}

// serveSession serves a call that needs a session.
func (s *Server) serveSession(kind callKind, call Call, r *http1.Request) {
	session, secret, ok := bearer(r)
	if !ok {
		s.refuse(call, &refusal{code: wire.CloseUnauthenticated, reason: "authorization: want Bearer <session>.<secret>"})
		return
	}
	c, code, reason := s.gw.Find(session, secret)
	if code != 0 {
		s.refuseStatus(call, bearerStatus(code), &refusal{code: code, reason: reason})
		return
	}
	e := event{call: call}
	switch kind {
	case callPoll:
		e.kind = eventPoll
		e.q, e.refused = parseQuery(r.RawQuery, querySeq, queryReplies)
	case callEvents:
		e.kind = eventStream
		if e.q, e.refused = parseQuery(r.RawQuery, querySeq, queryReplies); e.refused == nil {
			e.refused = e.q.lastEventID(r)
		}
	case callFrames:
		e.kind, e.body, e.post = eventFrames, r.Body, &post{call: call}
		e.q, e.refused = parseQuery(r.RawQuery, queryWait, queryWait)
	default:
		e.kind = eventDelete
	}
	if refused := c.enter(kind, call, e.post); refused != nil {
		s.refuse(call, refused)
		return
	}
	c.deliver(e)
}

// refusal is a CLOSE on its way to one call.
type refusal struct {
	code       wire.CloseCode
	reason     string
	retryAfter time.Duration // what GOAWAY says on a stream; 0: nothing
}

// bearerStatus is the status of a call whose bearer's session is not here. One
// that has ended is 401, whatever it ended with, which the body tells.
func bearerStatus(code wire.CloseCode) int {
	if code == wire.CloseTakenOver || code == wire.CloseSessionExpired {
		return code.HTTPStatus()
	}
	return wire.CloseUnauthenticated.HTTPStatus()
}

// refuse answers a call with CLOSE. That the client shall wait is in the head for
// whatever stands between, in whole seconds, and in the object for the client.
func (s *Server) refuse(call Call, r *refusal) { s.refuseStatus(call, r.code.HTTPStatus(), r) }

func (s *Server) refuseStatus(call Call, status int, r *refusal) {
	s.metrics.refused(r.code)
	retryAfter := (r.retryAfter + time.Second - 1).Truncate(time.Second)
	if retryAfter == 0 && (r.code == wire.CloseOverloaded || r.code == wire.CloseBackendUnavailable) {
		retryAfter = time.Second
	}
	call.Answer(status, retryAfter, closeObject(r))
}

func (s *Server) refuseMethod(call Call, r *http1.Request) {
	status, reason := 404, "path: not served"
	if methods := Methods(r.Path); methods != "" {
		status, reason = 405, "method: want "+methods
		call.SetField("Allow", methods)
	}
	s.refuseStatus(call, status, &refusal{code: wire.CloseProtocolError, reason: reason})
}
