package dispatcher

import (
	"testing"
	"testing/synctest"
	"time"

	hf "github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

func TestDegrade(t *testing.T) {
	cfg := testConfig()
	cfg.Routes[0].Outage = OutageDegrade
	cfg.Routes[0].Degrade = DegradeConfig{Status: 0, Payload: `{"friends":[]}`}
	inWorld(t, cfg, 1, func(t *testing.T, w *world) {
		b := w.backend(0)
		b.with(func() { b.down = true })
		l, sink := w.open("alice")
		submit(l, 1)
		synctest.Wait()
		if got := sink.of(1); got.reason != "" || got.status != 0 || got.payload != `{"friends":[]}` {
			t.Errorf("during an outage: %+v, want the canned reply", got)
		}
		b.with(func() {
			b.down = false
			b.answer = func(*hf.Packet) *hf.Reply { return &hf.Reply{NotExecuted: true, Reason: "queue_full"} }
		})
		submit(l, 2)
		synctest.Wait()
		if got := sink.of(2); got.status != statusResourceExhausted {
			t.Errorf("overload: %+v, want RESOURCE_EXHAUSTED, as it is no outage", got)
		}
	})
}

// TestHold: requests wait for an instance, in order, within the route's bounds.
func TestHold(t *testing.T) {
	cfg := testConfig()
	cfg.Routes[0].Outage = OutageHold
	cfg.Routes[0].Hold = HoldConfig{Timeout: 3 * time.Second, Count: 3, Bytes: 1000}
	inWorld(t, cfg, 0, func(t *testing.T, w *world) {
		l, sink := w.open("alice")
		other, otherSink := w.open("bob")
		submit(l, 1, 2)
		submit(other, 1, 2)
		if got := otherSink.of(2); got.status != statusResourceExhausted || got.reason != "hold_full" {
			t.Errorf("the fourth: %+v, want RESOURCE_EXHAUSTED hold_full", got)
		}
		sink.waits(1, 2)
		time.Sleep(2 * time.Second)
		w.join(testService, 0)
		synctest.Wait()
		if a, b := sink.of(1), sink.of(2); a.reason != "" || b.reason != "" || otherSink.of(1).reason != "" {
			t.Errorf("once there is an instance: %+v, %+v; want answers", a, b)
		}
		if ps := w.backend(0).packets(); len(ps) != 3 {
			t.Errorf("%d packets were sent, want 3", len(ps))
		}
		p := w.d.routes.Load().prefixes[0].policy
		if p.held.Load() != 0 || p.heldBytes.Load() != 0 {
			t.Errorf("%d packets and %d bytes are still counted as held", p.held.Load(), p.heldBytes.Load())
		}

		w.disc.Deregister(testService, "i0")
		synctest.Wait()
		submit(l, 3)
		time.Sleep(3*time.Second - time.Millisecond)
		sink.waits(3)
		time.Sleep(2 * time.Millisecond)
		if got := sink.of(3); got.status != statusUnavailable || got.reason != "held_too_long" || got.retryAfter == 0 {
			t.Errorf("after hold.timeout: %+v, want UNAVAILABLE held_too_long", got)
		}
		submit(l, 4)
		l.End("gone")
		if p.held.Load() != 0 || p.heldBytes.Load() != 0 {
			t.Errorf("%d packets and %d bytes are held for a session that is gone", p.held.Load(), p.heldBytes.Load())
		}
	})
}

// TestHeldThroughAnOutage: with an instance that dies and comes back, requests of a
// route that holds are late and not lost.
func TestHeldThroughAnOutage(t *testing.T) {
	cfg := failoverConfig()
	cfg.Routes[0].Outage = OutageHold
	inWorld(t, cfg, 1, func(t *testing.T, w *world) {
		b := w.backend(0)
		l, sink := w.open("alice")
		time.Sleep(time.Second)
		b.with(func() { b.down = true })
		submit(l, 1, 2, 3)
		time.Sleep(time.Second)
		sink.waits(1, 2, 3)
		b.restart()
		time.Sleep(2 * time.Second)
		for id := range uint32(3) {
			if got := sink.of(id + 1); got.reason != "" {
				t.Errorf("request %d = %+v, want the answer of the process that came", id+1, got)
			}
		}
	})
}

func TestRouteLimits(t *testing.T) {
	cfg := testConfig()
	cfg.Routes[0].Concurrency = 2
	cfg.Routes = append(cfg.Routes, RouteConfig{Prefix: "slow.", Service: testService, Rate: 10, Burst: 2})
	cfg.Services[0].InstanceRate, cfg.Services[0].InstanceBurst = 100, 5
	inWorld(t, cfg, 1, func(t *testing.T, w *world) {
		heal := w.backend(0).hang()
		l, sink := w.open("alice")
		submit(l, 1, 2, 3)
		if got := sink.of(3); got.status != statusResourceExhausted || got.reason != "route_busy" || got.retryAfter == 0 {
			t.Errorf("beyond concurrency: %+v, want RESOURCE_EXHAUSTED route_busy", got)
		}
		heal()
		synctest.Wait()
		submit(l, 4)
		synctest.Wait()
		if got := sink.of(4); got.reason != "" {
			t.Errorf("after the answers: %+v, want an answer", got)
		}
		for id := range uint32(3) {
			l.Submit(10+id, []byte("slow.x"), nil)
		}
		synctest.Wait()
		if got := sink.of(12); got.status != statusResourceExhausted || got.reason != "route_rate" {
			t.Errorf("beyond the rate: %+v, want RESOURCE_EXHAUSTED route_rate", got)
		}
		submit(l, 20)
		synctest.Wait()
		if got := sink.of(20); got.status != statusResourceExhausted || got.reason != "instance_rate" {
			t.Errorf("beyond the instance's rate: %+v, want RESOURCE_EXHAUSTED instance_rate", got)
		}
		time.Sleep(time.Second)
		submit(l, 21)
		synctest.Wait()
		if got := sink.of(21); got.reason != "" {
			t.Errorf("a second later: %+v, want an answer", got)
		}
		for _, p := range w.d.routes.Load().prefixes {
			if n := p.policy.open.Load(); n != 0 {
				t.Errorf("%s: %d requests are counted as unanswered, want 0", p.text, n)
			}
		}
	})
}
