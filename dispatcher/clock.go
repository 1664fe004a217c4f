package dispatcher

import (
	"sync"
	"sync/atomic"
	"time"
)

// clockSamples is how many heartbeats the offset is chosen from: half a minute of
// them, in which a quartz that is off by 100 ppm drifts 2.4 ms.
const clockSamples = 8

// peerClock learns how an instance's wall clock differs from the dispatcher's
// clock. Reading it takes no lock.
type peerClock struct {
	best atomic.Pointer[clockSample]

	mu      sync.Mutex
	samples [clockSamples]clockSample // a ring
	n       int
}

// clockSample says that the instance's Unix time in nanoseconds is the
// dispatcher's clock plus offset, give or take error.
type clockSample struct{ offset, error int64 }

// learn takes a heartbeat that was sent and answered at the given times of the
// dispatcher's clock. The instance read its clock somewhere between; the sample
// with the shortest round trip tells most.
func (c *peerClock) learn(sent, answered, unixMS int64) {
	s := clockSample{
		offset: unixMS*int64(time.Millisecond) + int64(time.Millisecond)/2 - (sent+answered)/2,
		error:  (answered-sent)/2 + int64(time.Millisecond)/2, // the answer has whole milliseconds
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.samples[c.n%clockSamples] = s
	c.n++
	best := s
	for _, other := range c.samples[:min(c.n, clockSamples)] {
		if other.error < best.error {
			best = other
		}
	}
	c.best.Store(&best)
}

// renew makes the next sample replace all that were learnt so far: another process
// speaks, perhaps from another machine. Until it comes the old ones serve: packets
// without a bound could be begun at any time, and it is most likely the same
// machine.
func (c *peerClock) renew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n = 0
}

// startByMS converts t of the dispatcher's clock to the instance's, in milliseconds.
// An instance may begin while its clock shows that millisecond, so it is the last
// one that is over at t for certain. It is 0, no bound, while the instance's clock
// is not known.
func (c *peerClock) startByMS(t int64) int64 {
	best := c.best.Load()
	if best == nil {
		return 0
	}
	return (t+best.offset-best.error)/int64(time.Millisecond) - 1
}
