package dispatcher

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-io/holdfast/dispatcher/slots"
	hf "github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

func slotOf(uid string, n int) int { return slots.Jump.Pick(slots.Hash(uid), n) }

func TestRequestAndReply(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		l, sink := w.open("alice")
		payload := []byte("hello")
		w.backend(0).answer = func(p *hf.Packet) *hf.Reply {
			return &hf.Reply{Status: 5, Payload: append([]byte("got "), p.Payload...)}
		}
		command := []byte("msg.send")
		l.Submit(9, command, payload)
		copy(payload, "XXXXX") // the caller's memory is the caller's again
		copy(command, "XXXXXXXX")
		synctest.Wait()
		if got := sink.of(9); got.status != 5 || got.payload != "got hello" || got.reason != "" {
			t.Errorf("answer = %+v, want status 5 and \"got hello\"", got)
		}
		p := w.backend(0).packets()[0]
		want := hf.Packet{Session: "s-alice", Uid: "alice", Seq: 1, Command: "msg.send", Payload: []byte("hello"),
			StartByMs: p.StartByMs, Attempt: 1, DeviceId: "d-alice", Gateway: "gw:1"}
		if p.Session != want.Session || p.Uid != want.Uid || p.Seq != want.Seq || p.Command != want.Command ||
			string(p.Payload) != string(want.Payload) || p.Attempt != want.Attempt || p.DeviceId != want.DeviceId || p.Gateway != want.Gateway {
			t.Errorf("packet = %+v\nwant     %+v", p, want)
		}
		latest := time.Now().Add(2*time.Second - refusalTimeMax).UnixMilli()
		if p.StartByMs > latest || p.StartByMs < latest-5 {
			t.Errorf("start_by_ms = %d, want the time-out from now on the instance's clock less the time for a refusal, %d, less the clock's error", p.StartByMs, latest)
		}
	})
}

// TestIdleSystemAddsNoDelay: a request that comes alone goes alone, at once.
func TestIdleSystemAddsNoDelay(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		l, sink := w.open("alice")
		began := time.Now()
		for id := range uint32(3) {
			submit(l, id+1)
			synctest.Wait()
			if at := sink.of(id + 1).at; at != began {
				t.Errorf("request %d took %v of fake time, want none", id+1, at.Sub(began))
			}
		}
		if got := w.backend(0).sizes(); !slices.Equal(got, []int{1, 1, 1}) {
			t.Errorf("batches of %v, want three of one", got)
		}
	})
}

// TestBusySystemBatches: what comes while all calls are under way goes together.
func TestBusySystemBatches(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		b := w.backend(0)
		b.with(func() { b.gate = make(chan struct{}) })
		var sinks []*fakeSink
		for i := range 100 {
			l, sink := w.open(fmt.Sprint("u", i))
			sinks = append(sinks, sink)
			submit(l, 1)
			if i == 0 {
				synctest.Wait() // the first is on its way
			}
		}
		synctest.Wait()
		close(b.gate)
		synctest.Wait()
		if got := b.sizes(); !slices.Equal(got, []int{1, 99}) {
			t.Errorf("batches of %v, want 1 and 99", got)
		}
		for i, p := range b.packets() {
			if want := fmt.Sprint("u", i); p.Uid != want {
				t.Fatalf("packet %d is of %s, want %s: first come, first served", i, p.Uid, want)
			}
		}
		for _, s := range sinks {
			s.of(1)
		}
	})
}

func TestBatchBounds(t *testing.T) {
	tests := []struct {
		name           string
		packets, bytes int
		want           []int
	}{
		{"packets", 4, 1 << 20, []int{1, 4, 4, 2}},
		{"bytes", 256, 8, []int{1, 3, 3, 3, 1}}, // payloads of 3 bytes: the third passes 8
	}
	for _, tt := range tests {
		cfg := testConfig()
		cfg.Services[0].BatchPackets, cfg.Services[0].BatchBytes = tt.packets, tt.bytes
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, cfg, 1, func(t *testing.T, w *world) {
				b := w.backend(0)
				b.with(func() { b.gate = make(chan struct{}) })
				for i := range 11 {
					l, _ := w.open(string(rune('a' + i)))
					submit(l, 1)
					synctest.Wait()
				}
				close(b.gate)
				synctest.Wait()
				if got := b.sizes(); !slices.Equal(got, tt.want) {
					t.Errorf("batches of %v, want %v", got, tt.want)
				}
			})
		})
	}
}

// TestOneFlushForEachLane: a session gets all its answers of a batch at once.
func TestOneFlushForEachLane(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		b := w.backend(0)
		l, sink := w.open("alice")
		b.with(func() { b.gate = make(chan struct{}) })
		submit(l, 1)
		synctest.Wait()
		submit(l, 2, 3, 4, 5)
		close(b.gate)
		synctest.Wait()
		if len(sink.all()) != 5 || sink.flushes != 2 {
			t.Errorf("%d answers in %d flushes, want 5 in 2", len(sink.all()), sink.flushes)
		}
		if got := b.sizes(); !slices.Equal(got, []int{1, 4}) {
			t.Errorf("batches of %v, want 1 and 4", got)
		}
	})
}

// TestCallsInFlight: no more calls than configured, and the second one does not
// wait for the first.
func TestCallsInFlight(t *testing.T) {
	cfg := testConfig()
	cfg.Services[0].CallsInFlight = 3
	inWorld(t, cfg, 1, func(t *testing.T, w *world) {
		b := w.backend(0)
		b.with(func() { b.gate = make(chan struct{}) })
		for i := range 10 {
			l, _ := w.open(fmt.Sprint("u", i))
			submit(l, 1)
			synctest.Wait()
		}
		if got := b.sizes(); !slices.Equal(got, []int{1, 1, 1}) {
			t.Errorf("batches under way = %v, want three of one", got)
		}
		close(b.gate)
		synctest.Wait()
		if b.maxCalls != 3 || len(b.packets()) != 10 {
			t.Errorf("%d calls at a time and %d packets, want 3 and 10", b.maxCalls, len(b.packets()))
		}
	})
}

func TestNoRoute(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		l, sink := w.open("alice")
		l.Submit(1, []byte("contact.add"), nil)
		if got := sink.of(1); got.status != statusUnimplemented || got.reason != "no_route" || got.retryAfter != 0 {
			t.Errorf("answer = %+v, want UNIMPLEMENTED no_route", got)
		}
	})
}

// TestNobodyThere covers what is refused before anything is sent.
func TestNobodyThere(t *testing.T) {
	cfg := testConfig()
	inWorld(t, cfg, 0, func(t *testing.T, w *world) {
		l, sink := w.open(uidOn(0, 2))
		submit(l, 1)
		if got := sink.of(1); got.status != statusUnavailable || got.reason != "no_instance" ||
			got.retryAfter < cfg.RetryAfter || got.retryAfter > cfg.RetryAfter*3/2 {
			t.Errorf("without instances: %+v, want UNAVAILABLE no_instance with retry_after", got)
		}
		w.join(testService, 1)
		submit(l, 2)
		synctest.Wait()
		if got := sink.of(2); got.reason != "" || len(w.backend(1).packets()) != 1 {
			t.Errorf("with a vacant slot: %+v, want the answer of the only instance", got)
		}
		w.disc.Deregister(testService, "i1")
		synctest.Wait()
		submit(l, 4)
		if got := sink.of(4); got.status != statusUnavailable || got.reason != "vacant_slot" || got.retryAfter == 0 {
			t.Errorf("with vacant slots only: %+v, want UNAVAILABLE vacant_slot with retry_after", got)
		}
		w.join(testService, 0)
		submit(l, 3)
		synctest.Wait()
		if got := sink.of(3); got.reason != "" {
			t.Errorf("with its slot held: %+v, want the backend's answer", got)
		}
	})
}

func TestSubmitBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig())
		w.join(testService, 0)
		l, sink := w.open("alice")
		submit(l, 1)
		if got := sink.of(1); got.reason != "no_instance" {
			t.Errorf("before Run: %+v, want no_instance", got)
		}
	})
}

func TestRunOnlyOnce(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		if err := w.d.Run(t.Context()); err == nil {
			t.Error("a second Run = nil, want an error")
		}
	})
}

// TestStopAnswersEverything: Run's end leaves no request without an answer.
func TestStopAnswersEverything(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		b := w.backend(0)
		l, sink := w.open("alice")
		b.with(func() { b.gate = make(chan struct{}) })
		submit(l, 1, 2)
		synctest.Wait()
		submit(l, 3)
		other, otherSink := w.open("bob")
		b.with(func() { b.answer = defers })
		submit(other, 1)
		w.cancel()
		synctest.Wait()
		close(b.gate)
		if err := <-w.ran; err != nil {
			t.Fatal(err)
		}
		w.ran <- nil
		sink.of(1)
		if got := sink.of(3); got.status != statusUnavailable || got.reason != "stopping" {
			t.Errorf("what waited: %+v, want UNAVAILABLE stopping", got)
		}
		otherSink.of(1)
		submit(l, 4)
		if got := sink.of(4); got.status != statusUnavailable {
			t.Errorf("after the end: %+v, want UNAVAILABLE", got)
		}
	})
}
