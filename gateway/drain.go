package gateway

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/gateway/transport"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// drainGraceShare is the part of the drain window that a client has between
// GOAWAY and CLOSE; the rest is what the GOAWAYs are spread over.
const drainGraceShare = 4

// drainGraceMax bounds it: a client that has not left by then will not.
const drainGraceMax = 30 * time.Second

// drainTick is how often a drain looks at whom to send away.
const drainTick = 20 * time.Millisecond

// deregister says that the gateway is leaving and goes on as before until the
// balancer in front has noticed, or ctx is done.
func (s *Server) deregister(ctx context.Context) {
	s.leaving.Store(true)
	delay := s.live.Load().cfg.Drain.DeregisterDelay
	if delay == 0 {
		return
	}
	s.log.Info("not ready any more, still accepting", "deregister_delay", delay)
	select {
	case <-ctx.Done():
	case <-time.After(delay):
	}
}

// drain sends every client away: GOAWAY in random order, spread evenly over the
// window, and CLOSE to those that are still there a while after theirs. So
// neither the reconnects nor the closes come at once. It returns when all have
// gone or the window is over.
func (s *Server) drain(ctx context.Context) {
	s.deregister(ctx)
	s.draining.Store(true)
	s.metrics.draining.Set(1)
	var all []*session.Session
	s.sessions.Each(func(one *session.Session) bool {
		if one.Attached() {
			all = append(all, one)
		} else { // it could not be resumed here any more: a HELLO is sent away
			one.EndWith(wire.CloseDraining, "the gateway is leaving")
		}
		return true
	})
	s.log.Info("draining", "sessions", len(all), "window", s.live.Load().cfg.Drain.Window)
	s.eachHandshake((*handshake).sendAway)
	for _, l := range s.listeners {
		l.Leave()
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	s.sendAway(ctx, all)
	// Those that were being let in when the drain began.
	s.sessions.Each(func(one *session.Session) bool {
		one.EndWith(wire.CloseDraining, "the gateway has left", goAway(wire.CloseDraining, "draining", 0, reconnectAfter()))
		return true
	})
	s.eachHandshake((*handshake).sendAway)
	s.judging.Range(func(h, _ any) bool {
		h.(*handshake).turnAway()
		return true
	})
	s.eachConn(func(c *transport.Conn) {
		if !c.Introduced() { // it has not said how it speaks: there is nothing to tell it
			c.Abort()
		}
	})
	s.awaitClosed(ctx)
	s.log.Info("drained", "connections_left", s.connections())
}

// eachHandshake calls fn for the connections that have no session yet.
func (s *Server) eachHandshake(fn func(*handshake)) {
	s.eachConn(func(c *transport.Conn) {
		if h, ok := c.Receiver().(*handshake); ok {
			fn(h)
		}
	})
}

func (s *Server) eachConn(fn func(*transport.Conn)) {
	for _, l := range s.listeners {
		l.Each(fn)
	}
}

// sendAway works through all in two fronts: GOAWAY at the first, CLOSE a grace
// behind it.
func (s *Server) sendAway(ctx context.Context, all []*session.Session) {
	window := s.live.Load().cfg.Drain.Window
	grace := min(window/drainGraceShare, drainGraceMax)
	spread := window - grace
	ticker := time.NewTicker(drainTick)
	defer ticker.Stop()
	started := time.Now()
	warned, closed := 0, 0
	for closed < len(all) {
		elapsed := time.Since(started)
		for due := share(len(all), elapsed, spread); warned < due; warned++ {
			all[warned].GoAway(goAway(wire.CloseDraining, "draining", grace, reconnectWithin(grace)))
		}
		for due := min(share(len(all), elapsed-grace, spread), warned); closed < due; closed++ {
			all[closed].EndWith(wire.CloseDraining, "the gateway has left")
		}
		if s.sessions.Len() == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// share is how many of n are due when elapsed of spread has passed.
func share(n int, elapsed, spread time.Duration) int {
	switch {
	case elapsed < 0:
		return 0
	case elapsed >= spread:
		return n
	default:
		return int(int64(n) * int64(elapsed) / int64(spread))
	}
}

// closeWait is how long the last CLOSEs have to arrive. It is longer than a
// closing connection lingers.
const closeWait = 2 * time.Second

// awaitClosed waits until the connections are gone, so that the end of the
// process does not reset them with their CLOSE under way.
func (s *Server) awaitClosed(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, closeWait)
	defer cancel()
	ticker := time.NewTicker(drainTick)
	defer ticker.Stop()
	for s.connections() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// connections is how many there are, with or without a session.
func (s *Server) connections() (n int64) {
	for _, l := range s.listeners {
		n += l.Open()
	}
	return n
}
