package dispatcher

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	hf "github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// hang makes a backend answer heartbeats and nothing else, until the returned
// function is called.
func (b *fakeBackend) hang() (heal func()) {
	gate := make(chan struct{})
	b.with(func() { b.gate = gate })
	return func() {
		b.with(func() { b.gate = nil })
		close(gate)
	}
}

// TestTwoTimeoutsOpen: two calls in a row that time out are enough, and what waits
// for the instance goes to its substitute at once.
func TestTwoTimeoutsOpen(t *testing.T) {
	inWorld(t, failoverConfig(), 2, func(t *testing.T, w *world) {
		heal := w.backend(0).hang()
		a, aSink := w.open(uidOn(0, 2))
		submit(a, 1)
		synctest.Wait()
		submit(a, 2, 3)
		time.Sleep(2*time.Second + time.Millisecond)
		synctest.Wait()
		if got := aSink.of(1); got.reason != "timeout" || w.instance(0).breaker.state() != "closed" {
			t.Fatalf("after one time-out: %+v, breaker %s; want timeout and closed", got, w.instance(0).breaker.state())
		}
		b, bSink := w.open(uidOn(0, 2) + "")
		submit(b, 1)
		time.Sleep(time.Second)
		bSink.waits(1)
		time.Sleep(time.Second + time.Millisecond)
		synctest.Wait()
		if got := bSink.of(1); got.reason != "" || w.instance(0).breaker.state() != "open" {
			t.Errorf("what waited when the breaker opened: %+v, breaker %s; want the substitute's answer and open", got, w.instance(0).breaker.state())
		}
		if n := w.sent(2)[1]; n == 0 {
			t.Error("the substitute got nothing")
		}
		submit(b, 2)
		synctest.Wait()
		if got := bSink.of(2); got.reason != "" {
			t.Errorf("a request to a user of the open instance = %+v, want the substitute's answer", got)
		}
		heal()
	})
}

// TestProbeIsAHeartbeat: no request tells whether the instance is back, and it comes
// back by a few requests at a time.
func TestProbeIsAHeartbeat(t *testing.T) {
	cfg := failoverConfig()
	cfg.Services[0].BatchPackets = 4
	inWorld(t, cfg, 2, func(t *testing.T, w *world) {
		b := w.backend(0)
		b.with(func() { b.down = true })
		l, sink := w.open(uidOn(0, 2))
		time.Sleep(time.Second) // a budget
		submit(l, 1)
		synctest.Wait()
		if got := sink.of(1); got.reason != "" || w.instance(0).breaker.state() != "open" {
			t.Fatalf("a refused connection: %+v, breaker %s; want the substitute's answer and open", got, w.instance(0).breaker.state())
		}
		b.with(func() { b.down = false })
		beats := b.heartbeats()
		for id := range uint32(5) {
			submit(l, id+2)
			time.Sleep(100 * time.Millisecond)
		}
		if n := w.sent(1)[0]; n != 0 {
			t.Errorf("%d requests reached the instance before open_for was over", n)
		}
		time.Sleep(2 * time.Second)
		if b.heartbeats() == beats || w.instance(0).breaker.state() != "trial" {
			t.Fatalf("after open_for: breaker %s, want trial", w.instance(0).breaker.state())
		}
		b.with(func() { b.slow = 10 * time.Millisecond })
		var sinks []*fakeSink
		for i := range 100 {
			l, s := w.open(fmt.Sprint(uidOn(0, 2), "-", i))
			sinks = append(sinks, s)
			submit(l, 1)
		}
		time.Sleep(5 * time.Millisecond)
		if n := w.sent(1)[0]; n == 0 || n > trialFirst {
			t.Errorf("%d requests at once after a heartbeat, want 1 to %d", n, trialFirst)
		}
		time.Sleep(5 * time.Second)
		for _, s := range sinks {
			if got := s.of(1); got.reason != "" {
				t.Fatalf("a request during the trial = %+v, want an answer", got)
			}
		}
	})
}

// TestTrialFails: an instance that answers heartbeats but no requests costs a few
// requests each time, and fewer times as it goes on.
func TestTrialFails(t *testing.T) {
	inWorld(t, failoverConfig(), 2, func(t *testing.T, w *world) {
		b := w.backend(0)
		b.with(func() { b.answer = defers }) // and never answers
		bad, all := 0, 0
		var sinks []*fakeSink
		var lanes []*Lanes
		for i := range 200 {
			l, s := w.open(fmt.Sprint("u", i))
			lanes, sinks = append(lanes, l), append(sinks, s)
		}
		for second := range uint32(30) {
			for i, l := range lanes {
				submit(l, second+1)
				if i%20 == 19 {
					time.Sleep(100 * time.Millisecond)
				}
			}
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		for _, s := range sinks {
			for _, got := range s.all() {
				if got.id > 3 { // the first seconds find out
					if all++; got.reason != "" {
						bad++
					}
				}
			}
		}
		share := float64(bad) / float64(all)
		testenv.Figure(t, "P13", "after 3 s %d of %d requests failed (%.3f %%), the breaker opened %d times", bad, all, 100*share, w.instance(0).breaker.opens.Load())
		if share > 0.01 {
			t.Errorf("%.3f %% failed, want at most 1 %% at 200 requests a second", 100*share)
		}
	})
}

// TestRatioOpens: half of the packets of a window, once there are enough; what the
// backend answers with a status of its own does not count.
func TestRatioOpens(t *testing.T) {
	inWorld(t, failoverConfig(), 1, func(t *testing.T, w *world) {
		b := w.backend(0)
		b.with(func() { b.answer = func(*hf.Packet) *hf.Reply { return &hf.Reply{Status: 13} } })
		l, _ := w.open("alice")
		for id := range uint32(100) {
			submit(l, id+1)
			synctest.Wait()
		}
		if got := w.instance(0).breaker.state(); got != "closed" {
			t.Fatalf("after 100 errors of the backend's own: %s, want closed", got)
		}
		b.with(func() { b.broken = true })
		n := uint32(0)
		for w.instance(0).breaker.state() == "closed" && n < 300 {
			n++
			l, _ := w.open(fmt.Sprint("u", n)) // an unknown outcome closes the lane for a while
			submit(l, 1)
			synctest.Wait()
		}
		if n != 100 {
			t.Errorf("opened after %d broken calls beside 100 good ones, want 100", n)
		}
	})
}

// TestAnotherProcessClosesIt: the breaker is about the process that failed.
func TestAnotherProcessClosesIt(t *testing.T) {
	cfg := failoverConfig()
	cfg.Breaker.OpenFor = 20 * time.Second
	inWorld(t, cfg, 1, func(t *testing.T, w *world) {
		b := w.backend(0)
		b.with(func() { b.down = true })
		l, sink := w.open("alice")
		submit(l, 1)
		synctest.Wait()
		submit(l, 2)
		if got := sink.of(2); got.status != statusUnavailable || got.reason != "breaker_open" || got.retryAfter == 0 {
			t.Errorf("answer = %+v, want UNAVAILABLE breaker_open with retry_after", got)
		}
		b.restart()
		time.Sleep(5 * time.Second)
		submit(l, 3)
		synctest.Wait()
		if got := sink.of(3); got.reason != "" {
			t.Errorf("after the restart: %+v, want the answer", got)
		}
	})
}

func TestMeter(t *testing.T) {
	var m meter
	m.init(10*time.Second, 0)
	at := func(s float64) int64 { return int64(s * float64(time.Second)) }
	m.add(at(1), 10, 1)
	m.add(at(6), 5, 2)
	if got, _, _ := m.total(at(7)); got != (tally{15, 3}) {
		t.Errorf("total = %+v, want 15 and 3", got)
	}
	if got, _, _ := m.total(at(11)); got != (tally{5, 2}) {
		t.Errorf("after the first half: %+v, want 5 and 2", got)
	}
	if got, _, _ := m.total(at(40)); got != (tally{}) {
		t.Errorf("after a pause: %+v, want nothing", got)
	}
}
