package client

import (
	"errors"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// linkState is what the client knows from one attempt to the next: whose turn it
// is, how long to rest, and which token is no good.
type linkState struct {
	rotation *rotation
	resume   *session // the suspended session to get back; nil for none
	failures int      // failed attempts and short-lived connections in a row
	token    string   // of the last attempt
	refused  *refused // the token that must not be offered again; nil for none
}

type refused struct {
	token string
	err   error
}

// abandon gives up the session that was to be resumed, if there is one.
func (l *linkState) abandon() {
	if l.resume != nil {
		l.resume.discard()
		l.resume = nil
	}
}

// firstRest says how long to rest after old has ended or was told to go: what the
// gateway said, else back-off. A connection that did not live longer than the
// last ceiling counts as a failure, so that a gateway which welcomes and then
// closes is not hammered.
func (c *Client) firstRest(old *connection) time.Duration {
	short := time.Since(old.born) < c.cfg.Backoff.ceiling(c.link.failures)
	if short {
		c.link.failures++
	} else {
		c.link.failures = 0
	}
	g := old.left()
	leads := g != nil && !g.Code.Reconnect().Resumes() // else it only says when
	switch {
	case leads && !c.link.rotation.follow(g):
		c.link.rotation.advance() // anywhere but where we were told to leave
	case !leads && short:
		c.link.rotation.failed()
	}
	if g != nil && g.ReconnectAfterMS > 0 {
		return time.Duration(g.ReconnectAfterMS) * time.Millisecond
	}
	if closed, ok := errors.AsType[*CloseError](old.reason()); ok && closed.RetryAfter > 0 {
		return closed.RetryAfter
	}
	return c.cfg.Backoff.rest(c.link.failures, c.cfg.random)
}

// nextRest says how long to rest after an attempt that failed with err.
func (c *Client) nextRest(err error) time.Duration {
	c.link.failures++
	refusal, _ := errors.AsType[*CloseError](err)
	if refusal != nil && !refusal.Code.Reconnect().Resumes() {
		c.link.abandon()
	}
	switch {
	case refusal != nil && refusal.goAway != nil && c.link.rotation.follow(refusal.goAway):
		// where the refusal sends us, when it says
	case c.link.rotation.offers():
		return 0 // the next endpoint of the same GOAWAY, whose wait is over
	default:
		c.link.rotation.failed()
	}
	if refusal != nil && refusal.RetryAfter > 0 {
		return refusal.RetryAfter
	}
	return c.cfg.Backoff.rest(c.link.failures, c.cfg.random)
}

// final reports whether err, by which a connection or an attempt with token
// ended, tells the client to stay away for good.
func (c *Client) final(err error, token string) bool {
	if errors.Is(err, errSameToken) {
		return true
	}
	closed, ok := errors.AsType[*CloseError](err)
	if !ok {
		return false
	}
	reaction := closed.Code.Reconnect()
	if reaction == wire.ReactionNewToken && c.cfg.TokenFunc != nil {
		c.link.refused = &refused{token: token, err: err}
		return false
	}
	return !reaction.ComesBack()
}
