package kit

import "sync"

// outbox sends what is put into it in batches and in order, with one batch under
// way at a time: while a call is in flight the next batch gathers, so a quiet
// gateway gets its push at once and a busy one gets full batches.
type outbox[T any] struct {
	// static
	limits GatewaysConfig
	spawn  func(func()) bool          // runs a function on a goroutine with an owner; false: no more
	size   func(T) int                // payload bytes of an item
	send   func(batch []T)            // sends a batch and tells who waits for it; blocks, within a deadline
	drop   func(items []T, why error) // tells who waits that nothing was sent

	mu     sync.Mutex // guards the following
	queue  []T
	bytes  int
	flying bool  // a goroutine sends
	closed error // set: nothing is taken any more, for this reason
}

// put queues items, all or none. It never blocks. It returns ErrQueueFull, or the
// reason why the outbox is closed.
func (o *outbox[T]) put(items ...T) error {
	bytes := 0
	for _, it := range items {
		bytes += o.size(it)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	// A list that is larger than the bound may pass when nothing waits.
	if n := len(o.queue); n > 0 && (n+len(items) > o.limits.Queue || o.bytes+bytes > o.limits.QueueBytes) {
		return ErrQueueFull
	}
	if o.closed != nil {
		return o.closed
	}
	if !o.flying {
		if !o.spawn(o.fly) {
			return ErrNotRunning
		}
		o.flying = true
	}
	o.queue = append(o.queue, items...)
	o.bytes += bytes
	return nil
}

// fly sends batches until nothing waits.
func (o *outbox[T]) fly() {
	for batch := o.take(); batch != nil; batch = o.take() {
		o.send(batch)
	}
}

// take returns the next batch, nil when nothing waits: then flying has ended.
func (o *outbox[T]) take() []T {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, bytes := 0, 0
	for n < len(o.queue) && n < o.limits.Batch {
		size := o.size(o.queue[n])
		if n > 0 && bytes+size > o.limits.BatchBytes {
			break
		}
		bytes += size
		n++
	}
	if n == 0 {
		o.flying = false
		return nil
	}
	o.bytes -= bytes
	if n == len(o.queue) { // the batch is all there is: no copy
		batch := o.queue
		o.queue = nil
		return batch
	}
	batch := append([]T(nil), o.queue[:n]...)
	clear(o.queue[:n])
	o.queue = o.queue[n:]
	return batch
}

// close refuses what comes from now on and drops what waits. A batch under way
// is not waited for.
func (o *outbox[T]) close(why error) {
	o.mu.Lock()
	if o.closed == nil {
		o.closed = why
	}
	left := o.queue
	o.queue, o.bytes = nil, 0
	o.mu.Unlock()
	if len(left) > 0 {
		o.drop(left, why)
	}
}

// idle reports whether nothing waits and nothing is under way.
func (o *outbox[T]) idle() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.flying
}

// waiting returns how many items wait.
func (o *outbox[T]) waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.queue)
}
