package dispatcher

// The way of a request is pick -> limit -> break -> batch -> call -> outcome, each in
// the file of that name. This is the first step: which instance.

// pick returns the instance for a request of the user with hash, or why there is
// none. Passing the user of a failed instance on to another candidate belongs
// here.
func (s *service) pick(hash uint64) (*instance, Reason) {
	inst, why := s.holder(hash)
	if why == noReason && !inst.breaker.allow() {
		return nil, ReasonInstanceDown
	}
	return inst, why
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
