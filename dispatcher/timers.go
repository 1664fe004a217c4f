package dispatcher

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/holdfast-io/holdfast/dispatcher/lane"
)

// timers call a lane when something of it may be overdue. A lane is in the heap at
// most once, and it is not moved back when its deadline does: it is looked at,
// and finds its next deadline then. So a request costs no heap operation; a lane
// that is always busy costs one each request time-out.
type timers struct {
	mu    sync.Mutex
	lanes laneHeap
	kick  chan struct{} // the earliest time has changed
}

func (t *timers) init() { t.kick = make(chan struct{}, 1) }

// armLocked makes the timer look at the lane at time at, unless it does so earlier
// anyway.
func (sl *sessionLane) armLocked(at int64) {
	sl.armed = at
	t := &sl.owner.d.timers
	t.mu.Lock()
	sl.timerAt = at
	if sl.timerIndex == 0 {
		heap.Push(&t.lanes, sl)
	} else {
		heap.Fix(&t.lanes, sl.timerIndex-1)
	}
	first := t.lanes[0] == sl
	t.mu.Unlock()
	if first {
		select {
		case t.kick <- struct{}{}:
		default: // it will look anyway
		}
	}
}

// disarmLocked forgets the lane.
func (sl *sessionLane) disarmLocked() {
	if sl.armed == 0 {
		return
	}
	sl.armed = 0
	t := &sl.owner.d.timers
	t.mu.Lock()
	if sl.timerIndex != 0 {
		heap.Remove(&t.lanes, sl.timerIndex-1)
	}
	t.mu.Unlock()
}

// run calls lanes until ctx is done.
func (t *timers) run(ctx context.Context, d *Dispatcher) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var due []*sessionLane
	var expired []lane.Expiry
	for {
		var next time.Duration
		now := d.now()
		due, next = t.due(now, due[:0])
		for i, sl := range due {
			expired = sl.fire(now, expired)
			due[i] = nil
		}
		if len(due) > 0 {
			continue
		}
		timer.Reset(next)
		select {
		case <-timer.C:
		case <-t.kick:
		case <-ctx.Done():
			return nil
		}
	}
}

// due takes up to a few hundred lanes out of the heap whose time has come. Where
// there is none it returns how long to sleep.
func (t *timers) due(now int64, dst []*sessionLane) ([]*sessionLane, time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.lanes) > 0 && t.lanes[0].timerAt <= now && len(dst) < 256 {
		dst = append(dst, heap.Pop(&t.lanes).(*sessionLane))
	}
	if len(dst) > 0 || len(t.lanes) == 0 {
		return dst, time.Hour
	}
	return dst, time.Duration(t.lanes[0].timerAt - now)
}

// laneHeap orders lanes by timerAt.
type laneHeap []*sessionLane

func (h laneHeap) Len() int           { return len(h) }
func (h laneHeap) Less(i, j int) bool { return h[i].timerAt < h[j].timerAt }
func (h laneHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].timerIndex, h[j].timerIndex = i+1, j+1
}

func (h *laneHeap) Push(x any) {
	sl := x.(*sessionLane)
	*h = append(*h, sl)
	sl.timerIndex = len(*h)
}

func (h *laneHeap) Pop() any {
	old := *h
	sl := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	sl.timerIndex = 0
	return sl
}
