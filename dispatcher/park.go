package dispatcher

import "github.com/holdfast-io/holdfast/dispatcher/lane"

// Lanes that wait for an instance, as outage: hold wants. Such a lane is parked:
// its packets are counted against their routes' bounds, and it is looked at when
// something changes that may help it, and when its time is up.

// parkLocked counts what waits and puts the lane on the service's list. The
// packets of routes that hold no more are refused.
func (sl *sessionLane) parkLocked(why Reason, now int64, answers []answer) []answer {
	sl.scratch = sl.DropWaiting(func(p *lane.Packet) bool {
		return policyOf(p.Command).holds(why)
	}, sl.scratch[:0])
	answers = sl.refusedLocked(answers, why)
	sl.scratch = sl.DropWaiting(func(p *lane.Packet) bool {
		return policyOf(p.Command).takeHeld(len(p.Payload))
	}, sl.scratch[:0])
	answers = sl.refusedLocked(answers, ReasonHoldFull)
	sl.accountLocked()
	if sl.scratch = nil; sl.Waiting() == 0 {
		sl.heldUntil = 0
		return answers
	}
	if sl.heldUntil == 0 {
		sl.heldUntil = now + int64(policyOf(sl.At(0).Command).hold.Timeout)
	}
	sl.parked = true
	sl.service.parked.add(sl)
	return answers
}

// refusedLocked appends the answers to what was dropped, into scratch, for why. What
// may have run is answered for that.
func (sl *sessionLane) refusedLocked(answers []answer, why Reason) []answer {
	for _, e := range sl.scratch {
		a := answer{id: e.ID, reason: why, policy: policyOf(e.Command)}
		if e.Cause != lane.NotSent {
			a.reason = causeReasons[e.Cause]
		}
		answers = append(answers, a)
	}
	return answers
}

// unparkLocked takes the lane off the list. heldUntil stays, for the case that it
// is parked again.
func (sl *sessionLane) unparkLocked() {
	if !sl.parked {
		return
	}
	sl.parked = false
	sl.service.parked.remove(sl)
	sl.Each(func(p *lane.Packet) { policyOf(p.Command).dropHeld(len(p.Payload)) })
}

// holdLocked lets one more request wait in a lane for which there is no instance.
func (sl *sessionLane) holdLocked(p lane.Packet, of *policy, now int64) Reason {
	if !of.takeHeld(len(p.Payload)) {
		return ReasonHoldFull
	}
	if !sl.Push(p) {
		of.dropHeld(len(p.Payload))
		return ReasonLaneFull
	}
	if !sl.parked {
		sl.parked, sl.heldUntil = true, now+int64(of.hold.Timeout)
		sl.service.parked.add(sl)
	}
	sl.accountLocked()
	sl.rearmLocked(now)
	return noReason
}

// wake lets all parked lanes look for an instance again.
func (s *service) wake() {
	for _, sl := range s.parked.takeAll() {
		sl.wake()
	}
}

func (sl *sessionLane) wake() {
	l := sl.owner
	l.mu.Lock()
	if l.ended || !sl.parked {
		l.mu.Unlock()
		return
	}
	ready, answers := sl.nextLocked(l.d.now(), nil)
	l.mu.Unlock()
	sl.enqueue(ready)
	l.tell(sl.service, answers)
}

// repick puts a lane, taken from the ready queue of an instance, where it belongs
// by now.
func (sl *sessionLane) repick() {
	l := sl.owner
	l.mu.Lock()
	sl.queued = false
	if l.ended {
		l.mu.Unlock()
		return
	}
	ready, answers := sl.nextLocked(l.d.now(), nil)
	l.mu.Unlock()
	sl.enqueue(ready)
	l.tell(sl.service, answers)
}
