package engine

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

func TestRepeatOfAFinishedPacketGetsItsAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		p := r.packet("a", "say", "once")
		r.forward(p, r.packet("a", "say", "next"))
		got := r.forward(again(p, 0), r.packet("a", "say", "new"))
		if string(got[0].Payload) != "once" || string(got[1].Payload) != "new" {
			t.Errorf("replies = %v", describe(got))
		}
		if n := len(r.runs()); n != 3 {
			t.Errorf("%d packets ran, want 3: %v", n, r.runs())
		}
	})
}

func TestRepeatOfARunningPacketWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		p := r.packet("a", "nap", "10ms")
		second := again(p, 0)
		r.forward(p)
		if got := describe(r.forward(second)); got[0] != "deferred" {
			t.Errorf("second attempt = %q", got[0])
		}
		pass(time.Second)
		for _, attempt := range []*holdfast.Packet{p, second} {
			if a := r.lateAnswer(t, attempt); string(a.Payload) != "10ms" {
				t.Errorf("attempt %d was answered %+v", attempt.Attempt, a)
			}
		}
		if n := len(r.runs()); n != 1 {
			t.Errorf("ran %d times, want once", n)
		}
	})
}

// TestLaterAttemptKeepsAWaitingPacketAlive: the first attempt waits past its
// start_by, the second may still start.
func TestLaterAttemptKeepsAWaitingPacketAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.forward(r.packet("a", "nap", "100ms"))
		p := r.packet("a", "say", "x")
		p.StartByMs = time.Now().Add(50 * time.Millisecond).UnixMilli()
		r.forward(p)
		second := again(p, time.Now().Add(time.Second).UnixMilli())
		r.forward(second)
		pass(time.Minute)
		if a := r.lateAnswer(t, second); string(a.Payload) != "x" {
			t.Errorf("second attempt = %+v", a)
		}
		if n := slices.Index(r.runs(), id(second)); n >= 0 {
			t.Errorf("both attempts ran: %v", r.runs())
		}
	})
}

// TestRefusedPacketMayRunLater: a seq that was not executed is not taken for a
// repeat when it comes again.
func TestRefusedPacketMayRunLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		p := r.packet("a", "say", "x")
		p.StartByMs = time.Now().Add(-time.Millisecond).UnixMilli()
		if got := describe(r.forward(p, r.packet("a", "say", "y"))); got[0] != string(PastStartBy) || got[1] != "y" {
			t.Fatalf("replies = %q", got)
		}
		if got := describe(r.forward(again(p, 0))); got[0] != "x" {
			t.Errorf("second attempt = %q, want it to run", got[0])
		}
	})
}

func TestAnswerThatWasNotKeptIsNotRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.Answers = shards }) // one answer a shard
		p := r.packet("a", "say", "old")
		r.forward(p)
		for i := range 10 {
			r.forward(r.packet("a", "say", fmt.Sprint(i)))
		}
		if got := describe(r.forward(again(p, 0))); got[0] != "status 15" {
			t.Errorf("repeat = %q, want DATA_LOSS", got[0])
		}
		if n := len(r.runs()); n != 11 {
			t.Errorf("%d ran, want 11", n)
		}
	})
}

func TestMemoryOfAnswersIsBounded(t *testing.T) {
	const bytes = 4096
	k := kept{limit: 100, bytesMax: bytes}
	l := &lane{}
	for seq := range int64(10_000) {
		k.add(entry{lane: l, seq: seq, payload: make([]byte, seq%2000)})
		if k.n > 100 || k.bytes > bytes {
			t.Fatalf("after %d: %d answers of %d bytes kept", seq, k.n, k.bytes)
		}
		_, kept := k.find(l, seq)
		if large := seq%2000 > bytes/4; kept == large || large && l.floor != seq {
			t.Fatalf("seq %d with %d bytes: kept %v, floor %d", seq, seq%2000, kept, l.floor)
		}
	}
	want := int64(10_000)
	for i := range k.n {
		if e := k.ring[(k.first+i)%len(k.ring)]; e.seq <= l.floor && e.seq%2000 <= bytes/4 && i > 0 && e.seq < want-2000 {
			t.Errorf("seq %d kept below the floor %d", e.seq, l.floor)
		}
	}
}

func TestSessionsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.Sessions = 10 * shards })
		for i := range 5000 {
			r.forward(r.packet(fmt.Sprintf("s%d", i), "say", "x"))
		}
		if n := r.Stats().Sessions; n > 10*shards {
			t.Errorf("%d sessions remembered, at most %d", n, 10*shards)
		}
		busy := r.packet("busy", "nap", "90s")
		r.cfg.HandlerTimeout = time.Hour
		r.forward(busy)
		pass(r.cfg.Window + time.Second)
		r.Sweep()
		if st := r.Stats(); st.Sessions != 1 || st.Answers != 0 {
			t.Errorf("after the window %d sessions and %d answers are remembered, want the busy one only", st.Sessions, st.Answers)
		}
		pass(time.Hour)
	})
}
