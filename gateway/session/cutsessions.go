package session

import (
	"context"
	"sync"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// awayGrace is how long a client of long poll or SSE may have no call open
// before the backend hears of it. A poll's gap is a round trip; a phone's worst
// one rarely takes longer than this.
const awayGrace = 2 * time.Second

// sweepEvery is how often Run looks. Nobody waits for the end of a session to
// the millisecond.
const sweepEvery = 250 * time.Millisecond

// CutSessions holds the sessions that count as cut, the oldest first. There is
// one for a gateway. It costs a session no timer and no allocation. Its methods
// may be called from any goroutine; none but Run blocks.
//
// A session comes in and goes out with its turn held, so who holds a session's
// turn knows whether it is here.
type CutSessions struct {
	now     func() int64
	metrics *Metrics

	mu         sync.Mutex // guards the following, and Session.cut
	head, tail *Session
	untold     *Session // the first that has not been here for awayGrace
	n, max     int
	ttl        int64 // ms
	soonest    int64 // no credential here runs out before, Unix ms; 0: none ever
}

// cutNode is a session's place among the cut ones.
type cutNode struct {
	next, prev *Session
	since      int64 // wheel time; 0: not there
	expires    int64 // when the credential runs out, Unix ms; 0: never
}

// NewCutSessions returns an empty list that holds at most max sessions, each
// for ttl. now is the wheel's clock in milliseconds, never 0.
func NewCutSessions(ttl time.Duration, max int, now func() int64, m *Metrics) *CutSessions {
	return &CutSessions{ttl: ttl.Milliseconds(), max: max, now: now, metrics: m}
}

// Len is how many sessions are cut.
func (c *CutSessions) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// SetTTL changes how long sessions are kept, those that are here included. The
// next sweep sees it.
func (c *CutSessions) SetTTL(ttl time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ttl = ttl.Milliseconds()
}

// SetMax changes how many are kept, and ends the oldest that are too many.
func (c *CutSessions) SetMax(max int) {
	c.mu.Lock()
	c.max = max
	c.mu.Unlock()
	c.trim()
}

// Run sweeps until ctx is done.
func (c *CutSessions) Run(ctx context.Context) error {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			c.Sweep(c.now())
		}
	}
}

// Sweep ends the sessions that have been here too long or whose credential has
// run out, and tells backends of the absences that have lasted. now is the
// wheel's clock.
func (c *CutSessions) Sweep(now int64) {
	for s := c.nextUntold(now); s != nil; s = c.nextUntold(now) {
		s.tell()
	}
	for s := c.nextDue(now); s != nil; s = c.nextDue(now) {
		s.endIf(whyTTL, wire.CloseSessionExpired, "nobody resumed the session in time", func() bool { return c.isDue(s, now) })
	}
	for _, s := range c.expiring(time.Now().UnixMilli()) {
		s.endIf(whyExpired, wire.CloseTokenExpired, "the token has run out", s.expired)
	}
}

// trim ends the oldest sessions while there are too many. No session's turn may
// be held.
func (c *CutSessions) trim() {
	for s := c.excess(); s != nil; s = c.excess() {
		s.endIf(whyCutMax, wire.CloseSessionExpired, "too many sessions wait to be resumed", func() bool { return c.has(s) })
	}
}

// endIf ends a cut session if it still meets the condition, which is asked with
// the session's turn held.
func (s *Session) endIf(why string, code wire.CloseCode, reason string, still func() bool) {
	s.turn.Lock()
	var at *Attachment
	if still() {
		at, _ = s.endInTurn(why)
	}
	s.turn.Unlock()
	if at != nil { // it was away only
		at.conn.CloseWith(code, reason)
	}
}

// expired reports whether the credential has run out.
func (s *Session) expired() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.expiredLocked()
}

func (s *Session) expiredLocked() bool {
	at := s.state.ExpiresAt
	return !at.IsZero() && time.Until(at) <= 0
}

// add puts s at the end, unless it is here already. s.turn is held.
func (c *CutSessions) add(s *Session, expires time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.cut.since != 0 {
		return
	}
	s.cut = cutNode{prev: c.tail, since: c.now()}
	if c.tail != nil {
		c.tail.cut.next = s
	} else {
		c.head = s
	}
	c.tail = s
	if c.untold == nil {
		c.untold = s
	}
	c.n++
	c.metrics.cut.Inc()
	c.renewLocked(s, expires)
}

// remove takes s out if it is here. s.turn is held.
func (c *CutSessions) remove(s *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	node := s.cut
	if node.since == 0 {
		return
	}
	if node.prev != nil {
		node.prev.cut.next = node.next
	} else {
		c.head = node.next
	}
	if node.next != nil {
		node.next.cut.prev = node.prev
	} else {
		c.tail = node.prev
	}
	if c.untold == s {
		c.untold = node.next
	}
	s.cut = cutNode{}
	c.n--
	c.metrics.cut.Dec()
}

// renew takes note of a new credential of s, if it is here.
func (c *CutSessions) renew(s *Session, expires time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.cut.since != 0 {
		c.renewLocked(s, expires)
	}
}

func (c *CutSessions) renewLocked(s *Session, expires time.Time) {
	s.cut.expires = 0
	if !expires.IsZero() {
		s.cut.expires = max(expires.UnixMilli()+1, 1) // rounded up: then it has run out for sure
		c.noteLocked(s.cut.expires)
	}
}

func (c *CutSessions) noteLocked(expires int64) {
	if c.soonest == 0 || expires < c.soonest {
		c.soonest = expires
	}
}

func (c *CutSessions) has(s *Session) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return s.cut.since != 0
}

func (c *CutSessions) isDue(s *Session, now int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.isDueLocked(s, now)
}

func (c *CutSessions) isDueLocked(s *Session, now int64) bool {
	return s.cut.since != 0 && now >= s.cut.since+c.ttl
}

// nextDue is the oldest session if its time is over.
func (c *CutSessions) nextDue(now int64) *Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.head != nil && c.isDueLocked(c.head, now) {
		return c.head
	}
	return nil
}

// excess is the oldest session if there are too many.
func (c *CutSessions) excess() *Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n > c.max {
		return c.head
	}
	return nil
}

// nextUntold goes on to the next session that has been here for awayGrace.
func (c *CutSessions) nextUntold(now int64) *Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.untold
	if s == nil || now < s.cut.since+awayGrace.Milliseconds() {
		return nil
	}
	c.untold = s.cut.next
	return s
}

// expiring lists the sessions whose credential has run out. It walks through
// all only when one can have: of 100,000 sessions that takes about a millisecond.
func (c *CutSessions) expiring(now int64) (due []*Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.soonest == 0 || now < c.soonest {
		return nil
	}
	c.soonest = 0
	for s := c.head; s != nil; s = s.cut.next {
		switch at := s.cut.expires; {
		case at == 0:
		case at <= now:
			due = append(due, s)
		default:
			c.noteLocked(at)
		}
	}
	return due
}
