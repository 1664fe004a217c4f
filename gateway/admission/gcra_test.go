package admission

import (
	"math"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// TestNeverMoreThanTheRate draws arrivals and checks the promise of a leaky
// bucket in every window between two of them: at most perSecond*t + burst.
func TestNeverMoreThanTheRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perSecond := rapid.OneOf(rapid.Float64Range(0.01, 50), rapid.Float64Range(50, 1e6)).Draw(t, "per_second")
		burst := rapid.IntRange(1, 50).Draw(t, "burst")
		g := newGCRA(perSecond, burst, 1)
		type grant struct {
			at     int64
			tokens int
		}
		var grants []grant
		now, tat := int64(0), int64(0)
		for range rapid.IntRange(1, 150).Draw(t, "arrivals") {
			step := rapid.Float64Range(0, 3/perSecond).Draw(t, "step")
			now += int64(step * float64(unitsPerSecond))
			n := rapid.IntRange(1, burst).Draw(t, "tokens")
			next, wait := g.judge(tat, now, n)
			tat = next
			if wait == 0 {
				grants = append(grants, grant{now, n})
			} else if _, w := g.judge(tat, now+wait, n); w != 0 {
				t.Fatalf("refused again after the wait of %d units", wait)
			} else if _, w := g.judge(tat, now+wait-1, n); w == 0 {
				t.Fatalf("the wait of %d units is longer than needed", wait)
			}
		}
		for i := range grants {
			sum := 0
			for j := i; j < len(grants); j++ {
				sum += grants[j].tokens
				seconds := float64(grants[j].at-grants[i].at) / float64(unitsPerSecond)
				if most := perSecond*seconds + float64(burst); float64(sum) > most+1e-6 {
					t.Fatalf("%d tokens in %v s, want at most %v", sum, seconds, most)
				}
			}
		}
	})
}

// TestRateIsReached asks as often as it can: what is admitted must not be much less than the rate
// either, on a clock that is as coarse as the wheel's.
func TestRateIsReached(t *testing.T) {
	for _, perSecond := range []float64{0.5, 3, 7, 50, 300, 333.3, 1000, 65_536} {
		burst := max(int(perSecond), 1)
		g := newGCRA(perSecond, burst, 1)
		tat, admitted := int64(0), 0
		const seconds = 100
		for ms := int64(0); ms <= seconds*1000; ms += 100 {
			for range burst + 1 {
				next, wait := g.judge(tat, ms*unitsPerMilli, 1)
				if wait > 0 {
					break
				}
				tat = next
				admitted++
			}
		}
		want := perSecond*seconds + float64(burst)
		if got := float64(admitted); got > want || got < want*0.998-1 {
			t.Errorf("rate %v: %v admitted in %d s, want %v", perSecond, got, seconds, want)
		}
	}
}

func TestBurstIsWhole(t *testing.T) {
	for perSecond := 0.7; perSecond < 1e6; perSecond *= 1.7 {
		for _, burst := range []int{1, 2, 17, 1000} {
			g, tat, n := newGCRA(perSecond, burst, 1), int64(0), 0
			for {
				next, wait := g.judge(tat, unitsPerSecond, 1)
				if wait > 0 {
					break
				}
				tat, n = next, n+1
			}
			if n != burst {
				t.Fatalf("rate %v: %d at once, want %d", perSecond, n, burst)
			}
		}
	}
}

func TestNoLimit(t *testing.T) {
	var g gcra
	if next, wait := g.judge(math.MaxInt64, 5, math.MaxInt); next != 0 || wait != 0 {
		t.Errorf("judge without a limit = %d, %d, want 0, 0", next, wait)
	}
	var b bucket
	if wait := b.take(g, 5); wait != 0 {
		t.Errorf("take without a limit = %d, want 0", wait)
	}
}

// TestLargerThanTheBurst: it would never be let in otherwise, yet costs what it costs.
func TestLargerThanTheBurst(t *testing.T) {
	g := newGCRA(1000, 1000, frameBytesMax)
	tat, wait := g.judge(0, 0, 5000)
	if wait != 0 {
		t.Fatalf("5000 of a full bucket of 1000: wait %d, want 0", wait)
	}
	if _, wait = g.judge(tat, 0, 5000); wait != 5*unitsPerSecond {
		t.Errorf("again at once: wait %d units, want 5 s", wait)
	}
	if _, wait = g.judge(tat, 0, 1); wait != 4*unitsPerSecond+unitsPerSecond/1000 {
		t.Errorf("one more: wait %d units, want 4.001 s", wait)
	}
	if _, wait = g.judge(tat, 5*unitsPerSecond-1, 5000); wait != 1 {
		t.Errorf("a moment before it is paid: wait %d, want 1", wait)
	}
	if _, wait := g.judge(0, 0, math.MaxInt); wait != 0 {
		t.Errorf("MaxInt tokens: wait %d, want 0 without overflow", wait)
	}
}

// TestReloadedRate: a bucket that owes a day to a slow rate owes a burst at most to a faster one.
func TestReloadedRate(t *testing.T) {
	slow, fast := newGCRA(0.001, 80, 1), newGCRA(10, 20, 1)
	tat := int64(0)
	for range 80 {
		tat, _ = slow.judge(tat, 0, 1)
	}
	tat, wait := fast.judge(tat, 0, 1)
	if wait != unitsPerSecond/10 {
		t.Errorf("wait after the reload = %d units, want a tenth of a second", wait)
	}
	if _, wait = fast.judge(tat, unitsPerSecond/10, 1); wait != 0 {
		t.Errorf("a tenth of a second later: wait %d, want 0", wait)
	}
	b := bucket{}
	b.tat.Store(1000 * unitsPerSecond)
	if b.take(fast, 0) == 0 || b.take(fast, unitsPerSecond/10) != 0 {
		t.Error("take does not keep what was clipped")
	}
}

// TestTakeTogether has many take at the same moment: never one more than the burst.
func TestTakeTogether(t *testing.T) {
	g := newGCRA(100, 500, 1)
	var b bucket
	var wg sync.WaitGroup
	granted := make([]int, 8)
	for i := range granted {
		wg.Go(func() {
			for range 200 {
				if b.take(g, 7) == 0 {
					granted[i]++
				}
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range granted {
		sum += n
	}
	if sum != 500 {
		t.Errorf("%d granted at one moment, want the burst of 500", sum)
	}
	b.give(g)
	if b.take(g, 7) != 0 || b.take(g, 7) == 0 {
		t.Error("after one was given back, want exactly one more")
	}
}

func TestQueue(t *testing.T) {
	g := newGCRA(1000, 1000, 1)
	var b bucket
	for i := int64(1); i <= 3000; i++ {
		if got, want := b.queue(g, 0, 2*unitsPerSecond), min(i, 2000)*unitsPerMilli; got != want {
			t.Fatalf("place %d: wait %d units, want %d", i, got, want)
		}
	}
	if got := b.queue(g, 10*unitsPerSecond, 2*unitsPerSecond); got != unitsPerMilli {
		t.Errorf("wait after the line has gone = %d, want 1 ms", got)
	}
}
