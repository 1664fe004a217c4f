package secure

import (
	"context"
	"sync"
	"time"
)

// Handshakes bounds the goroutines that shake hands. Connections whose
// ClientHello has come get a place in that order; those that get none within
// the timeout end with ErrUnserved. A connection waits at most once, so what
// bounds connections bounds the queue.
type Handshakes struct {
	// static
	max     int
	timeout time.Duration
	metrics *Metrics
	stopped chan struct{} // closed when Run is over
	queuing chan struct{} // holds one element when the queue was empty and is not

	wg sync.WaitGroup // of the goroutines that shake hands

	mu          sync.Mutex // guards the following; a leaf
	serving     bool       // Run is under way
	over        bool       // Run has ended
	running     int        // goroutines, max at most
	yielding    int        // of those, how many are giving up their place
	first, last *handshake
	waiting     int
}

// NewHandshakes returns a set that lets max handshakes run at once, for timeout
// each, the wait for a place included. They begin when Run is called.
func NewHandshakes(max int, timeout time.Duration, m *Metrics) *Handshakes {
	return &Handshakes{
		max: max, timeout: timeout, metrics: m,
		stopped: make(chan struct{}), queuing: make(chan struct{}, 1),
	}
}

// Run lets handshakes run until ctx is done, then ends those that are under way
// and waits for their goroutines. It may be called once.
func (s *Handshakes) Run(ctx context.Context) error {
	s.serve()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-s.queuing:
		case <-timer.C:
		}
		if next := s.expire(time.Now()); !next.IsZero() {
			timer.Reset(time.Until(next))
		}
	}
	for _, h := range s.end() {
		h.finish(ErrStopped)
	}
	s.wg.Wait()
	return nil
}

// serve begins with those that came before Run.
func (s *Handshakes) serve() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serving = true
	for s.running < s.max && s.first != nil {
		s.startLocked(s.popLocked())
	}
}

// end lets nobody in any more, and returns those that waited.
func (s *Handshakes) end() (left []*handshake) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	close(s.stopped)
	for s.first != nil {
		left = append(left, s.popLocked())
	}
	return left
}

// expire ends those that have waited too long and returns when the next will
// have; zero when nobody waits. All have the same timeout, so the first in the
// queue is the first to expire.
func (s *Handshakes) expire(now time.Time) time.Time {
	for {
		s.mu.Lock()
		h := s.first
		if h == nil {
			s.mu.Unlock()
			return time.Time{}
		}
		if h.deadline.After(now) {
			s.mu.Unlock()
			return h.deadline
		}
		s.popLocked()
		s.mu.Unlock()
		h.finish(ErrUnserved)
	}
}

// begin starts h or lets it wait.
func (s *Handshakes) begin(h *handshake) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
		return ErrStopped
	case s.serving && s.running < s.max:
		s.startLocked(h)
	default:
		s.pushLocked(h)
	}
	return nil
}

// startLocked runs h, and then whoever waits, on a goroutine that Run waits for.
func (s *Handshakes) startLocked(h *handshake) {
	s.running++
	s.metrics.running.Inc()
	s.wg.Go(func() {
		for h := h; h != nil; h = s.next(h) {
			h.run()
		}
	})
}

// next is who takes the place of done, which is over; nil gives the place back.
func (s *Handshakes) next(done *handshake) *handshake {
	s.mu.Lock()
	defer s.mu.Unlock()
	if done.yields {
		s.yielding--
	}
	if s.first == nil {
		s.running--
		s.metrics.running.Dec()
		return nil
	}
	return s.popLocked()
}

// yield reports whether h is to give up its place: one place for each that waits.
func (s *Handshakes) yield(h *handshake) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting <= s.yielding {
		return false
	}
	s.yielding++
	h.yields = true
	return true
}

// abandon lets go of h, whose connection was closed.
func (s *Handshakes) abandon(h *handshake) {
	s.mu.Lock()
	queued := h.queued
	if queued {
		s.removeLocked(h)
	}
	s.mu.Unlock()
	if queued {
		h.finish(ErrStopped)
		return
	}
	h.wake()
}

func (s *Handshakes) pushLocked(h *handshake) {
	if s.first == nil {
		s.first = h
		select {
		case s.queuing <- struct{}{}:
		default: // Run is about to look anyway
		}
	} else {
		s.last.next, h.prev = h, s.last
	}
	s.last, h.queued = h, true
	s.waiting++
	s.metrics.waiting.Inc()
}

func (s *Handshakes) popLocked() *handshake {
	h := s.first
	s.removeLocked(h)
	return h
}

func (s *Handshakes) removeLocked(h *handshake) {
	if h.prev != nil {
		h.prev.next = h.next
	} else {
		s.first = h.next
	}
	if h.next != nil {
		h.next.prev = h.prev
	} else {
		s.last = h.prev
	}
	h.next, h.prev, h.queued = nil, nil, false
	s.waiting--
	s.metrics.waiting.Dec()
}
