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
	place       int       // inst's place among the candidates when it was picked
	skip        int       // candidates before this place have failed the packets in front
	failure     Reason    // the last one's, where skip > 0
	parked      bool      // waits for an instance; on the service's list
	heldUntil   int64     // when that ends; 0: not begun
	scratch     []lane.Expiry

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

// findNamedLocked returns the lane for the service with name, or nil.
func (l *Lanes) findNamedLocked(name string) *sessionLane {
	for sl := l.lanes; sl != nil; sl = sl.sibling {
		if sl.service.cfg.Name == name {
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
	l.tell(sl.service, answers)
	return next
}

// rearmLocked makes the timer look at the lane no later than it has to.
func (sl *sessionLane) rearmLocked(now int64) {
	next := sl.Next(now)
	if sl.parked {
		next = min(next, sl.heldUntil)
	}
	if next != lane.Never && (sl.armed == 0 || next < sl.armed) {
		sl.armLocked(next)
	}
}

// moveLocked makes the instance that the user's slot picks now the lane's. Nothing
// of the lane may be at an instance, which is what keeps its order.
func (sl *sessionLane) moveLocked() Reason {
	inst, place, why := sl.service.pick(sl.owner.hash, sl.skip)
	if why != noReason {
		return why
	}
	sl.place = place
	if inst == sl.inst {
		return noReason
	}
	if sl.inst != nil {
		sl.unwatchLocked()
		sl.inst.load.sub(sl.counted)
	}
	inst.load.add(sl.counted)
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
	sl.unparkLocked()
	sl.accountLocked()
	if !sl.triedLocked() {
		sl.skip = 0
	}
	if sl.HoldsDeferred() || sl.Closed(now) {
		sl.watchLocked()
	} else {
		sl.unwatchLocked()
	}
	var ready *instance
	if !sl.queued && sl.Sendable(now) {
		if answers = sl.placeLocked(now, answers); !sl.parked && sl.Waiting() > 0 {
			sl.queued = true
			ready = sl.inst
		}
	}
	sl.rearmLocked(now)
	return ready, answers
}

// triedLocked tells whether the first packet that waits was sent before, so that
// the candidates which have failed it are not asked again.
func (sl *sessionLane) triedLocked() bool {
	return sl.Waiting() > 0 && sl.At(sl.Batch()).Attempt > 0
}

// placeLocked finds the lane an instance. Where there is none, what waits is
// parked or refused: first what was sent before and has no candidate left.
func (sl *sessionLane) placeLocked(now int64, answers []answer) []answer {
	why := sl.moveLocked()
	if why != noReason && sl.skip > 0 {
		failure := sl.failure
		sl.skip = 0
		sl.scratch = sl.DropWaiting(func(p *lane.Packet) bool {
			return p.Attempt == 0 || policyOf(p.Command).holds(failure)
		}, sl.scratch[:0])
		answers = sl.refusedLocked(answers, failure)
		sl.scratch = nil
		sl.accountLocked()
		if sl.Waiting() == 0 {
			return answers
		}
		why = sl.moveLocked()
	}
	switch {
	case why == noReason:
		sl.heldUntil = 0
	case sl.heldUntil != 0 && sl.heldUntil <= now:
		sl.heldUntil = 0
		answers = sl.refuseWaitingLocked(ReasonHeldTooLong, answers)
	default:
		answers = sl.parkLocked(why, now, answers)
	}
	return answers
}

// refuseWaitingLocked takes everything that waits out of the lane.
func (sl *sessionLane) refuseWaitingLocked(why Reason, answers []answer) []answer {
	sl.unparkLocked()
	sl.scratch = sl.DropWaiting(nil, sl.scratch[:0])
	answers = sl.refusedLocked(answers, why)
	sl.scratch = nil
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
	for i := range answers {
		answers[i].policy.done()
	}
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
	sl.unparkLocked()
	inst, lost := sl.inst, sl.repeatDeferredLocked(now, false)
	expired = sl.Expire(now, expired[:0])
	for _, e := range expired {
		if e.Cause == lane.NoAnswer && sl.skip == 0 { // else it was counted when it was put back
			lost++
		}
	}
	ready, answers := sl.nextLocked(now, appendExpired(nil, expired))
	l.mu.Unlock()
	if lost > 0 {
		inst.failed(timedOut, lost)
	}
	sl.enqueue(ready)
	l.tell(sl.service, answers)
	return expired
}
