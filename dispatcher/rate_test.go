package dispatcher

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestLimiter: over any time no more passes than rate times time plus burst, and
// a little in hand; and no less when more is asked for.
func TestLimiter(t *testing.T) {
	for _, tt := range []struct {
		perSecond float64
		burst     int
	}{{1, 1}, {10, 5}, {100, 100}, {1000, 64}, {50_000, 0}} {
		l := newLimiter(tt.perSecond, tt.burst)
		burst := float64(tt.burst)
		if tt.burst == 0 {
			burst = tt.perSecond
		}
		now, passed := time.Unix(1_000_000, 0), 0.0
		const seconds, asks = 10, 20_000
		for range seconds * asks {
			now = now.Add(time.Second / asks)
			if l.allow(now) {
				passed++
			}
		}
		want := min(tt.perSecond*seconds+burst, seconds*asks)
		if passed > want+burst/chunkShare+1 || passed < want*0.99-1 {
			t.Errorf("rate %v, burst %v: %v of %d passed in %d s, want %v", tt.perSecond, burst, passed, seconds*asks, seconds, want)
		}
	}
	if newLimiter(0, 10) != nil {
		t.Error("a rate of 0 makes a limiter, want none")
	}
}

// TestLimiterTogether: goroutines that ask at once get the burst between them.
func TestLimiterTogether(t *testing.T) {
	l, now := newLimiter(1, 1000), time.Unix(1_000_000, 0)
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if l.allow(now) {
					passed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := passed.Load(); n != 1000 {
		t.Errorf("%d passed of a burst of 1000", n)
	}
}

func BenchmarkLimiter(b *testing.B) {
	l, now := newLimiter(1e12, 1<<30), time.Unix(1_000_000, 0)
	b.ReportAllocs()
	for b.Loop() {
		l.allow(now)
	}
}
