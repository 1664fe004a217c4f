package gateway

import (
	"github.com/holdfast-io/holdfast/gateway/admission"
	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/gateway/transport"
)

// live is what may change while the gateway runs: one value, swapped whole.
// Connections and sessions keep what they began with, since clients were told.
type live struct {
	cfg       Config
	origins   origins
	transport *transport.Limits
	sessions  *session.Deps
}

// newLive derives what cfg means. deps is what all sessions share besides.
func (s *Server) newLive(cfg Config, deps *session.Deps) *live {
	mine := *deps
	mine.Limits = cfg.sessionLimits()
	l := &live{cfg: cfg, origins: newOrigins(cfg.Origins), transport: cfg.transportLimits(), sessions: &mine}
	if s.gate.Level() >= admission.LevelShortenIdle {
		shorten(l.transport)
	}
	return l
}

// idleShare is the part of the idle times that is left while memory is short.
const idleShare = 4

// shorten makes connections that do nothing go sooner.
func shorten(l *transport.Limits) {
	l.HelloTimeout /= idleShare
	l.IdleTimeout /= idleShare
}

// relieve is told of each change of the memory's level, and every second while
// it is at its last step.
func (s *Server) relieve(level admission.Level) {
	s.replace(func(cfg Config) Config { return cfg })
	if level >= admission.LevelDropQueues {
		s.dropStrangers()
		s.dropLargest()
	}
}

// replace puts a live configuration in the place of the present one.
func (s *Server) replace(next func(Config) Config) {
	s.liveMu.Lock()
	defer s.liveMu.Unlock()
	now := s.live.Load()
	cfg := next(now.cfg)
	ttl := cfg.Session.ResumeTTL
	if s.gate.Level() >= admission.LevelShortenIdle {
		ttl /= idleShare
	}
	s.cut.SetTTL(ttl)
	s.live.Store(s.newLive(cfg, now.sessions))
}
