package engine

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// describe renders replies for comparison.
func describe(replies []*holdfast.Reply) []string {
	var out []string
	for _, r := range replies {
		switch {
		case r.Deferred:
			out = append(out, "deferred")
		case r.NotExecuted:
			out = append(out, r.Reason)
		case r.Status != 0:
			out = append(out, "status "+string('0'+rune(r.Status/10))+string('0'+rune(r.Status%10)))
		default:
			out = append(out, string(r.Payload))
		}
	}
	return out
}

func TestFastCommandsAreAnsweredInTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.teach("say", "x")
		inline := r.Stats().Inline
		began := time.Now()
		got := describe(r.forward(r.packet("a", "say", "1"), r.packet("a", "say", "2"), r.packet("b", "say", "3")))
		if diff := cmp.Diff([]string{"1", "2", "3"}, got); diff != "" {
			t.Errorf("replies differ (-want +got):\n%s", diff)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("Forward took %v, want no time", took)
		}
		if n := r.Stats().Inline - inline; n != 3 {
			t.Errorf("%d packets ran inline, want 3: a known fast command runs on the batch's runner", n)
		}
	})
}

func TestUnknownCommandIsWaitedForUntilDeferAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		slow := r.packet("slow", "nap", "5ms")
		began := time.Now()
		got := describe(r.forward(r.packet("quick", "nap", "1ms"), slow, r.packet("a", "say", "hi")))
		if took := time.Since(began); took != 2*time.Millisecond {
			t.Errorf("Forward took %v, want DeferAfter", took)
		}
		if diff := cmp.Diff([]string{"1ms", "deferred", "hi"}, got); diff != "" {
			t.Errorf("replies differ (-want +got):\n%s", diff)
		}
		pass(3 * time.Millisecond)
		if a := r.lateAnswer(t, slow); string(a.Payload) != "5ms" {
			t.Errorf("late answer = %+v", a)
		}
	})
}

func TestKnownSlowCommandDoesNotHoldItsBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.teach("nap", "20ms")
		r.teach("say", "x")
		began := time.Now()
		got := describe(r.forward(r.packet("a", "nap", "20ms"), r.packet("b", "say", "hi"), r.packet("a", "say", "after"),
			r.packet("c", "say", "before"), r.packet("c", "nap", "20ms"), r.packet("d", "say", "last")))
		if took := time.Since(began); took != 0 {
			t.Errorf("Forward took %v, want no time: the slow command is deferred at once", took)
		}
		if diff := cmp.Diff([]string{"deferred", "hi", "deferred", "before", "deferred", "last"}, got); diff != "" {
			t.Errorf("replies differ (-want +got):\n%s", diff)
		}
	})
}

func TestSlowCommandBecomesFastAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.teach("nap", "20ms")
		runs := 0
		for ; r.commands0("nap").class(r.cfg.DeferAfter) != fast; runs++ {
			if runs > 100 {
				t.Fatal("still slow after 100 fast runs")
			}
			r.forward(r.packet("a", "nap", "0s"))
			pass(time.Millisecond)
		}
		if runs < 10 {
			t.Errorf("fast after %d runs: one lucky run must not make a slow command fast", runs)
		}
	})
}

func (r *rig) commands0(name string) *command { return r.Engine.commands.find(name) }

// TestStuckRunnerIsHelped lets a command that was fast hang: the others in its
// batch must not wait for it, and neither must the call.
func TestStuckRunnerIsHelped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.teach("nap", "0s")
		r.teach("say", "x")
		batch := []*holdfast.Packet{r.packet("stuck", "nap", "1h")}
		for _, s := range []string{"a", "b", "c"} {
			batch = append(batch, r.packet(s, "say", s))
		}
		behind := r.packet("stuck", "say", "behind")
		batch = append(batch, behind)
		began := time.Now()
		got := describe(r.Forward(batch))
		if took := time.Since(began); took != r.cfg.DeferAfter {
			t.Errorf("Forward took %v, want DeferAfter", took)
		}
		if diff := cmp.Diff([]string{"deferred", "deferred", "deferred", "deferred", "deferred"}, got); diff != "" {
			t.Errorf("replies differ (-want +got):\n%s", diff)
		}
		synctest.Wait() // no time passes
		for _, p := range batch[1:4] {
			if a := r.lateAnswer(t, p); string(a.Payload) != p.Session {
				t.Errorf("late answer of %s = %+v", p.Session, a)
			}
		}
		if slices.Contains(r.runs(), id(behind)) {
			t.Error("a packet overtook the one before it in its session")
		}
		pass(r.cfg.HandlerTimeout)
		if a := r.lateAnswer(t, batch[0]); a.Status != 4 {
			t.Errorf("the hanging packet was answered %+v, want the end of its context", a)
		}
		if a := r.lateAnswer(t, behind); string(a.Payload) != "behind" {
			t.Errorf("the packet behind was answered %+v", a)
		}
	})
}

// TestManyStuckPacketsStartSoon lets a whole batch of a formerly fast command
// hang: helpers come faster and faster.
func TestManyStuckPacketsStartSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.teach("nap", "0s")
		var batch []*holdfast.Packet
		for i := range 60 {
			batch = append(batch, r.packet(string(rune('A'+i)), "nap", "1h"))
		}
		r.Forward(batch)
		pass(8 * r.cfg.DeferAfter)
		if n := len(r.runs()); n != 60 {
			t.Errorf("%d of 60 packets started after 8 looks, want all", n)
		}
		pass(r.cfg.HandlerTimeout)
	})
}

func TestPacketThatIsTooLateDoesNotStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.teach("nap", "20ms")
		late, intime := r.packet("a", "nap", "20ms"), r.packet("a", "nap", "20ms")
		late.StartByMs = time.Now().Add(10 * time.Millisecond).UnixMilli()
		intime.StartByMs = time.Now().Add(30 * time.Millisecond).UnixMilli()
		r.forward(r.packet("b", "nap", "20ms"), r.packet("a", "nap", "20ms"), late, intime)
		pass(time.Second)
		if a := r.lateAnswer(t, late); a.Refused != PastStartBy {
			t.Errorf("answer = %+v, want past_start_by", a)
		}
		if a := r.lateAnswer(t, intime); a.Refused != NotRefused {
			t.Errorf("answer = %+v, want it to run", a)
		}
		if slices.Contains(r.runs(), id(late)) {
			t.Error("a packet ran after its start_by")
		}
	})
}

func TestContextEndsWhenTheAnswerIsOfNoUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		p := r.packet("a", "nap", "1h")
		p.StartByMs = time.Now().Add(700 * time.Millisecond).UnixMilli()
		began := time.Now()
		var ended time.Duration
		r.commands["nap"] = func(ctx context.Context, _ *holdfast.Packet) Answer {
			if ctx.Value("anything") != nil {
				t.Error("the context carries a value")
			}
			child, cancel := context.WithCancel(ctx)
			defer cancel()
			<-child.Done()
			ended = time.Since(began)
			return Answer{}
		}
		r.forward(p)
		pass(time.Minute)
		if ended != 700*time.Millisecond {
			t.Errorf("context ended after %v, want start_by: 700ms", ended)
		}
	})
}

func TestQueueFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.MaxRunning, c.MaxWaiting = 2, 3 })
		r.teach("nap", "20ms")
		r.teach("say", "x")
		var batch []*holdfast.Packet
		for _, s := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
			batch = append(batch, r.packet(s, "nap", "20ms"))
		}
		batch = append(batch, r.packet("k", "say", "fast ones need no place"))
		got := describe(r.Forward(batch))
		full := 0
		for i, g := range got[:10] {
			if g == string(QueueFull) {
				full++
			} else if g != "deferred" {
				t.Errorf("reply %d = %q", i, g)
			}
		}
		// How many of the first five start before the others come is up to the
		// scheduler: at least three wait, at most two run besides.
		if full < 5 || full > 7 {
			t.Errorf("%d refused, want 5 to 7 of 10 with 2 running and 3 waiting", full)
		}
		if got[10] != "fast ones need no place" {
			t.Errorf("reply 10 = %q", got[10])
		}
		pass(time.Second)
		if st := r.Stats(); st.Waiting != 0 || st.Running != 0 {
			t.Errorf("%d wait and %d run in the end, want none", st.Waiting, st.Running)
		}
	})
}

func TestRunningIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.MaxRunning = 3 })
		running, most := 0, 0
		r.commands["count"] = func(context.Context, *holdfast.Packet) Answer {
			r.mu.Lock()
			running++
			most = max(most, running)
			r.mu.Unlock()
			time.Sleep(10 * time.Millisecond)
			r.mu.Lock()
			running--
			r.mu.Unlock()
			return Answer{}
		}
		for i := range 5 {
			var batch []*holdfast.Packet
			for j := range 20 {
				batch = append(batch, r.packet(string(rune('A'+i))+string(rune('a'+j)), "count", ""))
			}
			r.Forward(batch)
		}
		pass(time.Minute)
		if most != 3 {
			t.Errorf("%d handlers ran at a time, want 3", most)
		}
		if n := len(r.runs()); n != 100 {
			t.Errorf("%d packets ran, want 100", n)
		}
	})
}

// TestGoexit ends a handler's goroutine, as testing.T.FailNow does.
func TestGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		exit := false
		r.commands["exit"] = func(context.Context, *holdfast.Packet) Answer {
			if exit {
				runtime.Goexit()
			}
			return Answer{}
		}
		r.teach("exit", "") // fast, so that it runs on the batch's runner
		r.teach("say", "x")
		exit = true
		got := describe(r.forward(
			r.packet("a", "exit", ""), r.packet("a", "say", "same lane"), r.packet("b", "say", "other lane"), r.packet("c", "unknown", "")))
		if diff := cmp.Diff([]string{"status 13", "same lane", "other lane", "status 12"}, got); diff != "" {
			t.Errorf("replies differ (-want +got):\n%s", diff)
		}
	})
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		running := r.packet("a", "nap", "50ms")
		r.forward(running)
		drained := make(chan int)
		go func() { drained <- r.Drain(context.Background()) }()
		synctest.Wait()
		if got := describe(r.forward(r.packet("b", "say", "x"))); got[0] != string(Draining) {
			t.Errorf("reply while draining = %q", got[0])
		}
		if left := <-drained; left != 0 {
			t.Errorf("Drain() = %d, want 0", left)
		}
		if a := r.lateAnswer(t, running); string(a.Payload) != "50ms" {
			t.Errorf("what ran was answered %+v", a)
		}
	})
}

// TestCloseEndsHandlers closes with handlers that heed their context, one that
// does not, and packets that have not started.
func TestCloseEndsHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.MaxRunning = 2 })
		release := make(chan struct{})
		r.commands["deaf"] = func(context.Context, *holdfast.Packet) Answer { <-release; return Answer{} }
		heeds, deaf, waits := r.packet("a", "nap", "1h"), r.packet("b", "deaf", ""), r.packet("c", "nap", "1h")
		r.forward(heeds, deaf, waits)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if left := r.Drain(ctx); left != 1 {
			t.Errorf("Drain() = %d batches left, want 1", left)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if left := r.Close(ctx); left != 1 {
			t.Errorf("Close() = %d workers left, want the deaf one", left)
		}
		if a := r.lateAnswer(t, heeds); a.Status != 4 {
			t.Errorf("running packet = %+v, want its context ended", a)
		}
		if a := r.lateAnswer(t, waits); a.Refused != Draining {
			t.Errorf("waiting packet = %+v, want draining", a)
		}
		close(release)
		synctest.Wait()
	})
}
