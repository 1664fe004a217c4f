package dispatcher

import "github.com/holdfast-io/holdfast/dispatcher/lane"

// What is sent again, and where to. A lane always moves as a whole, and only the
// packets at the end of a batch can go back into it, so the order stays: what ran
// never comes after what is to run. For the same reason only the last packet is sent
// again of those that may have run.

// failsOver tells whether a packet that an instance did not run for why is put to
// the next candidate. A full queue is overload, which must not spread.
func failsOver(why Reason) bool { return why != ReasonInstanceFull }

// repeatLocked puts the packets at the end of a batch of n whose call has returned
// back into the lane, if they may be sent again. It returns how many are left.
func (sl *sessionLane) repeatLocked(r *result, n int, now int64) (left int) {
	doubt, why := lane.NotSent, r.reason
	switch r.outcome {
	case answered:
		last := r.replies[n-1]
		if !last.NotExecuted || last.Deferred {
			return n
		}
		why = kitReason(last.Reason)
	case notExecuted:
	case unknown:
		doubt = lane.NoReply
		if why != ReasonTimeout {
			doubt = lane.Broken
		}
	default:
		return n
	}
	from, most := n, n
	if doubt != lane.NotSent {
		most = 1 // the packets before the last one would run after it, if it has run
	}
	for from > n-most && sl.Repeatable(from-1) && sl.mayRepeat(r, from-1, now) {
		from--
	}
	if from == n || !sl.mayMoveOnLocked(from, n-from, why, now) {
		return n
	}
	if why == ReasonDraining {
		sl.inst.draining.Store(true) // a heartbeat will tell when it is not any more
	}
	sl.Requeue(from, doubt)
	sl.moveOnLocked(why)
	return from
}

// mayRepeat tells whether the outcome of packet i lets it be sent again.
func (sl *sessionLane) mayRepeat(r *result, i int, now int64) bool {
	p := sl.At(i)
	if p.Deadline <= now {
		return false
	}
	switch r.outcome {
	case answered:
		return r.replies[i].NotExecuted && !r.replies[i].Deferred && failsOver(kitReason(r.replies[i].Reason))
	case notExecuted:
		return true
	}
	return p.Command != nil && p.Command.Idempotent
}

// mayMoveOnLocked tells whether there is another candidate for packets, from index
// from of the batch on, which have failed for why, or they may wait for one; and
// whether the budget lets them be sent again.
func (sl *sessionLane) mayMoveOnLocked(from, packets int, why Reason, now int64) bool {
	svc, d := sl.service, sl.owner.d
	if d.stopping.Load() {
		return false
	}
	if _, _, nobody := svc.pick(sl.owner.hash, sl.place+1); nobody != noReason && !policyOf(sl.At(from).Command).holds(why) {
		return false
	}
	if !d.budget.spend(now, packets) {
		svc.metrics.retriesRefused.Add(float64(packets))
		return false
	}
	svc.metrics.retries.Add(float64(packets))
	return true
}

// moveOnLocked passes over the candidates up to the one that has just failed.
func (sl *sessionLane) moveOnLocked(why Reason) {
	sl.skip, sl.failure = sl.place+1, why
}

// repeatDeferredLocked puts back a packet that was deferred and will not be answered
// any more, where it may be sent again though it may have run. It returns how many.
func (sl *sessionLane) repeatDeferredLocked(now int64, gone bool) int {
	i, ok := sl.Unanswered(now, gone)
	why, doubt := ReasonNoAnswer, lane.NoAnswer
	if gone {
		why, doubt = ReasonInstanceGone, lane.Gone
	}
	if !ok || !sl.mayMoveOnLocked(i, 1, why, now) {
		return 0
	}
	sl.Requeue(i, doubt)
	sl.moveOnLocked(why)
	return 1
}

// repeatRefusedLocked puts back a deferred packet that the instance says it did
// not run, if it may be sent again. It reports whether it did.
func (sl *sessionLane) repeatRefusedLocked(seq int64, attempt int32, why Reason, now int64) bool {
	i, ok := sl.Find(seq, attempt)
	if !ok || !failsOver(why) || !sl.Refused(i) || sl.At(i).Deadline <= now || !sl.mayMoveOnLocked(i, 1, why, now) {
		return false
	}
	sl.Requeue(i, lane.NotSent)
	sl.moveOnLocked(why)
	return true
}
