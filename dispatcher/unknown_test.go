package dispatcher

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestCallTimeout: unknown; DEADLINE_EXCEEDED without retry_after; what waited goes
// on once the instance cannot begin any more.
func TestCallTimeout(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		b := w.backend(0)
		b.with(func() { b.gate = make(chan struct{}) })
		l, sink := w.open("alice")
		submit(l, 1)
		synctest.Wait()
		submit(l, 2)
		began := time.Now()
		b.with(func() { b.gate = nil })
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := sink.of(1); got.status != statusDeadlineExceeded || got.reason != "timeout" || got.retryAfter != 0 || got.at.Sub(began) != 2*time.Second {
			t.Errorf("answer = %+v after %v, want DEADLINE_EXCEEDED timeout without retry_after after 2s", got, got.at.Sub(began))
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		if got := sink.of(2); got.reason != "" {
			t.Errorf("the next request = %+v, want the backend's answer", got)
		}
		if got := seqs(b.packets()); !slices.Equal(got, []int64{1, 2}) {
			t.Errorf("the backend got seqs %v, want 1 2", got)
		}
	})
}

// TestDeferredTimeout: an answer that does not come in time is unknown, too.
func TestDeferredTimeout(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		b := w.backend(0)
		b.with(func() { b.answer = defers })
		l, sink := w.open("alice")
		submit(l, 1)
		synctest.Wait()
		b.with(func() { b.answer = nil })
		submit(l, 2)
		began := time.Now()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if got := sink.of(1); got.status != statusDeadlineExceeded || got.reason != "no_answer" || got.retryAfter != 0 || got.at.Sub(began) != 2*time.Second {
			t.Errorf("answer = %+v after %v, want DEADLINE_EXCEEDED no_answer after 2s", got, got.at.Sub(began))
		}
		if got := sink.of(2); got.reason != "" {
			t.Errorf("the next request = %+v, want the backend's answer", got)
		}
		if answerDeferred(l, 1) {
			t.Error("the answer came too late and was taken")
		}
	})
}

// TestRequestTimeout: a request that never gets its turn was not run, and its
// client hears so in time.
func TestRequestTimeout(t *testing.T) {
	cfg := testConfig()
	cfg.Services[0].Timeout = time.Minute
	inWorld(t, cfg, 1, func(t *testing.T, w *world) {
		b := w.backend(0)
		b.with(func() { b.gate = make(chan struct{}) })
		l, sink := w.open("alice")
		began := time.Now()
		submit(l, 1)
		synctest.Wait()
		time.Sleep(time.Second)
		submit(l, 2)
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if got := sink.of(1); got.status != statusDeadlineExceeded || got.at.Sub(began) != 10*time.Second {
			t.Errorf("in a call: %+v after %v, want DEADLINE_EXCEEDED after 10s", got, got.at.Sub(began))
		}
		if got := sink.of(2); got.status != statusUnavailable || got.reason != "expired" || got.retryAfter == 0 || got.at.Sub(began) != 11*time.Second {
			t.Errorf("in the lane: %+v after %v, want UNAVAILABLE expired after 11s", got, got.at.Sub(began))
		}
		if p := b.packets()[0]; p.StartByMs > began.Add(10*time.Second).UnixMilli() {
			t.Errorf("start_by_ms is %v after the request, want at most its own 10s", time.UnixMilli(p.StartByMs).Sub(began))
		}
		close(b.gate)
		synctest.Wait()
		if n := len(sink.all()); n != 2 {
			t.Errorf("%d answers, want 2: the reply came too late", n)
		}
		submit(l, 3)
		synctest.Wait()
		sink.of(3)
	})
}

// TestBrokenConnection: UNKNOWN; the lane stays closed until start_by, since the
// process may be alive.
func TestBrokenConnection(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		b := w.backend(0)
		b.with(func() { b.gate = make(chan struct{}) })
		l, sink := w.open("alice")
		submit(l, 1)
		synctest.Wait()
		submit(l, 2)
		b.with(func() { b.broken = true })
		close(b.gate)
		synctest.Wait()
		if got := sink.of(1); got.status != statusUnknown || got.reason != "connection_lost" || got.retryAfter != 0 {
			t.Errorf("answer = %+v, want UNKNOWN connection_lost without retry_after", got)
		}
		b.with(func() { b.broken, b.gate = false, nil })
		time.Sleep(time.Second)
		synctest.Wait()
		sink.waits(2)
		if other, otherSink := w.open("bob"); true {
			submit(other, 1)
			synctest.Wait()
			otherSink.of(1) // only the lane is closed, not the instance
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := sink.of(2); got.reason != "" {
			t.Errorf("the next request = %+v, want the backend's answer", got)
		}
	})
}

// TestRestartIsNoticed: a new incarnation, heard from anybody, makes what the old
// one had deferred unknown and opens the lanes that it kept closed.
func TestRestartIsNoticed(t *testing.T) {
	hear := map[string]func(w *world){
		"heartbeat": func(w *world) { time.Sleep(4 * time.Second) },
		"reply": func(w *world) {
			l, _ := w.open("bob")
			submit(l, 1)
		},
		"login":              func(w *world) { w.d.Connect(Login{Token: "t"}, func(Verdict) {}) },
		"a call to us":       func(w *world) { w.d.Incarnation(1001); time.Sleep(20 * time.Millisecond) },
		"refused connection": nil,
	}
	for name, hear := range hear {
		cfg := testConfig()
		cfg.Services[0].Timeout = 9 * time.Second
		t.Run(name, func(t *testing.T) {
			inWorld(t, cfg, 1, func(t *testing.T, w *world) {
				b := w.backend(0)
				b.with(func() { b.answer = defers })
				l, sink := w.open("alice")
				submit(l, 1)
				synctest.Wait()
				submit(l, 2)
				began, want := time.Now(), ""
				if hear == nil {
					b.with(func() { b.down = true })
					o, osink := w.open("bob")
					submit(o, 1)
					synctest.Wait()
					want = "instance_down"
					if got := osink.of(1); got.status != statusUnavailable || got.reason != want || got.retryAfter == 0 {
						t.Errorf("bob's request = %+v, want UNAVAILABLE instance_down", got)
					}
				} else {
					b.restart()
					b.with(func() { b.answer = nil })
					hear(w)
					synctest.Wait()
				}
				if got := sink.of(1); got.status != statusUnknown || got.reason != "instance_gone" || got.at.Sub(began) > 4*time.Second {
					t.Errorf("deferred: %+v, want UNKNOWN instance_gone at once", got)
				}
				if got := sink.of(2); got.reason != want {
					t.Errorf("what waited: %+v, want %q", got, want)
				}
			})
		})
	}
}

// TestKilledAndRestarted is the life of `kill -9`: sent is UNKNOWN, new is
// UNAVAILABLE, and after the restart all is well without anybody doing anything.
func TestKilledAndRestarted(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		b := w.backend(0)
		b.with(func() { b.gate = make(chan struct{}) })
		l, sink := w.open("alice")
		submit(l, 1)
		synctest.Wait()
		submit(l, 2)
		b.with(func() { b.down = true })
		close(b.gate)
		time.Sleep(20 * time.Millisecond) // probes keep this distance
		synctest.Wait()
		if got := sink.of(1); got.status != statusUnknown {
			t.Errorf("sent: %+v, want UNKNOWN", got)
		}
		// The broken call made a heartbeat go out, whose dial was refused: nothing can
		// run any more, so what waited was tried at once.
		if got := sink.of(2); got.status != statusUnavailable || got.reason != "instance_down" || got.retryAfter == 0 {
			t.Errorf("waiting: %+v, want UNAVAILABLE instance_down", got)
		}
		submit(l, 3)
		synctest.Wait()
		if got := sink.of(3); got.status != statusUnavailable {
			t.Errorf("new: %+v, want UNAVAILABLE", got)
		}
		b.restart()
		b.with(func() { b.gate = nil })
		submit(l, 4)
		synctest.Wait()
		if got := sink.of(4); got.reason != "" {
			t.Errorf("after the restart: %+v, want the backend's answer", got)
		}
		if b.drops == 0 {
			t.Error("no connection was dropped though the process is gone")
		}
	})
}

// TestOldRefusalProvesNothing: a dial that began before a packet was deferred says
// nothing of the process that deferred it, however late the news of it comes.
func TestOldRefusalProvesNothing(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		b, inst := w.backend(0), w.d.theInstance()
		b.with(func() { b.answer = defers })
		before := w.d.stamp()
		l, sink := w.open("alice")
		submit(l, 1)
		synctest.Wait()
		inst.gone(before)
		sink.waits(1)
		inst.spoke(4711, before) // nor does another incarnation's old answer
		sink.waits(1)
		inst.gone(w.d.stamp())
		if got := sink.of(1); got.status != statusUnknown || got.reason != "instance_gone" {
			t.Errorf("after a refusal: %+v, want UNKNOWN instance_gone", got)
		}
	})
}

// TestClosedLaneStaysClosed: a lane that an unknown outcome closed at one
// instance is not opened by moving to another.
func TestClosedLaneStaysClosed(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		b := w.backend(0)
		b.with(func() { b.gate = make(chan struct{}) })
		l, sink := w.open(uidOn(1, 2))
		submit(l, 1)
		synctest.Wait()
		b.with(func() { b.broken = true })
		close(b.gate)
		synctest.Wait()
		sink.of(1)
		fresh := w.join(testService, 1)
		submit(l, 2)
		time.Sleep(time.Second)
		w.d.service(testService).table.Load().slots[1].gone(w.d.stamp()) // news of the new one opens nothing
		synctest.Wait()
		if n := len(fresh.packets()); n != 0 {
			t.Errorf("%d packets were sent to the new instance before start_by had passed at the old one", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := sink.of(2); got.reason != "" {
			t.Errorf("after start_by: %+v, want the new instance's answer", got)
		}
	})
}

// TestFirstPacketsHaveABound: nothing is sent before the instance's clock is known.
func TestFirstPacketsHaveABound(t *testing.T) {
	inWorld(t, testConfig(), 0, func(t *testing.T, w *world) {
		b := w.joinAs(testService, 0, &fakeBackend{incarnation: 1, slowBeat: 500 * time.Millisecond})
		l, sink := w.open("alice")
		submit(l, 1)
		time.Sleep(time.Second)
		synctest.Wait()
		sink.of(1)
		if p := b.packets()[0]; p.StartByMs == 0 {
			t.Error("start_by_ms = 0, want a bound")
		}
	})
}
