package admission

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// running runs a gate in a synctest bubble whose clock is the gate's too.
func running(t *testing.T, cfg Config, f func(w *world, g *Gate)) *world {
	t.Helper()
	w := newWorld()
	synctest.Test(t, func(t *testing.T) {
		g := w.gate(t, cfg)
		begin := time.Now()
		g.now = func() int64 { return time.Since(begin).Milliseconds() + 1 }
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx) }()
		synctest.Wait()
		f(w, g)
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
	return w
}

// pass lets time pass, and what happens then.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestMemorySteps(t *testing.T) {
	cfg := Unlimited()
	cfg.Memory.LimitBytes = 1000 << 20
	var told []Level
	w := running(t, cfg, func(w *world, g *Gate) {
		g.OnLevel(func(l Level) { told = append(told, l) })
		at := func(used int64, accept, handshake Reason) {
			t.Helper()
			w.memory.used.Store(used << 20)
			pass(sampleEvery)
			r, ok := g.Accept()
			want(t, "Accept", r, ok, accept)
			r, ok = g.Handshake(addr("10.0.0.1"))
			want(t, "Handshake", r, ok, handshake)
		}
		at(100, Admitted, Admitted)
		if got := w.memory.keep.Load(); got != 650<<20 {
			t.Errorf("Go was told to keep to %d, want 0.65 of the limit", got)
		}
		at(700, Admitted, Admitted)
		if g.Level() != LevelShortenIdle {
			t.Errorf("level %v, want shorten_idle", g.Level())
		}
		at(810, Admitted, ReasonMemory)
		if w.memory.released.Load() != 1 {
			t.Errorf("garbage was given back %d times, want once", w.memory.released.Load())
		}
		at(860, ReasonMemory, ReasonMemory)
		at(990, ReasonMemory, ReasonMemory)
		pass(3 * time.Second)
		if got := w.count(t, "holdfast_admission_memory_bytes", nil); got != 990<<20 {
			t.Errorf("memory bytes %v, want 990 MiB", got)
		}
		if got := w.count(t, "holdfast_admission_memory_level", nil); got != 4 {
			t.Errorf("memory level %v, want 4", got)
		}
		at(100, Admitted, Admitted)
	})
	wantTold := []Level{LevelShortenIdle, LevelRefuseHandshakes, LevelRefuseAccepts, LevelDropQueues,
		LevelDropQueues, LevelDropQueues, LevelDropQueues, LevelNormal} // once a second while it lasts
	if !slices.Equal(told, wantTold) {
		t.Errorf("OnLevel was told %v, want %v", told, wantTold)
	}
	if w.memory.keep.Load() != 0 {
		t.Error("Run did not take Go's limit back")
	}
	if n := w.memory.released.Load(); n < 2 || n > 4 {
		t.Errorf("garbage was given back %d times in 4 s, want every 2 s", n)
	}
}

func TestMemoryLimitOfGroup(t *testing.T) {
	w := running(t, Unlimited(), func(w *world, g *Gate) {
		w.memory.used.Store(950)
		pass(time.Second)
		if g.Level() != LevelNormal {
			t.Errorf("level without a limit = %v, want normal", g.Level())
		}
		// The group's limit is looked up again with a new configuration.
		w.memory.limit.Store(1000)
		cfg := Unlimited()
		cfg.Memory.Hysteresis = 0.01
		if err := g.Reload(cfg); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if g.Level() != LevelDropQueues {
			t.Errorf("level = %v, want drop_queues", g.Level())
		}
		failure := errors.New("gone")
		w.memory.err.Store(&failure)
		pass(time.Second)
		if g.Level() != LevelNormal {
			t.Errorf("level while memory cannot be read = %v, want normal", g.Level())
		}
	})
	for text, times := range map[string]int{
		"no memory limit": 1, "control group /sys/fs/cgroup/test": 1, "memory cannot be read": 1, "step=drop_queues was=normal": 1,
	} {
		if n := strings.Count(w.logs.String(), text); n != times {
			t.Errorf("the log says %q %d times, want %d:\n%s", text, n, times, w.logs.String())
		}
	}
}

func TestMemoryDryRun(t *testing.T) {
	cfg := Unlimited()
	cfg.Memory.LimitBytes, cfg.Memory.DryRun = 1000<<20, true
	w := running(t, cfg, func(w *world, g *Gate) {
		g.OnLevel(func(l Level) { t.Errorf("OnLevel(%v) in a dry run", l) })
		w.memory.used.Store(990 << 20)
		pass(3 * time.Second)
		r, ok := g.Accept()
		want(t, "Accept", r, ok, Admitted)
		if g.Level() != LevelNormal || w.count(t, "holdfast_admission_memory_level", nil) != 4 {
			t.Errorf("level in force %v, want normal; shown should be 4", g.Level())
		}
	})
	if w.memory.released.Load() != 0 {
		t.Error("a dry run gave garbage back")
	}
}

// TestRefusalsAreLogged: a line a second for each reason, with one example and the number.
func TestRefusalsAreLogged(t *testing.T) {
	cfg := Unlimited()
	cfg.ConnectionsPerAddress.Max = 1
	cfg.ConnectionsPerUser = Count{Max: 1, DryRun: true}
	w := running(t, cfg, func(w *world, g *Gate) {
		for range 101 {
			g.Enter(addr("10.0.0.7"))
			g.User("u7")
		}
		pass(10 * time.Second)
		g.Enter(addr("10.0.0.7"))
	})
	var lines []string
	for line := range strings.Lines(w.logs.String()) {
		if _, rest, ok := strings.Cut(strings.TrimSpace(line), "msg=refused component=admission "); ok {
			lines = append(lines, rest)
		}
	}
	want := []string{
		"reason=address_connections count=100 dry_run=false address=10.0.0.7",
		"reason=user_connections count=100 dry_run=true uid=u7",
		"reason=address_connections count=1 dry_run=false address=10.0.0.7", // as Run ends
	}
	if !slices.Equal(lines, want) {
		t.Errorf("log of refusals:\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

// TestSeriesAtZero: a dashboard finds every reason before it happens.
func TestSeriesAtZero(t *testing.T) {
	w := newWorld()
	w.gate(t, DefaultConfig())
	for _, r := range Reasons() {
		if w.refusals(t, r, "false")+w.refusals(t, r, "true") != 0 {
			t.Errorf("%v: not at zero", r)
		}
		if r.String() == "" || rules[r].label == "unknown" {
			t.Errorf("reason %d has no label", r)
		}
	}
}
