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
	t, startBy := l.begin()
	now := time.Now()
	for t != nil {
		a := e.run(t, startBy, now)
		ended := time.Now()
		if a.Refused == NotRefused {
			e.learn(t, a, ended.Sub(now))
		}
		now = ended
		t, startBy = e.finish(l, a, inline, now)
		if inline && t != nil && t.class != fast {
			e.pool.submit(l)
			break
		}
	}
	w.lane = nil
}

// run runs the head of a lane.
func (e *Engine) run(t *task, startBy int64, now time.Time) Answer {
	if t.waits {
		e.waiting.Add(-1)
	}
	switch {
	case e.stopped.Load():
		return Answer{Refused: Draining}
	case startBy != 0 && now.UnixMilli() > startBy:
		return Answer{Refused: PastStartBy}
	}
	ctx := &t.batch.ctxs[t.index]
	ctx.base = e.base
	ctx.deadline = now.Add(e.cfg.HandlerTimeout)
	if startBy != 0 {
		if by := time.UnixMilli(startBy); by.Before(ctx.deadline) {
			ctx.deadline = by
		}
	}
	defer ctx.finish()
	return e.handle(ctx, t.packet)
}

// finish moves the lane on and answers every attempt of the packet that is done.
func (e *Engine) finish(l *lane, a Answer, inline bool, now time.Time) (next *task, startBy int64) {
	done, next, startBy := l.finish(a, inline, now)
	for t := done; t != nil; {
		also := t.also // t may be used again once it is complete
		t.batch.complete(t, a)
		t = also
	}
	return next, startBy
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
	if next, _ := e.finish(l, a, j.batch != nil, time.Now()); next == nil {
		l = nil
	}
	return job{lane: l, batch: j.batch}
}
