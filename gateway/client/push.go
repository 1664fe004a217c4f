package client

import (
	"context"
	"iter"
	"sync"
)

// Push is what the backend sent without being asked.
type Push struct {
	// Seq numbers the reliable pushes of one session, by 1 from 1. A
	// transient push has 0: it may be lost and is not acknowledged.
	Seq uint64
	// Command is what the backend called it, such as "msg.new".
	Command string
	// Payload belongs to the receiver.
	Payload []byte
}

// Discard is an OnPush for a client that wants no pushes: it acknowledges and
// forgets them.
func Discard(context.Context, Push) {}

// hardBoundFactor times Config.PushBuffer is how many pushes are kept while
// requests wait for replies. Replies come behind pushes on the same connection,
// so a handler that makes a request of its own would wait for itself if reading
// stopped at the plain bound. 16 times the default is 4,096 pushes, more than a
// gateway keeps unacknowledged, so the gateway's bound is met first.
const hardBoundFactor = 16

// arrival is a push and the session that it belongs to, where its
// acknowledgement goes.
type arrival struct {
	push Push
	from *session
}

// pushQueue is the bounded buffer between the connections' readers and the one
// consumer. When it is full, put waits: that is the back-pressure.
type pushQueue struct {
	bound int

	mu       sync.Mutex
	items    []arrival
	waiting  int           // requests that wait for a reply
	finished bool          // nothing more is put
	arrived  chan struct{} // cap 1: a token when items or finished changed
	room     chan struct{} // cap 1: a token when a put that waits may go on
}

func newPushQueue(bound int) *pushQueue {
	return &pushQueue{bound: bound, arrived: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // one token says it all
	}
}

func (q *pushQueue) fullLocked() bool {
	if q.waiting > 0 {
		return len(q.items) >= q.bound*hardBoundFactor
	}
	return len(q.items) >= q.bound
}

// put appends a. It waits while the queue is full, until quit is closed; then a
// is dropped and put returns false.
func (q *pushQueue) put(a arrival, quit <-chan struct{}) bool {
	for {
		q.mu.Lock()
		if !q.fullLocked() {
			q.items = append(q.items, a)
			more := !q.fullLocked()
			q.mu.Unlock()
			signal(q.arrived)
			if more {
				signal(q.room) // an old and a new connection may both be waiting
			}
			return true
		}
		q.mu.Unlock()
		select {
		case <-q.room:
		case <-quit:
			return false
		}
	}
}

// take removes the oldest. It waits for one until ctx is done, or the queue is
// empty and finished; then ok is false.
func (q *pushQueue) take(ctx context.Context) (a arrival, ok bool) {
	for ctx.Err() == nil {
		q.mu.Lock()
		if len(q.items) > 0 {
			a = q.items[0]
			q.items[0] = arrival{} // the array behind must not keep the payload
			q.items = q.items[1:]
			q.mu.Unlock()
			signal(q.room)
			return a, true
		}
		finished := q.finished
		q.mu.Unlock()
		if finished {
			signal(q.arrived) // for whoever takes next
			return arrival{}, false
		}
		select {
		case <-q.arrived:
		case <-ctx.Done():
		}
	}
	return arrival{}, false
}

// expect counts a request that begins (1) or stops (-1) to wait for its reply.
func (q *pushQueue) expect(n int) {
	q.mu.Lock()
	q.waiting += n
	q.mu.Unlock()
	signal(q.room)
}

// finish says that no more is put; take still gives what is there.
func (q *pushQueue) finish() {
	q.mu.Lock()
	q.finished = true
	q.mu.Unlock()
	signal(q.arrived)
}

// handle calls OnPush for each push until the queue ends. It is the body of a
// goroutine that the Client owns.
func (c *Client) handle(ctx context.Context) {
	for {
		a, ok := c.pushes.take(ctx)
		if !ok {
			return
		}
		c.cfg.OnPush(ctx, a.push)
		a.from.handled(a.push.Seq)
	}
}

// Pushes returns the pushes one after the other, for a client without OnPush:
//
//	for push := range c.Pushes(ctx) { ... }
//
// A push is acknowledged when the loop's body has ended, also by break. The loop
// ends when ctx is done, after Close, or, once everything that had arrived was
// given out, when the client has stopped (Err says why). A later loop goes on
// where the last one ended. Only one loop may run at a time.
//
// Pushes panics when Config.OnPush is set, since the two would share the pushes
// and no order would hold.
func (c *Client) Pushes(ctx context.Context) iter.Seq[Push] {
	if c.cfg.OnPush != nil {
		panic("client: Pushes on a client with Config.OnPush")
	}
	return func(yield func(Push) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(c.ctx, cancel)()
		for {
			a, ok := c.pushes.take(ctx)
			if !ok {
				return
			}
			more := yield(a.push)
			a.from.handled(a.push.Seq)
			if !more {
				return
			}
		}
	}
}
