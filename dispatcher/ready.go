package dispatcher

import "sync"

// readyQueue holds the lanes that have something to send to one instance, and
// wakes the instance's workers. A lane is in at most one queue, at most once, so
// the queue is a linked list through the lanes: it has no bound of its own and
// needs no memory.
type readyQueue struct {
	room func() int // how many packets the instance takes now

	mu         sync.Mutex // guards the following
	head, tail *sessionLane
	sleeping   int           // workers that wait for a token
	woken      bool          // a token was given and its worker has not looked yet
	wake       chan struct{} // tokens; never more than there are workers
	stopped    bool
}

func (q *readyQueue) init(workers int, room func() int) {
	q.room = room
	q.wake = make(chan struct{}, workers)
}

// push appends a lane whose queued flag the caller has set. Nobody waits for
// anything: a sleeping worker is woken at once. While one is on its way, further
// lanes wake no second one: the first takes them all. It reports false once the
// queue is stopped.
func (q *readyQueue) push(sl *sessionLane) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped {
		return false
	}
	if q.tail == nil {
		q.head = sl
	} else {
		q.tail.nextReady = sl
	}
	q.tail = sl
	q.wakeLocked()
	return true
}

// putBack puts a chain of lanes, which take returned, in front.
func (q *readyQueue) putBack(first *sessionLane) {
	last := first
	for last.nextReady != nil {
		last = last.nextReady
	}
	q.mu.Lock()
	last.nextReady = q.head
	if q.head == nil {
		q.tail = last
	}
	q.head = first
	q.wakeLocked()
	q.mu.Unlock()
}

// take removes up to n lanes and returns them as a chain.
func (q *readyQueue) take(n int) *sessionLane {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.woken = false
	if q.head == nil {
		return nil
	}
	first, last := q.head, q.head
	for ; n > 1 && last.nextReady != nil; n-- {
		last = last.nextReady
	}
	q.head, last.nextReady = last.nextReady, nil
	if q.head == nil {
		q.tail = nil
	}
	return first
}

// takeAll removes all lanes and returns them as a chain.
func (q *readyQueue) takeAll() *sessionLane {
	q.mu.Lock()
	defer q.mu.Unlock()
	first := q.head
	q.head, q.tail = nil, nil
	return first
}

// wait blocks until there is a lane and room for its packets. It reports false
// once the queue is stopped. Only workers call it, each on its own.
func (q *readyQueue) wait() bool {
	q.mu.Lock()
	for {
		if q.stopped {
			q.mu.Unlock()
			return false
		}
		if q.head != nil && q.room() > 0 {
			q.mu.Unlock()
			return true
		}
		q.sleeping++
		q.woken = false // whoever was on its way has arrived
		q.mu.Unlock()
		<-q.wake
		q.mu.Lock()
	}
}

// rest tells the queue that a worker has filled its batch: what is left is another
// worker's.
func (q *readyQueue) rest() {
	q.mu.Lock()
	q.wakeLocked()
	q.mu.Unlock()
}

// stop wakes all workers for the last time. What is queued stays there to be taken.
func (q *readyQueue) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped {
		return
	}
	q.stopped = true
	for ; q.sleeping > 0; q.sleeping-- {
		q.wake <- struct{}{}
	}
}

func (q *readyQueue) wakeLocked() {
	if q.head != nil && q.sleeping > 0 && !q.woken {
		q.sleeping--
		q.woken = true
		q.wake <- struct{}{} // has room: one place for each worker
	}
}
