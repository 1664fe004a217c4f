package load

import "time"

// beat is the step of an open loop: what is due within one is due together at
// its beginning. With every request on its own the loader would wake up twice
// for each and cost more than the server that it measures (30 us a request
// against 20 at 10,000 a second), and real clients do not take turns either.
const beat = time.Millisecond

// schedule is the plan of an open loop: request k is due at the beginning of
// the beat in which start + k/rate lies, and belongs to connection k % conns.
// It is arithmetic, so a connection that cannot send yet needs no queue, only
// a count of what became due.
type schedule struct {
	start int64   // nanoseconds on the loop's clock
	every float64 // nanoseconds between two requests
	conns int64
}

// newSchedule returns the plan for rate requests a second in all.
func newSchedule(start int64, rate float64, conns int) schedule {
	return schedule{start: start, every: 1e9 / rate, conns: int64(conns)}
}

// due returns when request k is due.
func (s schedule) due(k int64) int64 {
	at := int64(float64(k) * s.every)
	return s.start + at - at%int64(beat)
}

// dueOf returns when the n-th request (from 0) of connection c is due.
func (s schedule) dueOf(c int, n int64) int64 { return s.due(int64(c) + n*s.conns) }

// conn returns the connection that sends request k.
func (s schedule) conn(k int64) int { return int(k % s.conns) }
