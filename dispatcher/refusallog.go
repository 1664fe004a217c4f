package dispatcher

import (
	"log/slog"
	"sync/atomic"
	"time"
)

// refusalLog says in the log why requests of a service are refused: each reason at
// most once a minute, with how many there were since.
type refusalLog struct {
	log *slog.Logger
	now func() int64
	of  map[Reason]*refusalCount // an entry for every reason; the map is never changed
}

type refusalCount struct {
	n    atomic.Int64 // since it was logged last
	last atomic.Int64 // when that was; 0: never
}

func newRefusalLog(log *slog.Logger, now func() int64) *refusalLog {
	r := &refusalLog{log: log, now: now, of: map[Reason]*refusalCount{}}
	for why := range refusals {
		r.of[why] = &refusalCount{}
	}
	return r
}

// refused notes one refusal. It may be called from any goroutine.
func (r *refusalLog) refused(why Reason) {
	c := r.of[why]
	c.n.Add(1)
	now, last := max(1, r.now()), c.last.Load()
	if last != 0 && now-last < int64(time.Minute) || !c.last.CompareAndSwap(last, now) {
		return
	}
	r.log.Warn("requests refused", slog.String("reason", string(why)), slog.Int64("requests", c.n.Swap(0)))
}
