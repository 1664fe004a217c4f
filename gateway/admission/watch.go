package admission

import (
	"fmt"
	"time"
)

// watch samples memory and sets the gate's level. It belongs to Run's goroutine.
type watch struct {
	gate    *Gate
	source  memorySource
	stepper stepper
	inForce Level // what was told last; LevelNormal in a dry run

	cfg      MemoryConfig // that limit and group were found for
	ready    bool         // there is a cfg
	limit    int64        // 0: none
	group    string       // the control group that limit is of; empty: configured
	failed   bool         // the last look failed, and the log says so
	released time.Time    // when garbage was last given back
	pause    time.Duration
}

// sample looks once.
func (w *watch) sample() {
	p := w.gate.policy.Load()
	if !w.ready || w.cfg != p.memory {
		w.configure(p.memory)
	}
	used := w.used()
	was := w.stepper.level
	is := w.stepper.step(used, w.limit)
	m := w.gate.metrics
	m.memory.Set(float64(used))
	m.level.Set(float64(is))
	w.gate.level.Store(int32(is))
	if is != was {
		w.gate.log.Warn("memory step", "step", is.String(), "was", was.String(), "bytes", used, "limit_bytes", w.limit,
			"dry_run", w.cfg.DryRun)
	}
	if w.cfg.DryRun {
		is = LevelNormal
	}
	if is != w.inForce {
		w.inForce = is
		w.gate.tell(is)
	}
	if is >= LevelRefuseHandshakes {
		w.release()
	}
}

// used is the memory in use, 0 while none is watched.
func (w *watch) used() int64 {
	if w.limit == 0 {
		return 0
	}
	used, err := w.source.Used(w.group)
	if failed := err != nil; failed != w.failed {
		w.failed = failed
		if failed {
			w.gate.log.Error("memory cannot be read, so nothing is given up when it runs short", "err", err)
		}
	}
	return used
}

// configure finds the limit that cfg speaks of.
func (w *watch) configure(cfg MemoryConfig) {
	before := w.limit
	first := !w.ready
	w.cfg, w.ready = cfg, true
	w.limit, w.group = cfg.LimitBytes, ""
	if w.limit == 0 {
		w.limit, w.group = w.source.Limit()
	}
	w.stepper.configure(cfg)
	goLimit := int64(0)
	if w.limit > 0 && !cfg.DryRun {
		goLimit = int64(cfg.GoLimit * float64(w.limit))
	}
	w.source.KeepTo(goLimit)
	w.gate.metrics.memoryLimit.Set(float64(w.limit))
	if !first && before == w.limit {
		return
	}
	if w.limit == 0 {
		w.gate.log.Info("no memory limit: memory.limit_bytes is 0 and there is none of a control group, so nothing is given up when memory runs short")
		return
	}
	w.gate.log.Info("memory limit", "limit_bytes", w.limit, "from", fromText(w.group))
}

func fromText(group string) string {
	if group == "" {
		return "memory.limit_bytes"
	}
	return fmt.Sprintf("control group %s", group)
}

// release gives garbage back to the system, since what is refused for it is
// refused for nothing. It takes as long as a garbage collection, so it runs not
// more than a tenth of the time.
func (w *watch) release() {
	begin := time.Now()
	if begin.Sub(w.released) < w.pause {
		return
	}
	w.source.Release()
	w.released = time.Now()
	w.pause = max(2*time.Second, 10*w.released.Sub(begin))
}

// stop leaves the process as it was found.
func (w *watch) stop() { w.source.KeepTo(0) }
