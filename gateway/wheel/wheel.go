// Package wheel is a timer wheel for very many deadlines that mostly move
// before they are due: hello, heartbeat, write and linger deadlines of
// connections.
//
// A timer is not moved when its deadline does. It fires when it was set to,
// its owner looks at the clock and answers when it wants to be woken next. A
// connection that is busy all day therefore costs one look per heartbeat
// interval, and none per message. There is one goroutine for all timers and no
// runtime timer per connection.
//
// The scheme is the hashed wheel of Varghese and Lauck, "Hashed and
// Hierarchical Timing Wheels" (1987), scheme 6: a deadline beyond one turn
// waits in its slot for the turns that remain.
package wheel

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// slots times the tick is one turn. 512 slots of 100 ms turn in 51 s, longer
// than the default heartbeat, so that most timers are seen once.
const slots = 512

// Owner is what a timer wakes.
type Owner interface {
	// Expire is called from the wheel's goroutine, so it must not block. It
	// returns when to be called next, on the wheel's clock, or 0 for never.
	Expire(now int64) (next int64)
}

// Timer is one owner's place in the wheel, embedded in the owner so that it
// costs no allocation. The zero Timer is unset.
type Timer struct {
	owner      Owner
	next, prev *Timer
	at         int64
	state      state
}

type state uint8

const (
	unset state = iota
	armed
	firing  // Expire runs; a Set during it decides against what Expire returns
	stopped // Stop came while Expire ran: it does not return to the wheel
)

// Wheel holds timers. Its methods may be called from any goroutine.
type Wheel struct {
	tick  int64 // ms
	start time.Time
	now   atomic.Int64 // ms since start, as of the last tick, from 1

	mu   sync.Mutex // guards the following and every timer's fields
	ring [slots]Timer
	turn int64 // the tick that was swept last
}

// New returns a wheel that fires with the precision of tick, at least a
// millisecond. Nothing fires before Run.
func New(tick time.Duration) *Wheel {
	w := &Wheel{tick: max(tick.Milliseconds(), 1), start: time.Now()}
	w.now.Store(1)
	for i := range w.ring {
		head := &w.ring[i]
		head.next, head.prev = head, head
	}
	return w
}

// Now is the wheel's clock in milliseconds since New, as coarse as the tick. It
// costs one atomic load, is never 0 and never goes back.
func (w *Wheel) Now() int64 { return w.now.Load() }

// Set arms t for owner at the given time of the wheel's clock. A timer that is
// set already keeps the earlier of its two times: owners that want a later one
// say so from Expire.
func (w *Wheel) Set(t *Timer, owner Owner, at int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch t.state {
	case armed:
		if at >= t.at {
			return
		}
		t.unlink()
		w.insert(t, at)
	case firing:
		if t.at == 0 || at < t.at {
			t.at = at
		}
	case unset:
		t.owner = owner
		w.insert(t, at)
	case stopped: // its owner is gone
	}
}

// Stop takes t out for good. Expire may still be running when Stop returns.
func (w *Wheel) Stop(t *Timer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.state == armed {
		t.unlink()
	}
	t.state, t.owner = stopped, nil
}

// Run fires timers until ctx is done.
func (w *Wheel) Run(ctx context.Context) error {
	ticker := time.NewTicker(time.Duration(w.tick) * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			w.Advance(time.Since(w.start).Milliseconds() + 1)
		}
	}
}

// Advance moves the clock to now and fires what is due. Run calls it; tests
// call it in place of Run.
func (w *Wheel) Advance(now int64) {
	w.now.Store(now)
	w.mu.Lock()
	last := now / w.tick
	first := max(w.turn+1, last-slots+1) // one turn visits every slot
	w.turn = max(w.turn, last)
	var due *Timer
	for tick := first; tick <= last; tick++ {
		due = w.collect(&w.ring[tick%slots], now, due)
	}
	w.mu.Unlock()
	for due != nil {
		next := due.next
		w.fire(due, now)
		due = next
	}
}

// collect moves what is due from a slot onto the list that starts with due.
func (w *Wheel) collect(head *Timer, now int64, due *Timer) *Timer {
	for t := head.next; t != head; {
		next := t.next
		if t.at <= now {
			t.unlink()
			t.state, t.at = firing, 0
			t.next = due
			due = t
		}
		t = next
	}
	return due
}

func (w *Wheel) fire(t *Timer, now int64) {
	w.mu.Lock()
	owner := t.owner
	w.mu.Unlock()
	if owner == nil { // stopped since it was collected
		return
	}
	at := owner.Expire(now)

	w.mu.Lock()
	defer w.mu.Unlock()
	t.next = nil
	if t.state != firing {
		return
	}
	if t.at != 0 && (at == 0 || t.at < at) {
		at = t.at
	}
	if at == 0 {
		t.state = unset
		return
	}
	w.insert(t, at)
}

// insert puts t where the sweep passes at or after its time, and never into the
// slot that is being swept.
func (w *Wheel) insert(t *Timer, at int64) {
	tick := max((at+w.tick-1)/w.tick, w.turn+1)
	head := &w.ring[tick%slots]
	t.at, t.state = at, armed
	t.prev, t.next = head.prev, head
	t.prev.next, head.prev = t, t
}

func (t *Timer) unlink() {
	t.prev.next, t.next.prev = t.next, t.prev
	t.next, t.prev = nil, nil
}
