package wheel

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// owner notes when it was woken and answers what the test wants.
type owner struct {
	t     Timer
	fired []int64
	then  func(now int64) int64
}

func (o *owner) Expire(now int64) int64 {
	o.fired = append(o.fired, now)
	if o.then == nil {
		return 0
	}
	return o.then(now)
}

// turnTo advances tick by tick, as Run does.
func turnTo(w *Wheel, to int64) {
	for now := w.Now() + w.tick; now <= to; now += w.tick {
		w.Advance(now)
	}
}

func TestFiresWhenDue(t *testing.T) {
	for _, at := range []int64{1, 9, 10, 11, 95, 5119, 5120, 5121, 60_000, 1_000_000} {
		w, o := New(10*time.Millisecond), &owner{}
		w.Set(&o.t, o, at)
		turnTo(w, at-1)
		if len(o.fired) != 0 {
			t.Errorf("at %d: fired at %v, early", at, o.fired)
		}
		turnTo(w, at+2*w.tick)
		if len(o.fired) != 1 || o.fired[0] < at || o.fired[0] > at+2*w.tick {
			t.Errorf("at %d: fired at %v, want once within two ticks", at, o.fired)
		}
	}
}

// TestLateAdvance: a process that was stopped for many turns fires everything
// once.
func TestLateAdvance(t *testing.T) {
	w := New(10 * time.Millisecond)
	owners := make([]owner, 2000)
	for i := range owners {
		w.Set(&owners[i].t, &owners[i], rand.Int64N(20_000)+1)
	}
	w.Advance(1_000_000)
	for i := range owners {
		if len(owners[i].fired) != 1 {
			t.Fatalf("timer %d fired %d times, want once", i, len(owners[i].fired))
		}
	}
}

func TestSetKeepsTheEarlier(t *testing.T) {
	w, o := New(10*time.Millisecond), &owner{}
	w.Set(&o.t, o, 500)
	w.Set(&o.t, o, 900)
	w.Set(&o.t, o, 200)
	turnTo(w, 2000)
	if len(o.fired) != 1 || o.fired[0] < 200 || o.fired[0] > 220 {
		t.Errorf("fired at %v, want once at 200", o.fired)
	}
}

func TestRearm(t *testing.T) {
	w := New(10 * time.Millisecond)
	o := &owner{then: func(now int64) int64 { return now + 100 }}
	w.Set(&o.t, o, 100)
	turnTo(w, 1000)
	if n := len(o.fired); n < 8 || n > 9 {
		t.Errorf("fired %d times in a second at %v, want every 100 to 120 ms", n, o.fired)
	}
	if !slices.IsSorted(o.fired) {
		t.Errorf("fired out of order: %v", o.fired)
	}
}

// TestSetWhileFiring: the earlier of what Expire returns and what was Set
// during it counts.
func TestSetWhileFiring(t *testing.T) {
	for _, tt := range []struct{ returned, set, want int64 }{{0, 300, 300}, {500, 300, 300}, {300, 500, 300}} {
		w, o := New(10*time.Millisecond), &owner{}
		o.then = func(int64) int64 {
			if len(o.fired) > 1 {
				return 0
			}
			w.Set(&o.t, o, tt.set)
			return tt.returned
		}
		w.Set(&o.t, o, 100)
		turnTo(w, 2000)
		if len(o.fired) != 2 || o.fired[1] < tt.want || o.fired[1] > tt.want+20 {
			t.Errorf("returned %d, set %d: fired at %v, want again at %d", tt.returned, tt.set, o.fired, tt.want)
		}
	}
}

func TestStop(t *testing.T) {
	w, o := New(10*time.Millisecond), &owner{}
	w.Set(&o.t, o, 100)
	w.Stop(&o.t)
	w.Set(&o.t, o, 100) // stopped is stopped
	turnTo(w, 1000)
	if len(o.fired) != 0 {
		t.Errorf("fired at %v after Stop", o.fired)
	}
	inside := &owner{}
	inside.then = func(now int64) int64 { w.Stop(&inside.t); return now + 10 }
	w.Set(&inside.t, inside, 1100)
	turnTo(w, 2000)
	if len(inside.fired) != 1 {
		t.Errorf("fired %d times, want once: it stopped itself", len(inside.fired))
	}
}

// counter is an owner that another goroutine may look at.
type counter struct {
	t Timer
	n atomic.Int64
}

func (c *counter) Expire(int64) int64 { c.n.Add(1); return 0 }

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o := New(100*time.Millisecond), &counter{}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		w.Set(&o.t, o, 25_000)
		time.Sleep(24 * time.Second)
		if n := o.n.Load(); n != 0 {
			t.Errorf("fired %d times by 24 s, want none", n)
		}
		time.Sleep(1250 * time.Millisecond)
		if n := o.n.Load(); n != 1 {
			t.Errorf("fired %d times by 25.25 s, want once", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestSetDoesNotAllocate(t *testing.T) {
	w, o := New(10*time.Millisecond), &owner{}
	at := int64(1 << 40)
	if n := testing.AllocsPerRun(100, func() { at--; w.Set(&o.t, o, at) }); n != 0 {
		t.Errorf("Set allocates %v times, want 0", n)
	}
}

func BenchmarkAdvance(b *testing.B) {
	b.ReportAllocs()
	w := New(100 * time.Millisecond)
	owners := make([]owner, 18_000)
	for i := range owners {
		o := &owners[i]
		o.then = func(now int64) int64 { o.fired = o.fired[:0]; return now + 25_000 }
		w.Set(&o.t, o, rand.Int64N(25_000))
	}
	now := int64(0)
	for b.Loop() { // one tick of 18,000 sessions with a heartbeat of 25 s
		now += 100
		w.Advance(now)
	}
}
