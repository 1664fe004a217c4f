package secure

import (
	"errors"
	"fmt"
	"net"
	"time"
)

const (
	// patience is how long a client may hold a place while others wait for one:
	// three round trips of a bad mobile network. Without it 128 clients that send
	// a ClientHello and fall silent would keep everybody out for the whole
	// handshake timeout.
	patience = time.Second
	// patienceTick is how often it is looked at afterwards whether others wait.
	patienceTick = 100 * time.Millisecond
)

var (
	// ErrTimeout ends a handshake whose client did not answer in time.
	ErrTimeout = errors.New("secure: the client did not answer within handshake_timeout")
	// ErrYielded ends a handshake of a slow client whose place others wait for.
	ErrYielded = errors.New("secure: the client was slow to answer while others waited")
	// ErrUnserved ends a handshake that found no place in time.
	ErrUnserved = errors.New("secure: too many handshakes at once")
	// ErrStopped ends a handshake when Handshakes.Run is over.
	ErrStopped = errors.New("secure: no more handshakes")
)

// handshake is what a connection needs besides while it shakes hands.
type handshake struct {
	conn     *Conn
	woken    chan struct{} // holds one element when bytes have come, or Close
	deadline time.Time
	began    time.Time // when it got its place
	cause    error     // why wait gave up
	yields   bool      // it gave up its place, guarded by the set's mu

	next, prev *handshake // among those that wait, guarded by the set's mu
	queued     bool
}

func newHandshake(c *Conn) *handshake {
	return &handshake{conn: c, woken: make(chan struct{}, 1), deadline: time.Now().Add(c.set.timeout)}
}

func (h *handshake) wake() {
	select {
	case h.woken <- struct{}{}:
	default: // it is awake already
	}
}

// wait returns when bytes have come or the connection was closed, and fails when
// the client has had its time.
func (h *handshake) wait() error {
	for {
		now := time.Now()
		left, slow := h.deadline.Sub(now), now.Sub(h.began)
		switch {
		case left <= 0:
			h.cause = ErrTimeout
		case slow >= patience && h.conn.set.yield(h):
			h.cause = ErrYielded
		}
		if h.cause != nil {
			return h.cause
		}
		timer := time.NewTimer(min(left, max(patience-slow, patienceTick)))
		select {
		case <-h.woken:
			timer.Stop()
			return nil
		case <-h.conn.set.stopped:
			timer.Stop()
			h.cause = ErrStopped
			return h.cause
		case <-timer.C:
		}
	}
}

// run shakes hands, on a goroutine of the set.
func (h *handshake) run() {
	h.began = time.Now()
	err := h.shake()
	if h.cause != nil {
		err = h.cause
	}
	h.finish(err)
}

// shake is crypto/tls, whose panic would otherwise end every other connection.
func (h *handshake) shake() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("secure: handshake: %v", p)
		}
	}()
	return h.conn.tls.Handshake()
}

// finish tells the connection how it went. It is called once for each handshake.
func (h *handshake) finish(err error) {
	c := h.conn
	c.mu.Lock()
	closed := c.phase == phaseClosed
	if !closed {
		if c.shaking = nil; err != nil {
			c.failLocked(err)
		} else {
			c.phase = phaseEstablished
		}
	}
	c.mu.Unlock()
	if closed {
		err = net.ErrClosed
	}
	c.set.metrics.handshakes[h.outcome(err)].Inc()
	if !closed {
		c.tell()
		c.out.Established(err)
	}
}

func (h *handshake) outcome(err error) outcome {
	switch {
	case err == nil && h.conn.tls.ConnectionState().DidResume:
		return outcomeResumed
	case err == nil:
		return outcomeFull
	case errors.Is(err, ErrTimeout):
		return outcomeTimeout
	case errors.Is(err, ErrYielded):
		return outcomeYielded
	case errors.Is(err, ErrUnserved):
		return outcomeUnserved
	case errors.Is(err, ErrStopped), errors.Is(err, net.ErrClosed):
		return outcomeAborted
	}
	return outcomeFailed
}
