package dispatcher

import "github.com/holdfast-io/holdfast/dispatcher/slots"

// The way of a request is pick -> limit -> break -> batch -> call -> outcome, each in
// the file of that name. This is the first step: which instance.

// pick returns the instance for a request of the user with hash, and its place
// among the candidates: 0 is the holder of the user's slot, 1 its first substitute.
// Those before place skip were tried and have failed. Where nobody is left it says
// why the holder cannot take it.
func (s *service) pick(hash uint64, skip int) (inst *instance, place int, why Reason) {
	t := s.table.Load()
	slot := s.cfg.Hash.Pick(hash, len(t.slots))
	if slot < 0 {
		return nil, 0, ReasonNoInstance
	}
	if inst := t.slots[slot]; skip == 0 && inst != nil && inst.usable() {
		return inst, 0, noReason
	}
	return t.substitute(hash, slot, skip)
}

// substitute is pick for a user whose slot's holder cannot take the request. An
// instance that is leaving, or that is on trial and has enough, is still better
// than none.
func (t *table) substitute(hash uint64, slot, skip int) (*instance, int, Reason) {
	var second *instance
	secondPlace := 0
	c := slots.MakeCandidates(hash, slot, len(t.slots), t.incarnation(slot))
	at, ok := slot, true
	for place := 0; ok; place++ {
		inst := t.slots[at]
		switch {
		case place < skip || inst == nil:
		case inst.usable():
			return inst, place, noReason
		case second == nil && !inst.breaker.isOpen.Load():
			second, secondPlace = inst, place
		}
		at, ok = c.Next()
	}
	if second != nil {
		return second, secondPlace, noReason
	}
	switch holder := t.slots[slot]; {
	case holder == nil:
		return nil, 0, ReasonVacantSlot
	case holder.breaker.isOpen.Load():
		return nil, 0, ReasonBreakerOpen
	}
	return nil, 0, ReasonInstanceDown
}

// usable tells whether a new request may go to the instance.
func (i *instance) usable() bool {
	return i.breaker.allows(&i.load.open) && !i.draining.Load()
}

// holder returns the instance that holds the slot of hash. A vacant slot is a slot
// whose instance has failed: its users are not rehashed, so that nobody else's
// move.
func (s *service) holder(hash uint64) (*instance, Reason) {
	t := s.table.Load()
	slot := s.cfg.Hash.Pick(hash, len(t.slots))
	if slot < 0 {
		return nil, ReasonNoInstance
	}
	if t.slots[slot] == nil {
		return nil, ReasonVacantSlot
	}
	return t.slots[slot], noReason
}
