package client

import (
	"context"
	"math"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// climbTimeout bounds the try of one better transport. It is short, since the
// supervisor does nothing else meanwhile.
const climbTimeout = 3 * time.Second

// climbIn says how long until conn, which has fallen back, is to try better
// transports; for ever when there are none, or its session could not be moved.
func (c *Client) climbIn(conn *connection) time.Duration {
	at, ok := c.link.rotation.climbAt()
	if !ok || conn.info.ResumeTTL <= 0 {
		return math.MaxInt64
	}
	return time.Until(at)
}

// climb tries to move the session of old to a better transport, and returns the
// connection that has it then. old goes on serving until the gateway has taken
// the session from it. The HELLO carries no token: where the session is not found
// there is no new one, and old stays.
//
// When WELCOME gets lost, old has ended with TAKEN_OVER: the session is told that
// this is our own doing, and the supervisor resumes it.
func (c *Client) climb(old *connection) *connection {
	tries := c.link.rotation.above(time.Now())
	for _, to := range tries {
		if old.ended() || old.left() != nil {
			break
		}
		old.session.movingUntil.Store(time.Now().Add(2 * climbTimeout).UnixNano())
		c.link.resume = old.session
		ctx, cancel := context.WithTimeoutCause(c.ctx, climbTimeout, errNoWelcome)
		next, err := c.attempt(ctx, to, c.cfg.hello(""), old.token)
		cancel()
		if err == nil {
			c.link.rotation.reached(to.transport, time.Now())
			if next.session != old.session { // a gateway that lets everybody in
				old.shut(wire.CloseNormal, "", errReplaced)
			}
			return next
		}
		c.link.resume = nil
		c.cfg.Log.Debug("no better transport", "target", to.String(), "error", err)
	}
	return old
}
