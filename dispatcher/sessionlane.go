package dispatcher

import (
	"github.com/holdfast-io/holdfast/dispatcher/lane"
)

// sessionLane is a lane.Lane with its place in the dispatcher.
type sessionLane struct {
	lane.Lane // guarded by owner.mu

	// Static.
	owner   *Lanes
	service *service
	sibling *sessionLane // the owner's lane for another service

	// Guarded by owner.mu.
	inst        *instance // where its packets go; changes only while nothing is there
	incarnation int64     // of inst's process that has the last batch; 0: not known
	since       int64     // stamp: that batch was settled, or deferred
	armed       int64     // when the timer looks at it; 0: no timer
	queued      bool      // on inst's ready queue, or taken from it by a worker this moment
	watched     bool      // on inst's list of lanes that suffer when it dies
	counted     counted   // what inst's load holds of it

	// Links; each belongs to whoever holds the lock of its list.
	nextReady          *sessionLane // inst.ready
	nextHeld, prevHeld *sessionLane // inst.held
	timerAt            int64        // d.timers: when
	timerIndex         int          // d.timers: place in the heap, plus 1; 0: not in it
}

// counted is a lane's share of an instance's load.
type counted struct{ waiting, bytes, open int32 }

// findLocked returns the lane for svc, or nil.
func (l *Lanes) findLocked(svc *service) *sessionLane {
	for sl := l.lanes; sl != nil; sl = sl.sibling {
		if sl.service == svc {
			return sl
		}
	}
	return nil
}

// laneLocked returns the lane for svc, which it makes when there is none.
func (l *Lanes) laneLocked(svc *service) *sessionLane {
	if sl := l.findLocked(svc); sl != nil {
		return sl
	}
	sl := &sessionLane{owner: l, service: svc, sibling: l.lanes}
	sl.Init(l.d.cfg.LaneLimit)
	l.lanes = sl
	return sl
}

// enqueue puts the lane, whose queued flag is set, onto the ready queue of inst; nil
// does nothing. An instance that has stopped meanwhile takes no lanes, so they go
// where they belong by now.
func (sl *sessionLane) enqueue(inst *instance) {
	for inst != nil && !inst.ready.push(sl) {
		inst = sl.leave(inst)
	}
}

// leave takes a lane back from the ready queue of inst, which has stopped. It
// returns the instance whose queue the lane has to be put on. Where that is inst
// itself, the dispatcher stops, and what waits is refused.
func (sl *sessionLane) leave(inst *instance) *instance {
	l := sl.owner
	l.mu.Lock()
	sl.queued = false
	if l.ended {
		l.mu.Unlock()
		return nil
	}
	next, answers := sl.nextLocked(l.d.now(), nil)
	if next == inst {
		sl.queued, next = false, nil
		answers = sl.refuseWaitingLocked(ReasonStopping, answers)
	}
	l.mu.Unlock()
	sl.service.metrics.count(answers)
	l.deliver(answers)
	return next
}

// rearmLocked makes the timer look at the lane no later than it has to.
func (sl *sessionLane) rearmLocked(now int64) {
	if next := sl.Next(now); next != lane.Never && (sl.armed == 0 || next < sl.armed) {
		sl.armLocked(next)
	}
}

// moveLocked makes the instance that the user's slot picks now the lane's. Nothing
// of the lane may be at an instance, which is what keeps its order.
func (sl *sessionLane) moveLocked() Reason {
	inst, why := sl.service.pick(sl.owner.hash)
	if why != noReason || inst == sl.inst {
		return why
	}
	if sl.inst != nil {
		sl.unwatchLocked()
		sl.inst.load.sub(sl.counted)
		inst.load.add(sl.counted)
	}
	sl.inst = inst
	return noReason
}

// accountLocked brings the instance's load up to date with the lane.
func (sl *sessionLane) accountLocked() {
	is := counted{waiting: int32(sl.Waiting()), open: int32(sl.Open())}
	if is.waiting > 0 {
		is.bytes = int32(sl.WaitingBytes())
	}
	if is != sl.counted && sl.inst != nil {
		sl.inst.load.replace(sl.counted, is)
	}
	sl.counted = is
}

// nextLocked decides how the lane goes on after something of it was settled or its
// instance has changed: it is watched, armed, or queued on the instance that is
// returned. Where there is no instance, what waits is refused, by answers.
func (sl *sessionLane) nextLocked(now int64, answers []answer) (*instance, []answer) {
	sl.accountLocked()
	if sl.HoldsDeferred() || sl.Closed(now) {
		sl.watchLocked()
	} else {
		sl.unwatchLocked()
	}
	var ready *instance
	if !sl.queued && sl.Sendable(now) {
		if why := sl.moveLocked(); why != noReason {
			answers = sl.refuseWaitingLocked(why, answers)
			return nil, answers
		}
		sl.queued = true
		ready = sl.inst
	}
	sl.rearmLocked(now)
	return ready, answers
}

// refuseWaitingLocked takes everything that waits out of the lane.
func (sl *sessionLane) refuseWaitingLocked(why Reason, answers []answer) []answer {
	for _, id := range sl.DropWaiting() {
		answers = append(answers, answer{id: id, reason: why})
	}
	sl.accountLocked()
	return answers
}

// refuseWaiting answers what waits and what is deferred, for a dispatcher that stops.
func (l *Lanes) refuseWaiting(why Reason) {
	var answers []answer
	l.mu.Lock()
	for sl := l.lanes; sl != nil; sl = sl.sibling {
		answers = sl.refuseWaitingLocked(why, answers)
		answers = appendExpired(answers, sl.Lost(nil))
		sl.accountLocked()
	}
	l.mu.Unlock()
	l.deliver(answers)
}

// fire is called by the timer when something of the lane may be overdue.
func (sl *sessionLane) fire(now int64, expired []lane.Expiry) []lane.Expiry {
	l := sl.owner
	l.mu.Lock()
	sl.armed = 0
	if l.ended {
		l.mu.Unlock()
		return expired
	}
	expired = sl.Expire(now, expired[:0])
	ready, answers := sl.nextLocked(now, appendExpired(nil, expired))
	l.mu.Unlock()
	sl.enqueue(ready)
	sl.service.metrics.count(answers)
	l.deliver(answers)
	return expired
}
