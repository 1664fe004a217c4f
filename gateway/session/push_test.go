package session

import (
	"fmt"
	"testing"
	"time"
)

// TestTransient: key and time go to the queue; the policy says what becomes of a
// push for a client that reads too slowly.
func TestTransient(t *testing.T) {
	w := newWorld()
	s, _, c, l := w.open()
	p := func(slow Slow) *Push {
		return &Push{Command: []byte("pos"), Key: "k", TTL: 1500 * time.Millisecond, Slow: slow}
	}
	for _, slow := range []Slow{SlowDropOldest, SlowConflate, SlowDisconnect} {
		if got := s.Push(p(slow)); got != PushTaken {
			t.Errorf("Push = %v", got)
		}
	}
	want(t, "queued", fmt.Sprint(c.loose), "[k 2500 true 17 k 2500 true 17 k 2500 false 17]")
	c.full = true
	if got := s.Push(p(SlowDropOldest)); got != PushTaken {
		t.Errorf("Push that makes room = %v", got)
	}
	if got := s.Push(p(SlowDisconnect)); got != PushSlow {
		t.Errorf("Push that cuts = %v", got)
	}
	want(t, "it was told", c.said(), "close 4002")
	want(t, "the backend heard", l.heard(), "cut SLOW_CONSUMER")
}

// noRoom has no room even after older pushes were dropped: what waits is
// reliable.
type noRoom struct{ *fakeConn }

func (noRoom) QueueTransient([]byte, string, int64, bool) bool { return false }

func TestTransientDropped(t *testing.T) {
	w := newWorld()
	s, _, c, l := w.open()
	s.Attach(noRoom{c}, welcome)
	for _, slow := range []Slow{SlowDropOldest, SlowConflate} {
		if got := s.Push(&Push{Command: []byte("x"), Slow: slow}); got != PushDropped {
			t.Errorf("Push = %v, want dropped", got)
		}
	}
	want(t, "the backend heard", l.heard(), "")
	if got := w.metric(w.deps.Metrics.pushes[PushDropped]); got != 2 {
		t.Errorf("%v dropped pushes are counted, want 2", got)
	}
}

func TestPushTooLarge(t *testing.T) {
	w := newWorld(func(l *Limits) { l.FrameBytesMax = 20 })
	s, _, _, _ := w.open()
	for n, want := range map[int]PushOutcome{9: PushTaken, 10: PushTooLarge} {
		if got := s.Push(&Push{Command: []byte("x"), Payload: make([]byte, n), Reliable: true}); got != want {
			t.Errorf("Push of %d bytes = %v, want %v", n, got, want)
		}
	}
}
