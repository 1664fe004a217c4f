package admission

import (
	"context"
	"net/netip"
	"time"
)

const (
	// sampleEvery is how often memory is looked at, which takes 20 microseconds. A
	// flood at the default accept rate takes 7 MB in that time when each client
	// sends all but the end of a frame, and a burst of it 65 MB.
	sampleEvery = 100 * time.Millisecond
	// After so many samples the rest is done, forgetting and logging.
	samplesPerSecond = int(time.Second / sampleEvery)
)

// Run watches memory, forgets what no longer matters and logs refusals until
// ctx is done. It starts no goroutine. While it runs it may set the process's
// memory limit for the garbage collector (Config.Memory.GoLimit).
func (g *Gate) Run(ctx context.Context) error {
	g.log.Info("open connections are bounded", "max", g.policy.Load().openMax(), "descriptors_for_clients", g.descriptors())
	w := watch{gate: g, source: g.memory, inForce: LevelNormal}
	defer w.stop()
	defer g.notes.log(g.log)
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for n := 1; ; n++ {
		w.sample()
		if n%samplesPerSecond == 0 {
			g.everySecond(w.inForce)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (g *Gate) everySecond(level Level) {
	p, now := g.policy.Load(), g.units()
	g.addresses.sweep(p.address, now)
	g.users.sweep(p.user, now)
	g.notes.log(g.log)
	if level == LevelDropQueues {
		g.tell(level)
	}
}

// Level is the memory step in force: LevelNormal before Run, and in a dry run.
func (g *Gate) Level() Level {
	if g.policy.Load().memory.DryRun {
		return LevelNormal
	}
	return Level(g.level.Load())
}

// OnLevel has f called when the level changes, and every second while it is
// LevelDropQueues. Run calls it, so it should not take long.
func (g *Gate) OnLevel(f func(Level)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.onLevel = append(g.onLevel, f)
}

func (g *Gate) tell(level Level) {
	g.mu.Lock()
	fs := g.onLevel
	g.mu.Unlock()
	for _, f := range fs {
		f(level)
	}
}

// shedding tells whether memory is so short that what begins at level has to
// be refused, and counts that.
func (g *Gate) shedding(p *policy, level Level, addr netip.Addr) bool {
	return Level(g.level.Load()) >= level && g.refuses(ReasonMemory, p.memory.DryRun, addr, "")
}
