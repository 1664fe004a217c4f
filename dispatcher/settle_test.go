package dispatcher

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	hf "github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// TestRepliesThatBreakTheContract: INTERNAL for those concerned, never a crash, and
// the next request goes through.
func TestRepliesThatBreakTheContract(t *testing.T) {
	tests := []struct {
		name   string
		mangle func(*hf.ForwardReply) *hf.ForwardReply
		good   bool // request 2 of the same batch is answered all the same
	}{
		{"no reply at all", func(*hf.ForwardReply) *hf.ForwardReply { return nil }, false},
		{"too few", func(r *hf.ForwardReply) *hf.ForwardReply { r.Replies = r.Replies[:1]; return r }, false},
		{"too many", func(r *hf.ForwardReply) *hf.ForwardReply { r.Replies = append(r.Replies, &hf.Reply{}); return r }, false},
		{"a hole", func(r *hf.ForwardReply) *hf.ForwardReply { r.Replies[0] = nil; return r }, false},
		{"status above 16", func(r *hf.ForwardReply) *hf.ForwardReply { r.Replies[0].Status = 17; return r }, true},
		{"negative status", func(r *hf.ForwardReply) *hf.ForwardReply { r.Replies[0].Status = -1; return r }, true},
		{"payload too large", func(r *hf.ForwardReply) *hf.ForwardReply {
			r.Replies[0].Payload = make([]byte, DefaultConfig().ReplyBytes+1)
			return r
		}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
				b := w.backend(0)
				b.with(func() { b.gate = make(chan struct{}) })
				other, _ := w.open("other")
				submit(other, 1)
				synctest.Wait()
				l, sink := w.open("alice")
				submit(l, 1, 2)
				synctest.Wait()
				b.with(func() {
					b.answer = nil
					b.mangle = func(r *hf.ForwardReply) *hf.ForwardReply {
						if len(r.Replies) == 2 {
							return tt.mangle(r)
						}
						return r
					}
				})
				close(b.gate)
				synctest.Wait()
				if got := sink.of(1); got.status != statusInternal || got.reason != "bad_reply" || got.retryAfter != 0 {
					t.Errorf("answer = %+v, want INTERNAL bad_reply", got)
				}
				if got := sink.of(2); (got.reason == "") != tt.good {
					t.Errorf("the other answer of the batch = %+v, want it good: %v", got, tt.good)
				}
				submit(l, 3)
				synctest.Wait()
				if got := sink.of(3); got.reason != "" {
					t.Errorf("the next request = %+v, want the backend's answer", got)
				}
			})
		})
	}
}

// TestNotExecuted: what the kit says it did not run may be sent again.
func TestNotExecuted(t *testing.T) {
	tests := []struct {
		said, reason string
		status       uint8
	}{
		{"draining", "draining", statusUnavailable},
		{"past_start_by", "past_start_by", statusUnavailable},
		{"queue_full", "instance_full", statusResourceExhausted},
		{"something new", "refused", statusUnavailable},
		{"", "refused", statusUnavailable},
	}
	for _, tt := range tests {
		for _, deferred := range []bool{false, true} {
			inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
				b := w.backend(0)
				b.with(func() {
					b.answer = func(*hf.Packet) *hf.Reply {
						if deferred {
							return &hf.Reply{Deferred: true}
						}
						return &hf.Reply{NotExecuted: true, Reason: tt.said, RetryAfterMs: 250}
					}
				})
				l, sink := w.open("alice")
				submit(l, 1)
				synctest.Wait()
				if deferred && !l.Answer(testService, 1, 1, 0, nil, true, tt.said, 250*time.Millisecond) {
					t.Fatal("the deferred answer was not awaited")
				}
				if got := sink.of(1); got.status != tt.status || got.reason != tt.reason || got.retryAfter != 250*time.Millisecond {
					t.Errorf("%q (deferred %v) = %+v, want %s with the kit's retry_after", tt.said, deferred, got, tt.reason)
				}
			})
		}
	}
}

// TestRetryAfterOnlyWhereNotRun is docs/protocol.md section 2: UNKNOWN and
// DEADLINE_EXCEEDED never carry it, UNAVAILABLE and RESOURCE_EXHAUSTED mean not run.
func TestRetryAfterOnlyWhereNotRun(t *testing.T) {
	for why, r := range refusals {
		notRun := r.status == statusUnavailable || r.status == statusResourceExhausted
		if r.retry != notRun {
			t.Errorf("%s: status %d, tells when to retry: %v", why, r.status, r.retry)
		}
		if r.message == "" || strings.ToLower(string(why)) != string(why) {
			t.Errorf("%s: message %q", why, r.message)
		}
	}
	for cause, why := range causeReasons {
		if _, known := refusals[why]; !known {
			t.Errorf("cause %d has reason %q, which is not declared", cause, why)
		}
	}
}

func TestLaneFull(t *testing.T) {
	cfg := testConfig()
	cfg.LaneLimit = 2
	inWorld(t, cfg, 1, func(t *testing.T, w *world) {
		w.backend(0).with(func() { w.backend(0).answer = defers })
		l, sink := w.open("alice")
		submit(l, 1, 2, 3)
		if got := sink.of(3); got.status != statusResourceExhausted || got.reason != "lane_full" || got.retryAfter == 0 {
			t.Errorf("answer = %+v, want RESOURCE_EXHAUSTED lane_full", got)
		}
	})
}

func TestQueueBounds(t *testing.T) {
	tests := []struct {
		name   string
		change func(*ServiceConfig)
	}{
		{"packets", func(c *ServiceConfig) { c.MaxQueued = 3 }},
		{"bytes", func(c *ServiceConfig) { c.MaxQueuedBytes = 9 }}, // payloads of 3 bytes
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := testConfig()
			tt.change(&cfg.Services[0])
			inWorld(t, cfg, 1, func(t *testing.T, w *world) {
				b := w.backend(0)
				b.with(func() { b.gate = make(chan struct{}) })
				busy, _ := w.open("x")
				submit(busy, 1)
				synctest.Wait() // sent: it does not count as queued
				l, sink := w.open("a")
				submit(l, 1, 2, 3, 4)
				if got := sink.of(4); got.status != statusResourceExhausted || got.reason != "queue_full" || got.retryAfter == 0 {
					t.Errorf("answer = %+v, want RESOURCE_EXHAUSTED queue_full", got)
				}
				load := &w.d.service(testService).table.Load().slots[0].load
				close(b.gate)
				synctest.Wait()
				submit(l, 5)
				synctest.Wait()
				if got := sink.of(5); got.reason != "" {
					t.Errorf("after the queue was sent: %+v, want the backend's answer", got)
				}
				if waiting, bytes, open := load.waiting.Load(), load.bytes.Load(), load.open.Load(); waiting != 0 || bytes != 0 || open != 0 {
					t.Errorf("idle, but the load is %d packets, %d bytes, %d open", waiting, bytes, open)
				}
			})
		})
	}
}

// TestOutstandingBound: deferred packets count; the others wait until there is room.
func TestOutstandingBound(t *testing.T) {
	cfg := testConfig()
	cfg.Services[0].MaxOutstanding = 2
	inWorld(t, cfg, 1, func(t *testing.T, w *world) {
		b := w.backend(0)
		b.with(func() { b.answer = defers })
		var lanes []*Lanes
		for _, uid := range []string{"a", "b", "c", "d"} {
			l, _ := w.open(uid)
			submit(l, 1)
			lanes = append(lanes, l)
		}
		synctest.Wait()
		if n := len(b.packets()); n != 2 {
			t.Fatalf("%d packets are outstanding, want 2", n)
		}
		if !answerDeferred(lanes[0], 1) {
			t.Fatal("not awaited")
		}
		synctest.Wait()
		if n := len(b.packets()); n != 3 {
			t.Errorf("%d packets were sent after one was answered, want 3", n)
		}
		lanes[1].End("test") // gives its place back, too
		synctest.Wait()
		if n := len(b.packets()); n != 4 {
			t.Errorf("%d packets were sent after one session ended, want 4", n)
		}
	})
}

// TestEnd: nothing reaches the sink afterwards, and nothing is held any more.
func TestEnd(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		b := w.backend(0)
		b.with(func() { b.gate = make(chan struct{}) })
		calling, sink1 := w.open("calling")
		submit(calling, 1)
		synctest.Wait()
		submit(calling, 2)
		ready, sink2 := w.open("ready")
		submit(ready, 1)
		calling.End("kicked")
		ready.End("kicked")
		ready.End("kicked") // again: nothing
		submit(ready, 2)
		close(b.gate)
		synctest.Wait()
		if n := len(sink1.all()) + len(sink2.all()); n != 0 {
			t.Errorf("%d answers after End", n)
		}
		if n := len(b.packets()); n != 1 {
			t.Errorf("%d packets were sent, want only the one that was under way", n)
		}
		deferred, sink3 := w.open("deferred")
		b.with(func() { b.answer = defers })
		submit(deferred, 1)
		synctest.Wait()
		deferred.End("kicked")
		if answerDeferred(deferred, 1) {
			t.Error("an answer after End was taken")
		}
		load := &w.d.service(testService).table.Load().slots[0].load
		if load.waiting.Load() != 0 || load.open.Load() != 0 || load.bytes.Load() != 0 {
			t.Errorf("the instance's load keeps %d waiting, %d open", load.waiting.Load(), load.open.Load())
		}
		if n := len(w.d.timers.lanes); n != 0 {
			t.Errorf("%d timers are left", n)
		}
		if n := w.d.service(testService).table.Load().slots[0].held.n; n != 0 {
			t.Errorf("%d lanes are watched", n)
		}
		if n := w.d.origins.count(); n != 0 || len(sink3.all()) != 0 {
			t.Errorf("%d origins are open, %d answers", n, len(sink3.all()))
		}
	})
}

// TestSuspectErrors: what the judge makes of errors that carry no connection.
func TestJudge(t *testing.T) {
	plain := errors.New("plain")
	tests := []struct {
		at   stage
		want verdict
	}{
		{stageDialing, verdict{outcome: notExecuted, reason: ReasonInstanceDown}},
		{stageSending, verdict{outcome: notExecuted, reason: ReasonNotSent}},
		{stageSent, verdict{outcome: unknown, reason: ReasonConnectionLost}},
	}
	for _, tt := range tests {
		if got := judge(plain, tt.at); got != tt.want {
			t.Errorf("judge(plain, %d) = %+v, want %+v", tt.at, got, tt.want)
		}
	}
	if got := judge(nil, stageSent); got.outcome != answered {
		t.Errorf("judge(nil) = %+v, want answered", got)
	}
}
