package dispatcher

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestLaneMovesOnlyWhenIdle: scale-out 1 -> 2 with a deferred packet at the old
// instance.
func TestLaneMovesOnlyWhenIdle(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		uid := uidOn(1, 2)
		old := w.backend(0)
		old.with(func() { old.answer = defers })
		l, sink := w.open(uid)
		submit(l, 1)
		synctest.Wait()
		submit(l, 2)
		fresh := w.join(testService, 1)
		submit(l, 3)
		synctest.Wait()
		if n := len(fresh.packets()); n != 0 {
			t.Fatalf("the new instance got %d packets while one is deferred at the old one", n)
		}
		answerDeferred(l, 1)
		synctest.Wait()
		sink.of(2)
		sink.of(3)
		if got := seqs(fresh.packets()); !slices.Equal(got, []int64{2, 3}) {
			t.Errorf("the new instance got seqs %v, want 2 3", got)
		}
		w.disc.Deregister(testService, "i1")
		w.disc.Retire(testService)
		old.with(func() { old.answer = nil })
		synctest.Wait()
		submit(l, 4)
		synctest.Wait()
		if got := seqs(old.packets()); !slices.Equal(got, []int64{1, 4}) {
			t.Errorf("the old instance got seqs %v, want 1 4", got)
		}
	})
}

// TestQueuedLanesMove: what is ready but not sent follows the table.
func TestQueuedLanesMove(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		old := w.backend(0)
		old.with(func() { old.gate = make(chan struct{}) })
		first, _ := w.open("first")
		submit(first, 1)
		synctest.Wait()
		uid := uidOn(1, 2)
		l, sink := w.open(uid)
		submit(l, 1, 2) // queued at the old instance, whose only call is under way
		fresh := w.join(testService, 1)
		close(old.gate)
		synctest.Wait()
		sink.of(1)
		sink.of(2)
		if got := len(fresh.packets()); got != 2 {
			t.Errorf("the new instance got %d packets, want 2", got)
		}
	})
}

// TestHungInstanceLeaves: what is ready for an instance that answers nothing goes
// elsewhere as soon as it has left the membership.
func TestHungInstanceLeaves(t *testing.T) {
	cfg := testConfig()
	cfg.Services[0].Timeout = time.Minute
	inWorld(t, cfg, 2, func(t *testing.T, w *world) {
		hung := w.backend(1)
		hung.with(func() { hung.gate = make(chan struct{}) })
		busy, _ := w.open(uidOn(1, 2))
		submit(busy, 1)
		synctest.Wait()
		l, sink := w.open(uidOn(1, 2) + "x")
		for i := 0; slotOf(l.id.uid, 2) != 1; i++ {
			l, sink = w.open(uidOn(1, 2) + string(rune('a'+i)))
		}
		submit(l, 1)
		synctest.Wait()
		w.disc.Deregister(testService, "i1")
		w.disc.Retire(testService)
		synctest.Wait()
		if got := sink.of(1); got.reason != "" {
			t.Errorf("what was ready: %+v, want the other instance's answer", got)
		}
		submit(l, 2)
		synctest.Wait()
		if got := sink.of(2); got.reason != "" {
			t.Errorf("what came later: %+v, want the other instance's answer", got)
		}
		close(hung.gate)
	})
}

// TestStoppedQueueTakesNothing: a lane that was picked for an instance just as it
// stopped is not stranded.
func TestStoppedQueueTakesNothing(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		w.d.service(testService).table.Load().slots[0].ready.stop()
		l, sink := w.open("alice")
		submit(l, 1)
		if got := sink.of(1); got.status != statusUnavailable || got.reason != "stopping" {
			t.Errorf("answer = %+v, want UNAVAILABLE", got)
		}
		submit(l, 2)
		sink.of(2)
	})
}

// TestLeavingInstanceFinishes: an instance that left the membership still gives the
// answers it owes, and then is let go.
func TestLeavingInstanceFinishes(t *testing.T) {
	inWorld(t, testConfig(), 2, func(t *testing.T, w *world) {
		uid := uidOn(1, 2)
		b := w.backend(1)
		b.with(func() { b.answer = defers })
		l, sink := w.open(uid)
		submit(l, 1)
		synctest.Wait()
		inst := w.d.service(testService).table.Load().slots[1]
		w.disc.Deregister(testService, "i1")
		synctest.Wait()
		submit(l, 2)
		if !answerDeferred(l, 1) {
			t.Error("the answer of the leaving instance was not awaited")
		}
		synctest.Wait()
		if got := sink.of(2); got.reason != "" || len(w.backend(0).packets()) != 1 {
			t.Errorf("after it left: %+v, want the substitute's answer", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		select {
		case <-inst.done:
		default:
			t.Error("the instance was not let go though nothing depends on it")
		}
	})
}
