package lane

// Expiry is a packet whose client must get an answer now, from the dispatcher.
type Expiry struct {
	ID      uint32
	Cause   Cause
	Command *Command
}

// Cause says why, and so whether the packet may have run.
type Cause uint8

const (
	// NotSent: the packet waited in the lane until its deadline. It was not run.
	// Packets that are to be sent again expire with the cause of their doubt.
	NotSent Cause = iota
	// NoReply: the call that carries it has not returned in time. It may have run.
	NoReply
	// NoAnswer: it was deferred and the answer did not come in time. It may have run.
	NoAnswer
	// Gone: it was deferred by an instance that is no more. It may have run.
	Gone
	// Broken: the connection broke after it was sent. It may have run.
	Broken
)

// Expire appends to dst the packets whose time has passed. What was deferred and
// not answered in time is unknown from then on, so it closes the lane for as
// long as the instance might still begin with it (normally not at all: that time
// is the same).
func (l *Lane) Expire(now int64, dst []Expiry) []Expiry {
	dst = l.expireSent(now, dst)
	n := 0
	for int(l.out)+n < len(l.queue) && l.queue[int(l.out)+n].Deadline <= now {
		p := &l.queue[int(l.out)+n]
		dst = append(dst, Expiry{p.ID, p.doubt, p.Command})
		n++
	}
	if n > 0 {
		l.drop(int(l.out), n)
	}
	return dst
}

func (l *Lane) expireSent(now int64, dst []Expiry) []Expiry {
	for i := range l.queue[:l.out] {
		p := &l.queue[i]
		switch {
		case p.is&finished != 0:
		case p.is&deferred != 0 && l.until(p) <= now:
			if p.is&answered == 0 {
				dst = append(dst, Expiry{p.ID, NoAnswer, p.Command})
			}
			l.closed = max(l.closed, l.until(p))
			l.finish(p)
		case p.is&answered == 0 && p.Deadline <= now:
			p.is |= answered // the call goes on, its reply will find nobody waiting
			dst = append(dst, Expiry{p.ID, NoReply, p.Command})
		}
	}
	l.compact()
	return dst
}

// Lost appends to dst the packets that the instance had deferred: it is known to
// be gone, with them. It will begin nothing any more, so the lane opens.
func (l *Lane) Lost(dst []Expiry) []Expiry {
	for i := range l.queue[:l.out] {
		p := &l.queue[i]
		if p.is&(finished|deferred) != deferred {
			continue
		}
		if p.is&answered == 0 {
			dst = append(dst, Expiry{p.ID, Gone, p.Command})
		}
		l.finish(p)
	}
	l.closed = 0
	l.compact()
	return dst
}

// Next returns when Expire has something to do or a closed lane opens, or Never.
func (l *Lane) Next(now int64) int64 {
	next := int64(Never)
	for i := range l.queue[:l.out] {
		switch p := &l.queue[i]; {
		case p.is&finished != 0:
		case p.is&deferred != 0:
			next = min(next, l.until(p))
		case p.is&answered == 0:
			next = min(next, p.Deadline)
		}
	}
	if l.Waiting() > 0 {
		// Deadlines follow the order of the packets, so the first is the earliest.
		next = min(next, l.queue[l.out].Deadline)
		if l.out == 0 && l.closed > now {
			next = min(next, l.closed)
		}
	}
	return next
}

// HoldsDeferred tells whether a deferred packet's answer is awaited.
func (l *Lane) HoldsDeferred() bool { return l.open > 0 && !l.calling }

// until is when the instance must have begun with p.
func (l *Lane) until(p *Packet) int64 { return min(l.startBy, p.Deadline) }
