package faults

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/tools/faults/check"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// sickness is something that an instance can have, and its cure.
type sickness struct {
	name        string
	begin, cure func(*instance)
	lasts       [2]time.Duration // at least, at most
}

var sicknesses = []sickness{
	{"killed", func(i *instance) { i.Kill() }, func(i *instance) { i.start(nil) }, [2]time.Duration{0, 3 * time.Second}},
	{"frozen", func(i *instance) { i.Signal(syscall.SIGSTOP) }, func(i *instance) { i.Signal(syscall.SIGCONT) },
		[2]time.Duration{50 * time.Millisecond, 4 * time.Second}},
	{"slow", func(i *instance) { i.obey("slow 5s") }, func(i *instance) { i.Tell("normal") }, [2]time.Duration{time.Second, 4 * time.Second}},
	{"late", func(i *instance) { i.obey("slow 20ms") }, func(i *instance) { i.Tell("normal") }, [2]time.Duration{time.Second, 2 * time.Second}},
	{"erring", func(i *instance) { i.obey("fail") }, func(i *instance) { i.Tell("normal") }, [2]time.Duration{time.Second, 2 * time.Second}},
	{"stopped in order", func(i *instance) { i.Signal(syscall.SIGTERM) }, func(i *instance) { <-i.Exited; i.start(nil) },
		[2]time.Duration{time.Second, 3 * time.Second}},
}

// TestRandomFaults lets up to two of five instances at a time be killed, frozen,
// slow, erring or restarted, in any order and overlap, under traffic on both kinds
// of routes. Every request has exactly one answer that is true, nothing runs twice
// that must not, and every session's order holds at the backends.
func TestRandomFaults(t *testing.T) {
	const users, rate = 200, 1000
	lasts := 15 * time.Second
	if testenv.Soak() {
		lasts = 5 * time.Minute
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	d := deploy(t, options{})
	f := connect(t, d.endpoint, users)
	begun := clock()
	stop := f.background(rate, recRun, idemRun)

	count := map[string]int{}
	until := map[*instance]time.Duration{} // who is sick, and when it is cured
	illness := map[*instance]sickness{}
	cure := func(all bool) {
		for i, end := range until {
			if all || clock() >= end {
				illness[i].cure(i)
				delete(until, i)
			}
		}
	}
	for clock()-begun < lasts {
		time.Sleep(time.Duration(random.Int64N(int64(800 * time.Millisecond))))
		cure(false)
		victim := d.instances[random.IntN(len(d.instances))]
		if _, sick := until[victim]; sick || len(until) >= 2 {
			continue
		}
		s := sicknesses[random.IntN(len(sicknesses))]
		s.begin(victim)
		illness[victim] = s
		until[victim] = clock() + s.lasts[0] + time.Duration(random.Int64N(int64(s.lasts[1]-s.lasts[0])))
		count[s.name]++
	}
	cure(true)
	time.Sleep(2 * time.Second)
	stop()

	requests, got := f.requests(), d.record()
	d.judge(requests, got.runs)
	whole := check.Span{To: 1 << 62}
	share, sent := check.Success(requests, whole)
	t.Logf("faults: %v; %d requests, %d runs, success %.4f, the others: %v", count, sent, len(got.runs), share, check.Failures(requests, whole))
	if f.skipped > 0 {
		t.Logf("%d requests of the plan were not sent, as their session had %d unanswered", f.skipped, unansweredMax)
	}
}
