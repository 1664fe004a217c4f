package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

var (
	// ErrClosed means that Close was called.
	ErrClosed = errors.New("client: closed")
	// ErrNotSent means that a request never left this process, so it did not
	// run. What it wraps says why.
	ErrNotSent = errors.New("client: request not sent")
	// ErrOutcomeUnknown means that a request was sent and its reply did not
	// come: the connection broke, or the caller's context ended first. It may
	// have run, may be running, or may never run.
	ErrOutcomeUnknown = errors.New("client: outcome of the request is unknown")
)

// errSilent ends a connection on which nothing has come for too long.
var errSilent = errors.New("nothing received for heartbeat and its time-out")

// StatusError is a reply other than OK.
type StatusError struct {
	// Status is the gRPC canonical code.
	Status wire.Status
	// FromGateway tells that the gateway made this reply and not the backend.
	FromGateway bool
	// Reason and Message explain it; set only when FromGateway. Reason is a
	// word from a closed set, Message is for people.
	Reason, Message string
	// RetryAfter is how long to wait before sending it again; 0 when the
	// gateway gave none.
	RetryAfter time.Duration
	// Payload is what the backend answered with; empty when FromGateway.
	Payload []byte
}

// Error names the status, who gave it and why.
func (e *StatusError) Error() string {
	who := "backend"
	if e.FromGateway {
		who = "gateway"
	}
	s := fmt.Sprintf("client: %s answered %s", who, e.Status)
	if e.Reason != "" {
		s += " (" + e.Reason + ")"
	}
	switch {
	case e.Message != "":
		s += ": " + e.Message
	case len(e.Payload) > 0:
		s += ": " + excerpt(e.Payload)
	}
	return s
}

// payloadExcerptBytes bounds how much of a backend's payload an error's text
// shows, so that logs stay readable.
const payloadExcerptBytes = 200

// excerpt shows the beginning of a payload on one line.
func excerpt(b []byte) string {
	more := ""
	if len(b) > payloadExcerptBytes {
		b, more = b[:payloadExcerptBytes], "..."
	}
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, string(b)) + more
}

// NotRun reports whether the gateway says that the request was not run: it may
// be sent again, after RetryAfter, without running twice. A backend's own answer
// is never one, whatever its status.
func (e *StatusError) NotRun() bool { return e.Status.NotRun(e.flags()) }

// MayHaveRun reports whether the gateway does not know if the request was run.
func (e *StatusError) MayHaveRun() bool { return e.Status.MayHaveRun(e.flags()) }

func (e *StatusError) flags() wire.Flags {
	if e.FromGateway {
		return wire.FlagOriginGateway
	}
	return 0
}

// NotRun reports whether err, which Request returned, says that the request
// certainly did not run, so that sending it again cannot run it twice. False for
// nil and for every doubt.
func NotRun(err error) bool {
	if errors.Is(err, ErrNotSent) {
		return true
	}
	status, ok := errors.AsType[*StatusError](err)
	return ok && status.NotRun()
}

// CloseError is a CLOSE that the gateway sent.
type CloseError struct {
	Code   wire.CloseCode
	Reason string
	// RetryAfter is the reconnect_after_ms of a GOAWAY that came before; 0
	// without one.
	RetryAfter time.Duration

	goAway *wire.GoAway // that GOAWAY, or nil
}

// Error gives code, name and reason.
func (e *CloseError) Error() string {
	s := fmt.Sprintf("client: closed by the gateway: %d %s", uint16(e.Code), e.Code)
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	return s
}

// ctxError is why ctx ended: its Err, which callers look for, and the cause where
// somebody gave one.
func ctxError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == err { // the very same value, not one that wraps it
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// follow notes the GOAWAY that came before the CLOSE; g may be nil.
func (e *CloseError) follow(g *wire.GoAway) {
	if g != nil {
		e.goAway = g
		e.RetryAfter = time.Duration(g.ReconnectAfterMS) * time.Millisecond
	}
}

// statusError reads a REPLY that is not OK. payload belongs to the error from
// now on.
func statusError(status wire.Status, flags wire.Flags, payload []byte) *StatusError {
	e := &StatusError{Status: status, FromGateway: flags.FromGateway()}
	if !e.FromGateway {
		e.Payload = payload
		return e
	}
	// An explanation that cannot be read must not hide the status itself.
	if p, err := wire.ParseErrorPayload(payload); err == nil {
		e.Reason, e.Message = p.Reason, p.Message
		e.RetryAfter = time.Duration(p.RetryAfterMS) * time.Millisecond
	}
	return e
}
