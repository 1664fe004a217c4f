package engine

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// startsBy gives a packet a start_by.
func startsBy(p *holdfast.Packet, after time.Duration) *holdfast.Packet {
	p.StartByMs = time.Now().Add(after).UnixMilli()
	return p
}

// refusals returns who was told past_start_by so far, in order.
func (r *rig) refusals() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.told), func(id string) bool { return r.late[id].Refused != PastStartBy })
}

// TestLatePacketsAreRefusedWhileTheOneBeforeThemRuns: they must not learn it only
// when the handler before them is done, and never run.
func TestLatePacketsAreRefusedWhileTheOneBeforeThemRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		first := r.packet("a", "nap", "300ms")
		batch, want := []*holdfast.Packet{first}, []string(nil)
		for range 10 {
			p := startsBy(r.packet("a", "say", "x"), 100*time.Millisecond)
			batch, want = append(batch, p), append(want, id(p))
		}
		last := r.packet("a", "say", "no bound")
		batch = append(batch, last)
		began := time.Now()
		r.Forward(batch)
		time.Sleep(time.Until(began.Add(100 * time.Millisecond)))
		synctest.Wait()
		if got := r.refusals(); len(got) != 0 {
			t.Errorf("refused at their start_by, when they might still begin: %v", got)
		}
		pass(lookEvery + time.Millisecond)
		if diff := cmp.Diff(want, r.refusals()); diff != "" {
			t.Errorf("refusals %v after the start_by differ (-want +got):\n%s", lookEvery, diff)
		}
		if st := r.Stats(); st.Waiting != 1 || st.Refused[pastStartBy] != 10 {
			t.Errorf("%d wait and %d were refused, want 1 and 10", st.Waiting, st.Refused[pastStartBy])
		}
		pass(time.Second)
		if diff := cmp.Diff([]string{id(first), id(last)}, r.runs()); diff != "" {
			t.Errorf("runs differ (-want +got):\n%s", diff)
		}
		if got := describe(r.Forward([]*holdfast.Packet{again(batch[3], 0)})); got[0] != "x" {
			t.Errorf("another attempt of one that was refused = %q, want it to run", got[0])
		}
		if n := r.Stats().Waiting; n != 0 {
			t.Errorf("%d wait in the end", n)
		}
	})
}

// TestLatePacketsAreRefusedWhileNoHandlerIsFree: also the first of its session.
func TestLatePacketsAreRefusedWhileNoHandlerIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.MaxRunning = 1 })
		r.Forward([]*holdfast.Packet{r.packet("busy", "nap", "300ms")})
		one, two := startsBy(r.packet("a", "nap", "1ms"), 100*time.Millisecond), startsBy(r.packet("a", "nap", "1ms"), 100*time.Millisecond)
		r.Forward([]*holdfast.Packet{one, two})
		pass(120 * time.Millisecond)
		if diff := cmp.Diff([]string{id(one), id(two)}, r.refusals()); diff != "" {
			t.Errorf("refusals differ (-want +got):\n%s", diff)
		}
		three, four := r.packet("a", "nap", "1ms"), r.packet("a", "nap", "2ms") // the lane still waits, empty
		r.Forward([]*holdfast.Packet{three, four})
		r.Sweep()
		pass(time.Second)
		for _, p := range []*holdfast.Packet{three, four} {
			if a := r.lateAnswer(t, p); a.Refused != NotRefused || len(a.Payload) == 0 {
				t.Errorf("%s was answered %+v, want it to run", id(p), a)
			}
		}
		if diff := cmp.Diff([]string{"busy/1", id(three), id(four)}, r.runs()); diff != "" {
			t.Errorf("runs differ (-want +got):\n%s", diff)
		}
		r.Forward([]*holdfast.Packet{r.packet("a", "say", "idle again")})
		if st := r.Stats(); st.Waiting != 0 || st.Running != 0 {
			t.Errorf("%d wait and %d run in the end, want none", st.Waiting, st.Running)
		}
	})
}

// TestAttemptsOfALatePacketAreRefusedTogether: the later attempt's start_by counts.
func TestAttemptsOfALatePacketAreRefusedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.Forward([]*holdfast.Packet{r.packet("a", "nap", "1s")})
		p := startsBy(r.packet("a", "say", "x"), 50*time.Millisecond)
		second := startsBy(again(p, 0), 200*time.Millisecond)
		r.Forward([]*holdfast.Packet{p, second})
		pass(150 * time.Millisecond)
		if got := r.refusals(); len(got) != 0 {
			t.Errorf("refused before the later attempt's start_by: %v", got)
		}
		pass(100 * time.Millisecond)
		if diff := cmp.Diff([]string{id(p), id(second)}, r.refusals()); diff != "" {
			t.Errorf("refusals differ (-want +got):\n%s", diff)
		}
		pass(time.Second)
	})
}

// TestRunSleepsWhileNothingWaits: the list of lanes to look at does not keep what
// is done.
func TestRunSleepsWhileNothingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		for i := range 100 {
			s := fmt.Sprint("s", i)
			r.Forward([]*holdfast.Packet{startsBy(r.packet(s, "nap", "1ms"), time.Hour), startsBy(r.packet(s, "say", "x"), time.Hour)})
		}
		pass(2 * lookEvery)
		for i := range r.shards {
			if n := len(r.shards[i].watched); n != 0 {
				t.Fatalf("%d lanes of shard %d are looked at, want none", n, i)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.Run(ctx); err != nil {
			t.Errorf("Run(done) = %v, want nil", err)
		}
	})
}
