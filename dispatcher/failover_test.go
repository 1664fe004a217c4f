package dispatcher

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-io/holdfast/dispatcher/slots"
	hf "github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// failoverConfig has breakers, and calls that fail soon.
func failoverConfig() Config {
	cfg := testConfig()
	cfg.Breaker.Enabled = true
	return cfg
}

// instance returns the one that holds slot.
func (w *world) instance(slot int) *instance {
	return w.d.service(testService).table.Load().slots[slot]
}

// sent returns by slot how many packets the backends got.
func (w *world) sent(n int) (out []int) {
	for slot := range n {
		out = append(out, len(w.backend(slot).packets()))
	}
	return out
}

// order returns the slots to which a user's requests go, one after the other.
func (w *world) order(uid string, n int) []int {
	t := w.d.service(testService).table.Load()
	slot := slotOf(uid, n)
	c, out := slots.MakeCandidates(slots.Hash(uid), slot, n, t.incarnation(slot)), []int{slot}
	for at, ok := c.Next(); ok; at, ok = c.Next() {
		out = append(out, at)
	}
	return out
}

// TestFailoverOrder: what was not executed goes to one candidate after the other, as
// a further attempt with the same seq, and to no one twice.
func TestFailoverOrder(t *testing.T) {
	inWorld(t, testConfig(), 4, func(t *testing.T, w *world) {
		uid := uidOn(2, 4)
		order := w.order(uid, 4)
		for _, slot := range order[:3] {
			b := w.backend(slot)
			b.with(func() {
				b.answer = func(*hf.Packet) *hf.Reply { return &hf.Reply{NotExecuted: true, Reason: "past_start_by"} }
			})
		}
		l, sink := w.open(uid)
		time.Sleep(time.Second) // a budget
		submit(l, 1)
		synctest.Wait()
		if got := sink.of(1); got.reason != "" {
			t.Errorf("answer = %+v, want the last candidate's", got)
		}
		for i, slot := range order {
			ps := w.backend(slot).packets()
			if len(ps) != 1 || ps[0].Attempt != int32(i+1) || ps[0].Seq != 1 {
				t.Errorf("candidate %d (slot %d) got %+v, want one packet, attempt %d, seq 1", i, slot, ps, i+1)
			}
		}
		b := w.backend(order[3])
		b.with(func() { b.answer = w.backend(order[0]).answer })
		submit(l, 2)
		synctest.Wait()
		if got := sink.of(2); got.status != statusUnavailable || got.reason != "past_start_by" || got.retryAfter == 0 {
			t.Errorf("when nobody is left: %+v, want UNAVAILABLE past_start_by with retry_after", got)
		}
	})
}

// TestLaneMovesAsAWhole: what waits behind a request that fails over does not
// overtake it.
func TestLaneMovesAsAWhole(t *testing.T) {
	inWorld(t, testConfig(), 3, func(t *testing.T, w *world) {
		uid := uidOn(0, 3)
		order := w.order(uid, 3)
		w.backend(order[0]).with(func() { w.backend(order[0]).down = true })
		time.Sleep(time.Second) // a budget
		l, sink := w.open(uid)
		submit(l, 1, 2, 3, 4)
		synctest.Wait()
		for id := range uint32(4) {
			if got := sink.of(id + 1); got.reason != "" {
				t.Errorf("request %d = %+v, want an answer", id+1, got)
			}
		}
		if got := seqs(w.backend(order[1]).packets()); !slices.Equal(got, []int64{1, 2, 3, 4}) {
			t.Errorf("the substitute got seqs %v, want 1 2 3 4", got)
		}
	})
}

// TestRefusedInTheMiddle: only the end of a batch can be sent again; what ran never
// comes before what is to run.
func TestRefusedInTheMiddle(t *testing.T) {
	inWorld(t, testConfig(), 2, func(t *testing.T, w *world) {
		uid := uidOn(0, 2)
		b := w.backend(0)
		b.with(func() {
			b.gate = make(chan struct{})
			b.answer = func(p *hf.Packet) *hf.Reply {
				if p.Seq == 3 || p.Seq >= 5 {
					return &hf.Reply{NotExecuted: true, Reason: "draining"}
				}
				return &hf.Reply{}
			}
		})
		time.Sleep(time.Second) // a budget
		l, sink := w.open(uid)
		submit(l, 1)
		synctest.Wait()
		submit(l, 2, 3, 4, 5, 6)
		close(b.gate)
		synctest.Wait()
		if got := sink.of(3); got.reason != "draining" {
			t.Errorf("refused before one that ran: %+v, want draining", got)
		}
		if got := seqs(w.backend(1).packets()); !slices.Equal(got, []int64{5, 6}) {
			t.Errorf("the substitute got seqs %v, want 5 6", got)
		}
		if got := sink.of(6); got.reason != "" {
			t.Errorf("refused at the end: %+v, want the substitute's answer", got)
		}
	})
}

// TestOverloadDoesNotSpread: a full queue is nobody else's burden.
func TestOverloadDoesNotSpread(t *testing.T) {
	inWorld(t, testConfig(), 2, func(t *testing.T, w *world) {
		b := w.backend(0)
		b.with(func() {
			b.answer = func(*hf.Packet) *hf.Reply { return &hf.Reply{NotExecuted: true, Reason: "queue_full"} }
		})
		l, sink := w.open(uidOn(0, 2))
		submit(l, 1)
		synctest.Wait()
		if got := sink.of(1); got.status != statusResourceExhausted || got.retryAfter == 0 || w.sent(2)[1] != 0 {
			t.Errorf("answer = %+v, substitute got %d; want RESOURCE_EXHAUSTED and none", got, w.sent(2)[1])
		}
	})
}

// TestUnknownIsRepeatedWhereIdempotent and nowhere else, and not before the frozen
// instance can no longer begin with it.
func TestUnknownIsRepeatedWhereIdempotent(t *testing.T) {
	for _, idempotent := range []bool{false, true} {
		cfg := testConfig()
		cfg.Routes[0].Idempotent = idempotent
		t.Run(fmt.Sprint(idempotent), func(t *testing.T) {
			inWorld(t, cfg, 2, func(t *testing.T, w *world) {
				b := w.backend(0)
				b.with(func() { b.answer = defers })
				l, sink := w.open(uidOn(0, 2))
				submit(l, 1)
				synctest.Wait()
				time.Sleep(1900 * time.Millisecond)
				sink.waits(1)
				if n := w.sent(2)[1]; n != 0 {
					t.Fatalf("the substitute got %d packets before start_by", n)
				}
				time.Sleep(200 * time.Millisecond)
				synctest.Wait()
				got := sink.of(1)
				if idempotent && (got.reason != "" || w.backend(1).packets()[0].Attempt != 2) {
					t.Errorf("idempotent: %+v, want the substitute's answer to attempt 2", got)
				}
				if !idempotent && (got.reason != "no_answer" || w.sent(2)[1] != 0) {
					t.Errorf("not idempotent: %+v, want no_answer and nothing sent again", got)
				}
			})
		})
	}
}

// TestDoubtStays: after an attempt that may have run, no answer says that the
// request did not.
func TestDoubtStays(t *testing.T) {
	cfg := testConfig()
	cfg.Routes[0].Idempotent = true
	inWorld(t, cfg, 2, func(t *testing.T, w *world) {
		w.backend(0).with(func() { w.backend(0).broken = true })
		w.backend(1).with(func() { w.backend(1).down = true })
		time.Sleep(time.Second) // a budget
		l, sink := w.open(uidOn(0, 2))
		submit(l, 1)
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if got := sink.of(1); got.status != statusUnknown || got.retryAfter != 0 {
			t.Errorf("answer = %+v, want UNKNOWN without retry_after", got)
		}
	})
}

// TestBudget is P16: with all instances failing above the floor, attempts are at
// most 1.1 times the requests and ten a second.
func TestBudget(t *testing.T) {
	inWorld(t, testConfig(), 5, func(t *testing.T, w *world) {
		for slot := range 5 {
			b := w.backend(slot)
			b.with(func() {
				b.answer = func(*hf.Packet) *hf.Reply { return &hf.Reply{NotExecuted: true, Reason: "past_start_by"} }
			})
		}
		const perSecond, seconds = 200, 10
		var lanes []*Lanes
		for i := range 50 {
			l, _ := w.open(fmt.Sprint("u", i))
			lanes = append(lanes, l)
		}
		for i := range perSecond * seconds {
			submit(lanes[i%len(lanes)], uint32(i/len(lanes)+1))
			time.Sleep(time.Second / perSecond)
		}
		synctest.Wait()
		attempts := 0
		for _, n := range w.sent(5) {
			attempts += n
		}
		limit := 1.1*perSecond*seconds + 10*seconds
		testenv.Figure(t, "P16", "%d requests, %d attempts, limit %.0f", perSecond*seconds, attempts, limit)
		if float64(attempts) > limit || attempts < perSecond*seconds*21/20 {
			t.Errorf("%d attempts for %d requests, want more than that and at most %.0f", attempts, perSecond*seconds, limit)
		}
	})
}

// TestOrderAcrossScaleOut goes 3 -> 4 -> 3 under load while the old instance is slow:
// no user's requests overtake each other.
func TestOrderAcrossScaleOut(t *testing.T) {
	inWorld(t, testConfig(), 3, func(t *testing.T, w *world) {
		var mu sync.Mutex
		var order []hf.Packet // as handlers ran
		record := func(p *hf.Packet) *hf.Reply {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, *p)
			return &hf.Reply{}
		}
		for slot := range 3 {
			b := w.backend(slot)
			b.with(func() { b.answer, b.slow = record, 7*time.Millisecond })
		}
		const users, each = 60, 40
		var lanes []*Lanes
		var sinks []*fakeSink
		for i := range users {
			l, s := w.open(fmt.Sprint("u", i))
			lanes, sinks = append(lanes, l), append(sinks, s)
		}
		for id := range uint32(each) {
			switch id {
			case 10:
				w.joinAs(testService, 3, &fakeBackend{incarnation: 4000, answer: record, slow: time.Millisecond})
			case 25:
				w.disc.Deregister(testService, "i3")
				w.disc.Retire(testService)
			}
			for _, l := range lanes {
				submit(l, id+1)
			}
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		last := map[string]int64{}
		for _, p := range order {
			if p.Seq <= last[p.Uid] {
				t.Fatalf("%s: seq %d ran after %d", p.Uid, p.Seq, last[p.Uid])
			}
			last[p.Uid] = p.Seq
		}
		moved, bad := len(w.backend(3).packets()), 0
		for _, s := range sinks {
			for id := range uint32(each) {
				if s.of(id+1).reason != "" {
					bad++
				}
			}
		}
		t.Logf("3 -> 4 -> 3: %d of %d requests ran on the added instance, %d were refused", moved, users*each, bad)
		if moved == 0 || bad > 0 {
			t.Errorf("%d requests ran on the added instance, %d were refused; want some, and none", moved, bad)
		}
	})
}
