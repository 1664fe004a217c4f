package dispatcher

import (
	"time"

	"github.com/holdfast-io/holdfast/dispatcher/lane"
)

// Submit queues a request behind the origin's earlier ones to the same service.
// It copies command and payload and never blocks. Exactly one Reply or Refuse for
// id follows on the sink, possibly before Submit returns, unless End comes first.
func (l *Lanes) Submit(id uint32, command, payload []byte) {
	d := l.d
	to := d.routes.Load().find(command)
	if to.service == nil {
		d.metrics.noRoute.Inc()
		l.refuse(id, ReasonNoRoute)
		return
	}
	now := d.now()
	if why := to.policy.admit(d.time(now)); why != noReason {
		to.service.metrics.refused(why)
		l.refuse(id, why)
		return
	}
	p := lane.Packet{
		ID:       id,
		Command:  to.command,
		Payload:  append([]byte(nil), payload...),
		Deadline: now + int64(d.cfg.RequestTimeout),
	}
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		to.policy.done()
		return
	}
	sl := l.laneLocked(to.service)
	ready, why := sl.submitLocked(p, to.policy, now)
	l.mu.Unlock()
	if why != noReason {
		l.tell(to.service, []answer{{id: id, reason: why, policy: to.policy}})
		return
	}
	sl.enqueue(ready)
}

// submitLocked takes p through pick, limit and break into the lane. It returns the
// instance on whose ready queue the lane has to be put, if any.
func (sl *sessionLane) submitLocked(p lane.Packet, of *policy, now int64) (*instance, Reason) {
	if sl.owner.d.stopping.Load() { // set before Run refuses what waits under the same lock
		return nil, ReasonStopping
	}
	if sl.Idle() && !sl.queued && !sl.Closed(now) {
		switch why := sl.moveLocked(); {
		case why == noReason:
			sl.unparkLocked() // whoever brought the instance is about to wake it
		case of.holds(why):
			return nil, sl.holdLocked(p, of, now)
		default:
			return nil, why
		}
	}
	if limiter := sl.inst.limiter.Load(); limiter != nil && !limiter.allow(sl.owner.d.time(now)) {
		return nil, ReasonInstanceRate
	}
	if why := sl.inst.load.admit(len(p.Payload)); why != noReason {
		return nil, why
	}
	if !sl.Push(p) {
		sl.inst.load.release(len(p.Payload))
		return nil, ReasonLaneFull
	}
	sl.counted.waiting++
	sl.counted.bytes += int32(len(p.Payload))
	if sl.armed == 0 {
		sl.armLocked(p.Deadline)
	}
	switch {
	case sl.queued:
	case sl.Sendable(now):
		sl.queued = true
		return sl.inst, noReason
	case sl.Closed(now):
		sl.rearmLocked(now) // nobody waited when it closed, so nobody would open it
	}
	return nil, noReason
}

// Answer brings what a backend answered to a packet that it had deferred. It
// reports false when nobody waits for that answer any more. payload belongs to
// the dispatcher.
func (l *Lanes) Answer(service string, seq int64, attempt int32, status int32, payload []byte, notExecuted bool, reason string, retryAfter time.Duration) bool {
	said := said{status: status, payload: payload, notExecuted: notExecuted, reason: reason, retryAfter: retryAfter}
	now := l.d.now()
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return false
	}
	sl := l.findNamedLocked(service)
	if sl == nil {
		l.mu.Unlock()
		if svc := l.d.service(service); svc != nil {
			svc.metrics.late.Inc()
		}
		return false
	}
	svc := sl.service
	answers, inst, owed := sl.answerLocked(seq, attempt, said, now)
	ready, answers := sl.nextLocked(now, answers)
	l.mu.Unlock()
	switch {
	case !owed:
		svc.metrics.late.Inc()
	case !notExecuted:
		inst.breaker.succeeded(1)
	}
	sl.enqueue(ready)
	l.tell(svc, answers)
	return owed
}

// answerLocked takes in the answer to a deferred packet. It returns what the client
// is to be told, and whose answer it was.
func (sl *sessionLane) answerLocked(seq int64, attempt int32, s said, now int64) ([]answer, *instance, bool) {
	inst := sl.inst
	if s.notExecuted && sl.repeatRefusedLocked(seq, attempt, kitReason(s.reason), now) {
		return nil, inst, true
	}
	var of *policy
	doubt := lane.NotSent
	if i, ok := sl.Find(seq, attempt); ok {
		of, doubt = policyOf(sl.At(i).Command), sl.At(i).Doubt()
	}
	id, owed := sl.Lane.Answer(seq, attempt)
	if !owed {
		return nil, inst, false
	}
	a := sl.owner.d.judge(id, s)
	a.policy = of
	return []answer{a.afterDoubt(doubt)}, inst, true
}
