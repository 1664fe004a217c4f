package dispatcher

import (
	"sync"
	"time"
)

// meter counts what became of an instance's packets lately: over the last window,
// and up to half a one more. It is told once for a call, not for each packet.
type meter struct {
	window int64 // nanoseconds

	mu       sync.Mutex // guards the following
	half     [2]tally   // the one that is filled, and the one before
	from     int64      // when half[0] began
	callTime float64    // nanoseconds; moving average over some sixteen calls
}

type tally struct{ ok, failed int64 }

func (m *meter) init(window time.Duration, now int64) {
	m.window = int64(orDefault(window, 10*time.Second))
	m.from = now
}

// add counts packets.
func (m *meter) add(now, ok, failed int64) {
	m.mu.Lock()
	m.rollLocked(now)
	m.half[0].ok += ok
	m.half[0].failed += failed
	m.mu.Unlock()
}

// took counts a call that was answered.
func (m *meter) took(call time.Duration) {
	m.mu.Lock()
	m.callTime += (float64(call) - m.callTime) / 16
	m.mu.Unlock()
}

func (m *meter) rollLocked(now int64) {
	switch past := now - m.from; {
	case past >= m.window:
		m.half, m.from = [2]tally{}, now
	case past >= m.window/2:
		m.half[1], m.half[0] = m.half[0], tally{}
		m.from += m.window / 2
	}
}

// total returns what was counted, over how long.
func (m *meter) total(now int64) (t tally, span time.Duration, call time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rollLocked(now)
	t = tally{m.half[0].ok + m.half[1].ok, m.half[0].failed + m.half[1].failed}
	return t, time.Duration(now - m.from + m.window/2), time.Duration(m.callTime)
}

// clear forgets everything: another process is there.
func (m *meter) clear(now int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.half, m.from, m.callTime = [2]tally{}, now, 0
}
