package dispatcher

import (
	"log/slog"
	"sync/atomic"
)

// life is what is known of which process stands behind an instance's address.
type life struct {
	current atomic.Int64 // incarnation; 0: not known yet
	former  atomic.Int64 // the one before; a late word of it is not news
}

// spoke notes the incarnation of something that the instance said. A new one
// means that the process was restarted: what the former one had deferred is lost,
// and so are the connections to it.
func (i *instance) spoke(incarnation int64) {
	was := i.life.current.Load()
	if incarnation == 0 || incarnation == was || incarnation == i.life.former.Load() {
		return
	}
	if !i.life.current.CompareAndSwap(was, incarnation) {
		return // somebody else has heard it
	}
	i.life.former.Store(was)
	if was == 0 {
		return
	}
	i.log.Info("instance restarted", slog.Int64("incarnation", incarnation), slog.Int64("former", was))
	i.clock.reset()
	i.calls.dropIdle()
	// Lanes that were closed before any incarnation was known stay closed: this may
	// be the very process that closed them.
	i.letGo(func(held int64) bool { return held != 0 && held != incarnation })
	i.probe()
}

// gone notes that the instance's address took no connection, so the process that
// was known as incarnation is no more. The caller read incarnation before it
// dialled: a process that has come up since has another.
func (i *instance) gone(incarnation int64) {
	i.calls.dropIdle()
	i.letGo(func(held int64) bool { return held == incarnation })
}
