package engine

import (
	"time"
)

// job is what a worker is given: a lane to drain, then a batch whose lanes to
// drain. Either may be absent.
type job struct {
	lane  *lane
	batch *batch
}

// do runs a job to its end.
func (e *Engine) do(w *worker, j job) {
	if j.lane != nil {
		e.drain(w, j.lane, j.batch != nil)
	}
	if j.batch == nil {
		return
	}
	for l := j.batch.claim(); l != nil; l = j.batch.claim() {
		e.drain(w, l, true)
	}
	j.batch.release()
}

// drain runs a lane's packets until none is left. A batch's runner runs only
// fast ones and hands the lane on when another kind comes.
func (e *Engine) drain(w *worker, l *lane, inline bool) {
	w.lane = l
	now := e.clock.now()
	var t *task
	if inline {
		t = l.head
	} else {
		t = e.begin(l, e.clock.unixMS(now))
	}
	for t != nil {
		a := e.run(t, now)
		ended := e.clock.now()
		if a.Refused == NotRefused {
			e.learn(t, a, ended-now)
		}
		now = ended
		t = e.finish(l, a, inline, now)
	}
	w.lane = nil
}

// run runs the head of a lane.
func (e *Engine) run(t *task, now time.Duration) Answer {
	if t.waits {
		e.waiting.Add(-1)
	}
	left := e.cfg.HandlerTimeout
	if startBy := t.startBy.Load(); startBy != 0 {
		ms := startBy - e.clock.unixMS(now)
		if ms < 0 {
			return Answer{Refused: PastStartBy}
		}
		if ms < left.Milliseconds() {
			left = time.Duration(ms) * time.Millisecond
		}
	}
	if e.stopped.Load() {
		return Answer{Refused: Draining}
	}
	ctx := &t.batch.ctxs[t.index]
	ctx.base, ctx.deadline = e.base, e.clock.at(now+left)
	defer ctx.finish()
	return e.handle(ctx, t.packet)
}

// finish moves the lane on and answers every attempt of the packet that is done.
// It returns the next packet to run, nil when there is none or the pool has the
// lane.
func (e *Engine) finish(l *lane, a Answer, inline bool, now time.Duration) *task {
	done, next, parked := l.finish(a, inline, e.clock.unixMS(now))
	done.complete(a)
	switch {
	case parked && inline:
		e.pool.submit(l)
	case parked:
		return e.begin(l, e.clock.unixMS(now))
	}
	return next
}

// complete answers every attempt of a packet that is off its lane.
func (t *task) complete(a Answer) {
	for t != nil {
		also := t.also // t may be used again once it is complete
		t.batch.complete(t, a)
		t = also
	}
}

// learn remembers how long a command took. A command that the handler does not
// know is not remembered: there is no end of them.
func (e *Engine) learn(t *task, a Answer, took time.Duration) {
	switch {
	case t.command != nil:
		t.command.observe(took)
	case a.Status != statusUnimplemented:
		e.commands.add(t.packet.Command, took)
	}
}

// abandoned continues where a handler ended its goroutine (runtime.Goexit, which
// is what testing.T.FailNow does): that packet fails, everything else goes on.
func (e *Engine) abandoned(w *worker, j job) job {
	l := w.lane
	if l == nil {
		return job{batch: j.batch}
	}
	a := Answer{Status: statusInternal, Payload: []byte(`{"message":"internal error"}`)}
	if e.finish(l, a, j.batch != nil, e.clock.now()) == nil {
		l = nil
	}
	return job{lane: l, batch: j.batch}
}
