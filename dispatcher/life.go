package dispatcher

import (
	"log/slog"
	"sync"
)

// life is what is known of which process stands behind an instance's address.
//
// Calls overlap, so their replies say little about the order of things by
// themselves. Everything here is therefore ordered by stamps: a process is only
// taken for dead when something that began after its last sign of life shows that
// nobody, or somebody else, is at its address.
type life struct {
	mu        sync.Mutex // guards the following
	current   int64      // incarnation; 0: not known yet
	former    int64      // the one before; a late word of it is not news
	changed   int64      // stamp: current was noted
	confirmed int64      // stamp: a call that began then was answered by current
}

// latest returns the incarnation that spoke last, and the stamp of the latest call
// that it answered.
func (l *life) latest() (incarnation, confirmed int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current, l.confirmed
}

// knows tells whether incarnation is or was the instance's.
func (l *life) knows(incarnation int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return incarnation == l.current || incarnation == l.former
}

// note takes in that a call which began at stamp began was answered by incarnation.
// changed tells that it is another process than before, sure that this can be told.
func (l *life) note(incarnation, began, now int64) (changed, sure bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case incarnation == l.current:
		l.confirmed = max(l.confirmed, began)
		return false, true
	case l.current != 0 && began < l.changed:
		// Either may be the later one.
		return false, incarnation == l.former
	}
	changed = l.current != 0
	l.former, l.current = l.current, incarnation
	l.changed, l.confirmed = now, began
	return changed, true
}

// stamp returns a number higher than every stamp that was taken before.
func (d *Dispatcher) stamp() int64 { return d.stamps.Add(1) }

// spoke notes who answered a call that began at stamp began. A new incarnation
// means that the process was restarted: what the former one had deferred is lost,
// and so are the connections to it.
func (i *instance) spoke(incarnation, began int64) {
	if incarnation == 0 {
		return // it does not say
	}
	changed, sure := i.life.note(incarnation, began, i.d.stamp())
	if !sure {
		i.probe()
	}
	if !changed {
		if sure && i.seen.Load() == 0 {
			i.seen.Store(incarnation)
		}
		return
	}
	if i.breaker.renew() {
		defer i.revived()
	}
	i.seen.Store(incarnation)
	i.log.Info("instance restarted", slog.Int64("incarnation", incarnation))
	i.clock.renew()
	i.calls.dropIdle()
	i.letGoOfDead()
	i.probe()
}

// letGoOfDead lets go of the lanes whose process has been followed by another: the
// present one has answered a call that began after theirs was settled. A lane
// whose process is not known stays, since that may be the present one.
func (i *instance) letGoOfDead() {
	current, confirmed := i.life.latest()
	i.letGo(func(incarnation, since int64) bool {
		return incarnation != 0 && incarnation != current && since < confirmed
	})
}

// gone notes that the instance's address took no connection when a call that began
// at stamp began wanted one: whoever was there before is no more.
func (i *instance) gone(began int64) {
	i.calls.dropIdle()
	i.letGo(func(_, since int64) bool { return since < began })
}
