package engine

import (
	"context"
	"sync"
)

const (
	// runnersMax bounds the batches that have a runner at a time, helpers of
	// stuck ones included. It is apart from MaxRunning, so that fast commands go
	// on when slow ones have taken every place, and it is how many Forward calls
	// are served well at a time. Packets of further batches run like slow ones.
	runnersMax = 64
	// idleMax is how many idle workers wait for work; others end.
	idleMax = 256
)

// pool runs jobs on workers: goroutines that are started when needed and kept,
// because a fresh goroutine has its stack to grow.
type pool struct {
	engine *Engine // static
	max    int     // static: lanes drained at a time

	mu      sync.Mutex // guards the following
	idle    []*worker  // the last to become idle is the first to work: its stack is warm
	waiting []*lane    // for a place, from first on; bounded by MaxWaiting
	first   int
	lanes   int // places taken by lanes
	runners int // places taken by batches
	alive   int // workers
	closed  bool
	once    sync.Once
	ended   chan struct{} // closed when the last worker ended after close
}

// worker is one goroutine of the pool.
type worker struct {
	jobs chan job // closed when the pool closes
	lane *lane    // owned by the goroutine: what it drains now
}

func (p *pool) init(e *Engine, limit int) {
	p.engine, p.max = e, limit
	p.ended = make(chan struct{})
}

// submit has a lane drained by a worker, as soon as there is a place. The caller
// has counted the lane's packets as waiting, which bounds the queue.
func (p *pool) submit(l *lane) {
	p.mu.Lock()
	if p.lanes >= p.max {
		if len(p.waiting) == cap(p.waiting) && p.first > 0 { // reuse what was popped before growing
			n := copy(p.waiting, p.waiting[p.first:])
			clear(p.waiting[n:])
			p.waiting, p.first = p.waiting[:n], 0
		}
		p.waiting = append(p.waiting, l)
		p.mu.Unlock()
		return
	}
	p.lanes++
	p.startAndUnlock(job{lane: l})
}

// reserve takes a place for a batch's runner, unless there are too many at work.
func (p *pool) reserve() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runners >= runnersMax {
		return false
	}
	p.runners++
	return true
}

// unreserve gives the place back.
func (p *pool) unreserve() {
	p.mu.Lock()
	p.runners--
	p.mu.Unlock()
}

// startReserved has a batch's lanes drained by a worker in the place reserved.
func (p *pool) startReserved(b *batch) {
	p.mu.Lock()
	p.startAndUnlock(job{batch: b})
}

func (p *pool) startAndUnlock(j job) {
	if n := len(p.idle); n > 0 {
		w := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		w.jobs <- j // never blocks: one place, and an idle worker has no job
		return
	}
	p.alive++
	p.mu.Unlock()
	go p.work(&worker{jobs: make(chan job, 1)}, j)
}

// work is the life of a worker. close waits for it.
func (p *pool) work(w *worker, j job) {
	returned := false
	defer func() {
		if returned {
			p.leave()
			return
		}
		go p.work(&worker{jobs: make(chan job, 1)}, p.engine.abandoned(w, j))
	}()
	for ok := true; ok; j, ok = p.next(w, j) {
		p.engine.do(w, j)
	}
	returned = true
}

// next gives back the place of the job that is done and returns the worker's
// next one. It blocks while there is none, and returns false when the worker is
// not needed any more.
func (p *pool) next(w *worker, done job) (job, bool) {
	p.mu.Lock()
	if done.batch != nil {
		p.runners--
	} else {
		p.lanes--
	}
	if l := p.popLocked(); l != nil {
		p.mu.Unlock()
		return job{lane: l}, true
	}
	if p.closed || len(p.idle) >= idleMax {
		p.mu.Unlock()
		return job{}, false
	}
	p.idle = append(p.idle, w)
	p.mu.Unlock()
	j, ok := <-w.jobs
	return j, ok
}

// popLocked takes a waiting lane and a place for it.
func (p *pool) popLocked() *lane {
	if p.first == len(p.waiting) || p.lanes >= p.max {
		return nil
	}
	l := p.waiting[p.first]
	p.waiting[p.first] = nil
	if p.first++; p.first == len(p.waiting) {
		p.waiting, p.first = p.waiting[:0], 0
	}
	p.lanes++
	return l
}

func (p *pool) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.alive--; p.alive == 0 && p.closed {
		p.once.Do(func() { close(p.ended) })
	}
}

// busy returns how many workers drain lanes and how many drain batches.
func (p *pool) busy() (lanes, runners int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lanes, p.runners
}

// close ends the idle workers and waits for the busy ones until ctx is done. It
// reports how many are left.
func (p *pool) close(ctx context.Context) int {
	p.mu.Lock()
	p.closed = true
	for _, w := range p.idle {
		close(w.jobs)
	}
	p.idle = nil
	none := p.alive == 0
	p.mu.Unlock()
	if none {
		return 0
	}
	select {
	case <-p.ended:
		return 0
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.alive
	}
}
