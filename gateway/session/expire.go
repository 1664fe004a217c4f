package session

import (
	"math/rand/v2"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Expire looks after the heartbeat, the credential's end and the connection's
// lifetime. 0 is never.
func (a *Attachment) Expire(now int64) (next int64) {
	a.s.mu.Lock()
	mine := a.s.at == a
	a.s.mu.Unlock()
	if !mine {
		return 0
	}
	if a.closeAt != 0 && now >= a.closeAt {
		a.close(wire.CloseLifetime, "the connection's lifetime is over")
		return 0
	}
	return sooner(a.closeAt, sooner(a.heartbeat(now), a.credential(now)))
}

// sooner is the earlier of two times of which 0 is never.
func sooner(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// lifetimeEnd picks when a connection that begins now is to be closed. The
// dither spreads those that began together.
func (l *Limits) lifetimeEnd(now int64) int64 {
	if l.Lifetime <= 0 {
		return 0
	}
	return now + max(int64(float64(l.Lifetime.Milliseconds())*(1-l.LifetimeDither*rand.Float64())), 1)
}

func (a *Attachment) heartbeat(now int64) (next int64) {
	if !a.conn.Pings() {
		return 0
	}
	l := a.s.deps.Limits
	pingAt := a.conn.LastRead() + l.Heartbeat.Milliseconds()
	deadAt := pingAt + l.HeartbeatTimeout.Milliseconds()
	switch {
	case now < pingAt:
		return pingAt
	case now >= deadAt:
		a.refuse(wire.CloseHeartbeatTimeout, "nothing heard")
		return now + 1
	}
	if a.pingedAt < pingAt {
		a.pingedAt = now
		a.s.mu.Lock()
		a.pingLocked()
		a.s.mu.Unlock()
		a.conn.Flush()
	}
	return deadAt
}

// credential ends the session when its token has run out, after a warning. It
// returns when to look again, 0 for never.
func (a *Attachment) credential(now int64) (next int64) {
	s := a.s
	s.mu.Lock()
	expires, warned := s.state.ExpiresAt, s.warned
	left := time.Until(expires)
	warn := !expires.IsZero() && !warned && left <= s.deps.Limits.ExpiryWarning
	if warn {
		s.warned = true
	}
	s.mu.Unlock()
	switch {
	case expires.IsZero():
		return 0
	case left <= 0:
		a.refuse(wire.CloseTokenExpired, "the token has run out")
		return now + 1
	case warn:
		a.warnExpiring(left)
	case !warned:
		left -= s.deps.Limits.ExpiryWarning
	}
	return now + max(left.Milliseconds(), 1)
}
