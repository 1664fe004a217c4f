package engine

import (
	"context"
	"time"
)

// lookEvery is how often packets that wait are looked at for being late: a coarse
// tick, so that a packet which waits for a moment only costs nothing but a place in
// a list. It adds to how late a refusal comes, of which 50 ms would be too late.
const lookEvery = 10 * time.Millisecond

// Run refuses the packets that wait past their start_by, soon after it and whatever
// the packets before them do, until ctx is done or Close is called; it returns nil.
// What waits for its batch's runner is not looked at: that begins at once, or gets
// help. Where Run does not run, a late packet is refused when its turn comes. While
// no packet with a start_by waits it sleeps.
func (e *Engine) Run(ctx context.Context) error {
	timer := time.NewTimer(lookEvery)
	defer timer.Stop()
	for {
		select {
		case <-e.watch:
		case <-ctx.Done():
			return nil
		case <-e.base.Done():
			return nil
		}
		for left := true; left; {
			timer.Reset(lookEvery)
			select {
			case <-timer.C:
				left = e.refuseLate()
			case <-ctx.Done():
				return nil
			case <-e.base.Done():
				return nil
			}
		}
	}
}

// watchLocked has Run look at a lane in which a packet is going to wait.
func (e *Engine) watchLocked(l *lane, startBy int64) {
	if startBy == 0 {
		return
	}
	if l.due == 0 || startBy < l.due {
		l.due = startBy
	}
	if l.watched {
		return
	}
	l.watched = true
	l.shard.watched = append(l.shard.watched, l)
	if len(l.shard.watched) == 1 {
		select {
		case e.watch <- struct{}{}:
		default: // Run looks at all shards before it sleeps
		}
	}
}

// refuseLate answers the packets that wait past their start_by, those of a lane in
// its order. It reports whether there are lanes left to look at.
func (e *Engine) refuseLate() bool {
	nowMS := e.NowMS()
	left := false
	for i := range e.shards {
		left = e.shards[i].refuseLate(e, nowMS) || left
	}
	return left
}

func (s *shard) refuseLate(e *Engine, nowMS int64) bool {
	s.late.Lock()
	defer s.late.Unlock()
	late, left := s.takeLate(nowMS)
	e.refuse(late)
	return left
}

// begin takes a parked lane for a worker and returns the first packet to run, nil
// when there is none. It refuses what is late before that. The lane stays parked
// meanwhile, so that Run, too, takes its late packets in order.
func (e *Engine) begin(l *lane, nowMS int64) *task {
	head, late := l.begin(nowMS)
	if !late {
		return head
	}
	s := l.shard
	s.late.Lock()
	defer s.late.Unlock()
	s.mu.Lock()
	var first *task
	l.takeLateLocked(nowMS, &first)
	l.parked, head = false, l.head
	s.mu.Unlock()
	e.refuse(first)
	return head
}

// refuse answers late packets that are off their lanes.
func (e *Engine) refuse(late *task) {
	for late != nil {
		t := late
		late = t.next // t may be used again once it is complete
		if t.waits {
			e.waiting.Add(-1)
		}
		t.complete(Answer{Refused: PastStartBy})
	}
}

// takeLate takes the late packets off the shard's lanes and returns the first; their
// next is the next one. Lanes in which nothing waits are watched no more. It reports
// whether any are.
func (s *shard) takeLate(nowMS int64) (late *task, left bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := &late
	watched := s.watched[:0]
	for _, l := range s.watched {
		if l.due < nowMS && !l.leaderDueLocked(nowMS) {
			end = l.takeLateLocked(nowMS, end)
		}
		if l.due == 0 || l.waitingLocked() == nil {
			l.watched, l.due = false, 0
			continue
		}
		watched = append(watched, l)
	}
	clear(s.watched[len(watched):])
	s.watched = watched
	return late, len(watched) > 0
}

// takeLateLocked moves the packets that wait past their start_by to a list, at the
// place for its next one, which it returns moved on. It finds when the lane is due
// again.
func (l *lane) takeLateLocked(nowMS int64, end **task) **task {
	at := &l.head
	var last *task // that stays
	if !l.parked && l.head != nil {
		last, at = l.head, &l.head.next // it runs
	}
	l.due = 0
	for t := *at; t != nil; t = *at {
		switch startBy := t.startBy.Load(); {
		case t.late(nowMS):
			*at, t.next = t.next, nil
			*end, end = t, &t.next
			l.shard.stats.Refused[pastStartBy]++
			continue
		case startBy != 0 && (l.due == 0 || startBy < l.due):
			l.due = startBy
		}
		last, at = t, &t.next
	}
	l.tail = last
	return end
}

// leaderDueLocked reports whether the head waits, perhaps, for its batch's runner and
// has just become late. What waits behind it is then left for the next look, lest
// it be refused before the head is.
func (l *lane) leaderDueLocked(nowMS int64) bool {
	return l.head != nil && !l.parked && !l.head.waits &&
		l.head.late(nowMS) && !l.head.late(nowMS-lookEvery.Milliseconds())
}

// waitingLocked returns the first packet that waits.
func (l *lane) waitingLocked() *task {
	if l.parked || l.head == nil {
		return l.head
	}
	return l.head.next
}
