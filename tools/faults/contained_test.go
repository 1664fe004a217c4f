package faults

import (
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/tools/faults/check"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// The promise about an instance that is dead or hangs (P13).
const (
	containedWithin = 3 * time.Second
	successLeast    = 0.999
	busiestMost     = 1.25
)

// TestContained has five instances, one of which is killed, frozen, throws or
// takes 5 s for everything. From three seconds later at least 99.9 % of all
// requests succeed, and the survivors share its users evenly.
func TestContained(t *testing.T) {
	const users, rate = 2000, 1500
	before, after := 2*time.Second, 4*time.Second
	if testenv.Soak() {
		before, after = 5*time.Second, 60*time.Second
	}
	for _, fault := range []struct {
		name string
		bare bool
		do   func(*instance)
	}{
		{"killed", false, func(i *instance) { i.Kill() }},
		{"frozen", false, func(i *instance) { i.Signal(syscall.SIGSTOP) }},
		{"throws", true, func(i *instance) { i.obey("throw") }},
		{"takes 5 s", false, func(i *instance) { i.obey("slow 5s") }},
	} {
		t.Run(fault.name, func(t *testing.T) {
			d := deploy(t, options{bare: fault.bare})
			f := connect(t, d.endpoint, users)
			const victim = 2
			begun := clock()
			stop := f.background(rate, recRun)
			time.Sleep(before)
			at := clock()
			fault.do(d.instances[victim])
			time.Sleep(containedWithin + after)
			stop()
			// What is under way when it happens is neither before nor after.
			calm, storm := check.Span{From: begun, To: at - 200*time.Millisecond}, check.Span{From: at, To: at + containedWithin}
			contained := check.Span{From: at + containedWithin, To: clock()}

			requests, got := f.requests(), d.record()
			d.judge(requests, got.runs)
			was, _ := check.Success(requests, calm)
			during, _ := check.Success(requests, storm)
			is, sent := check.Success(requests, contained)
			busiest := check.Busiest(got.runs, d.ids(victim), contained)
			testenv.Figure(t, "P13", "success before %.5f, in the first %v %.5f, then %.5f of %d requests; busiest survivor %.2f of the mean; p99 before %v, then %v",
				was, containedWithin, during, is, sent, busiest,
				check.Latency(requests, calm, 99).Round(10*time.Microsecond), check.Latency(requests, contained, 99).Round(10*time.Microsecond))
			if was != 1 {
				t.Errorf("success before the fault is %v, want all: %v", was, check.Failures(requests, calm))
			}
			if is < successLeast {
				t.Errorf("success after %v is %.5f, want at least %v: %v", containedWithin, is, successLeast, check.Failures(requests, contained))
			}
			if busiest == 0 || busiest > busiestMost {
				t.Errorf("the busiest survivor has %.2f of the mean, want at most %v", busiest, busiestMost)
			}
			if f.skipped > 0 {
				t.Logf("%d requests of the plan were not sent, as their session had %d unanswered", f.skipped, unansweredMax)
			}
		})
	}
}
