package faults

import (
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/tools/faults/check"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// TestFrozenInstanceOvertakesNothing freezes an instance with packets in its
// socket, lets the traffic go on elsewhere and wakes it. No packet that was on its
// way to it runs after a newer one of its session, and none runs twice.
func TestFrozenInstanceOvertakesNothing(t *testing.T) {
	const users, rate = 100, 2000
	rounds := 2
	if testenv.Soak() {
		rounds = 20
	}
	d := deploy(t, options{})
	f := connect(t, d.endpoint, users)
	stop := f.background(rate, recRun)
	var frozen []check.Span
	for n := range rounds {
		victim := d.instances[n%len(d.instances)]
		time.Sleep(time.Second)
		from := clock()
		victim.Signal(syscall.SIGSTOP)
		for _, c := range f.callers { // so that there are packets in its socket
			c.send(recRun, false)
		}
		time.Sleep(4 * time.Second) // longer than a call may take, so that its lanes are open again
		victim.Signal(syscall.SIGCONT)
		frozen = append(frozen, check.Span{From: from, To: clock()})
	}
	time.Sleep(2 * time.Second)
	stop()
	requests, got := f.requests(), d.record()
	d.judge(requests, got.runs)
	for n, span := range frozen {
		caught, elsewhere := caughtBy(requests, span, d.instances[n%len(d.instances)].settings.ID)
		testenv.Figure(t, "P13", "frozen %s: %d requests were caught, %d of their users' later ones were run elsewhere meanwhile",
			d.instances[n%len(d.instances)].settings.ID, caught, elsewhere)
		if caught == 0 || elsewhere == 0 {
			t.Error("nothing was caught, or nothing went on elsewhere: this round shows nothing")
		}
	}
	t.Logf("%d requests, %d runs", len(requests), len(got.runs))
}

// caughtBy counts the requests of unknown outcome that were sent around the
// beginning of a span, and what their users had run by others than instance until
// its end.
func caughtBy(requests []check.Request, span check.Span, instance string) (caught, elsewhere int) {
	users := map[int]bool{}
	for _, r := range requests {
		if r.Sent < span.To && len(r.Answers) == 1 && r.Answers[0].Outcome() == check.MayHaveRun && r.Answers[0].At > span.From {
			caught++
			users[r.User] = true
		}
	}
	for _, r := range requests {
		if users[r.User] && r.Sent > span.From && r.OK() && r.Answers[0].By != instance && r.Answers[0].At < span.To {
			elsewhere++
		}
	}
	return caught, elsewhere
}
