package dispatcher

import (
	"slices"
	"testing"
	"testing/synctest"

	hf "github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

func seqs(ps []hf.Packet) (out []int64) {
	for _, p := range ps {
		out = append(out, p.Seq)
	}
	return out
}

// answerDeferred answers like a backend that had deferred (seq, attempt 1).
func answerDeferred(l *Lanes, seq int64) bool {
	return l.Answer(testService, seq, 1, 0, []byte("late"), false, "", 0)
}

// TestDeferralKeepsOrder: a deferred packet keeps its own lane closed and nobody
// else's.
func TestDeferralKeepsOrder(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		b := w.backend(0)
		b.with(func() { b.answer = defers })
		slow, sink := w.open("slow")
		submit(slow, 1)
		synctest.Wait()
		submit(slow, 2, 3)
		b.with(func() { b.answer = nil })
		quick, quickSink := w.open("quick")
		submit(quick, 1)
		synctest.Wait()
		quickSink.of(1)
		sink.waits(1, 2, 3)
		if got := len(b.packets()); got != 2 {
			t.Fatalf("the backend got %d packets while one is deferred, want 2", got)
		}
		if !answerDeferred(slow, 1) {
			t.Error("the deferred answer was not awaited")
		}
		if answerDeferred(slow, 1) {
			t.Error("the second answer was taken; the first wins")
		}
		synctest.Wait()
		if got := sink.of(1); got.payload != "late" {
			t.Errorf("answer = %+v, want the deferred one", got)
		}
		sink.of(2)
		sink.of(3)
		if got := seqs(b.packets()); !slices.Equal(got, []int64{1, 1, 2, 3}) {
			t.Errorf("the backend got seqs %v, want 1 1 2 3", got)
		}
	})
}

// TestAnswerBeforeReply: Gateway.Reply may come before the call's own reply says
// "deferred".
func TestAnswerBeforeReply(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		b := w.backend(0)
		b.with(func() { b.answer, b.gate = defers, make(chan struct{}) })
		l, sink := w.open("alice")
		submit(l, 1)
		synctest.Wait()
		if !answerDeferred(l, 1) {
			t.Fatal("the early answer was refused")
		}
		sink.of(1)
		submit(l, 2)
		synctest.Wait()
		if n := len(b.packets()); n != 1 {
			t.Errorf("%d packets sent while the call is under way, want 1", n)
		}
		b.with(func() { b.answer = nil })
		close(b.gate)
		synctest.Wait()
		sink.of(2)
	})
}

func TestAnswerForNobody(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		l, _ := w.open("alice")
		if answerDeferred(l, 1) {
			t.Error("an answer without a request was taken")
		}
		if l.Answer("nobody", 1, 1, 0, nil, false, "", 0) {
			t.Error("an answer of an unknown service was taken")
		}
		submit(l, 1)
		synctest.Wait()
		if answerDeferred(l, 1) || answerDeferred(l, 77) {
			t.Error("an answer to a finished request was taken")
		}
	})
}

// TestServicesDoNotWaitForEachOther: order is promised for each service.
func TestServicesDoNotWaitForEachOther(t *testing.T) {
	cfg := testConfig()
	cfg.Services = append(cfg.Services, ServiceConfig{Name: "echo", CallsInFlight: 1})
	cfg.Routes = append(cfg.Routes, RouteConfig{Prefix: "echo.", Service: "echo"})
	inWorld(t, cfg, 1, func(t *testing.T, w *world) {
		echo := w.join("echo", 0)
		b := w.backend(0)
		b.with(func() { b.answer = defers })
		l, sink := w.open("alice")
		submit(l, 1, 2)
		l.Submit(3, []byte("echo.say"), nil)
		synctest.Wait()
		sink.of(3)
		if got := seqs(echo.packets()); !slices.Equal(got, []int64{1}) {
			t.Errorf("echo got seqs %v, want its own count from 1", got)
		}
		if !answerDeferred(l, 1) {
			t.Error("logic's deferred answer was not awaited")
		}
	})
}
