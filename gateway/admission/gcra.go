package admission

import (
	"math"
	"sync/atomic"
)

// Time in buckets is counted in sixteenths of a nanosecond. That keeps rates of
// bytes within 0.1 % up to 16 MB/s and within 1 % up to 160 MB/s, without any
// fraction that could drift, and an int64 lasts for 18 years of uptime.
const (
	unitsPerSecond int64 = 16_000_000_000
	unitsPerMilli        = unitsPerSecond / 1000
	// tolerance may not be more than this, so that no product overflows.
	toleranceSecondsMax = 24 * 60 * 60
)

// gcra is one limit: the Generic Cell Rate Algorithm in its virtual scheduling
// form. The zero gcra admits everything. It is immutable; the state it judges
// is a single time, when the bucket would be full again ("theoretical arrival
// time"), of which any time in the past, 0 too, means a full bucket.
type gcra struct {
	interval  int64 // units per token, rounded up: never more than the rate
	tolerance int64 // units in a burst
	largest   int64 // the most tokens that are charged at once
}

// newGCRA returns a limit of perSecond tokens with bursts of burst, both
// positive. largest is how many tokens may be asked for at once; where it is
// more than burst, such a request is let in by a full bucket and paid for after.
func newGCRA(perSecond float64, burst, largest int) gcra {
	interval := max(int64(math.Ceil(float64(unitsPerSecond)/perSecond)), 1)
	// A tolerance of a day is more than any configuration has (Validate), and
	// bounds what a single large request may owe, too.
	most := toleranceSecondsMax * unitsPerSecond / interval
	tokens := min(int64(burst), most)
	return gcra{interval: interval, tolerance: tokens * interval, largest: max(tokens, min(int64(largest), most))}
}

// enabled tells whether there is a limit at all.
func (g gcra) enabled() bool { return g.interval != 0 }

// clip brings a state that another limit has left behind into what this one can
// reach, so that a reload to a faster rate does not keep anybody waiting.
func (g gcra) clip(tat, now int64) int64 {
	return min(max(tat, now), now+max(g.tolerance, g.largest*g.interval))
}

// judge asks for n tokens at the time now. With wait 0 they are granted, else
// wait is how long until they would be. next is to be kept in either case: a
// refusal charges nothing, but a state that another limit has left behind is
// clipped for good only then.
func (g gcra) judge(tat, now int64, n int) (next, wait int64) {
	if g.interval == 0 {
		return 0, 0
	}
	tat = g.clip(tat, now)
	next = tat + min(int64(n), g.largest)*g.interval
	over := next - g.tolerance - now
	if over > 0 && tat > now {
		return tat, min(over, tat-now) // a full bucket admits whatever comes
	}
	return next, 0
}

// bucket is the state of a limit that is shared without a lock.
type bucket struct{ tat atomic.Int64 }

// take asks for one token and returns how long until there would be one.
func (b *bucket) take(g gcra, now int64) (wait int64) {
	if !g.enabled() {
		return 0
	}
	for {
		tat := b.tat.Load()
		next, wait := g.judge(tat, now, 1)
		if next == tat || b.tat.CompareAndSwap(tat, next) {
			return wait
		}
	}
}

// give returns a token that was taken.
func (b *bucket) give(g gcra) { b.tat.Add(-g.interval) }

// queue is how long one who was refused should wait so that all who were
// refused come back at the rate, one after the other: a place in a line that
// exists only as a time. Who would have to wait for longer than most gets most,
// and takes no place.
func (b *bucket) queue(g gcra, now, most int64) (wait int64) {
	for {
		tat := b.tat.Load()
		next := max(tat, now) + g.interval
		if next-now > most {
			return most
		}
		if b.tat.CompareAndSwap(tat, next) {
			return next - now
		}
	}
}
