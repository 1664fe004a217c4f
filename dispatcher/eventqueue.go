package dispatcher

import "sync"

// wish tells whether an instance wants events.
type wish uint8

const (
	wishUnknown wish = iota // it has not answered yet: keep them
	wishYes
	wishNo
)

// eventQueue holds the events for one instance, in order and bounded.
type eventQueue struct {
	limit int
	kick  chan struct{} // something to do

	mu       sync.Mutex // guards the following
	wish     wish
	waiting  []event
	overflow bool // some were dropped: the instance must hear of all sessions again
	resync   bool // it asked to
}

func (q *eventQueue) init(limit int) {
	q.limit = limit
	q.kick = make(chan struct{}, 1)
}

// push queues e unless the instance wants none. It reports false when the queue
// is full. An ENDED that is lost that way is not told again: the session is gone
// from here too, so its record at the backend lives until a push to it fails.
func (q *eventQueue) push(e event) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.wish == wishNo {
		return true
	}
	if len(q.waiting) >= q.limit {
		q.overflow = true
		return false
	}
	q.waiting = append(q.waiting, e)
	q.kickLocked()
	return true
}

// want takes in what a heartbeat said.
func (q *eventQueue) want(events, resync bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !events {
		q.wish, q.waiting, q.overflow, q.resync = wishNo, nil, false, false
		return
	}
	q.wish = wishYes
	q.resync = q.resync || resync
	q.kickLocked()
}

func (q *eventQueue) kickLocked() {
	if q.wish != wishYes {
		return
	}
	select {
	case q.kick <- struct{}{}:
	default:
	}
}

// first copies up to n events without removing them.
func (q *eventQueue) first(n int, dst []event) []event {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.wish != wishYes {
		return dst
	}
	return append(dst, q.waiting[:min(n, len(q.waiting))]...)
}

// remove takes away the first n events, which have been told.
func (q *eventQueue) remove(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n = min(n, len(q.waiting)); n == 0 { // want has emptied it
		return
	}
	clear(q.waiting[:n])
	if q.waiting = q.waiting[n:]; len(q.waiting) == 0 {
		q.waiting = nil // give the memory back
	}
}

// takeResync tells whether all sessions have to be announced, once.
func (q *eventQueue) takeResync() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	due := q.wish == wishYes && (q.resync || q.overflow)
	if due {
		q.resync, q.overflow = false, false
	}
	return due
}

func (q *eventQueue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) == 0
}
