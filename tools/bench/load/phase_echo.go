package load

// closedPhase keeps inflight requests on every connection: a new one follows
// each answer. It finds the highest rate that the server sustains.
type closedPhase struct {
	idlePhase
	inflight      int
	separate      bool // each request in a write of its own
	until, giveUp int64
	started       bool
}

func (p *closedPhase) tick(l *loop, now int64) (int64, bool) {
	if !p.started {
		p.started = true
		for i := range l.conns {
			p.drained(l, &l.conns[i], now)
		}
	}
	if now < p.until {
		return p.until, l.open == 0
	}
	return p.giveUp, l.settled(now > p.giveUp)
}

func (p *closedPhase) drained(l *loop, c *conn, now int64) {
	if c.state != stateOpen || now >= p.until {
		return
	}
	for range c.room(p.inflight) {
		l.request(c, now)
		if p.separate {
			l.flush(c)
		}
	}
	l.flush(c)
}

// openPhase sends each request when it is due. A connection whose requests
// are unanswered up to inflight lets the due ones wait: their latency goes on.
type openPhase struct {
	idlePhase
	inflight      int
	plan          schedule
	next          int64 // request of the plan
	until, giveUp int64
}

func (p *openPhase) tick(l *loop, now int64) (int64, bool) {
	for due := p.plan.due(p.next); due <= now && due < p.until; due = p.plan.due(p.next) {
		l.tally.late(now - due)
		c := &l.conns[p.plan.conn(p.next)]
		p.next++
		c.due++
		p.drained(l, c, now)
	}
	if due := p.plan.due(p.next); due < p.until {
		return due, l.open == 0
	}
	if now > p.giveUp {
		p.abandon(l, now)
		return now, true
	}
	return p.giveUp, l.backlog() == 0 && l.settled(false)
}

// drained sends what is due on c and has room.
func (p *openPhase) drained(l *loop, c *conn, _ int64) {
	if c.state != stateOpen {
		return
	}
	slot := (c.index - l.number) / l.cfg.Threads
	for room := c.room(p.inflight); room > 0 && c.issued < c.due; room-- {
		l.request(c, p.plan.dueOf(slot, c.issued))
		c.issued++
	}
	l.flush(c)
}

// abandon ends a phase whose time to drain is over: what never could be sent
// is counted as unanswered too.
func (p *openPhase) abandon(l *loop, now int64) {
	for i := range l.conns {
		c := &l.conns[i]
		for ; c.issued < c.due; c.issued++ {
			at := p.plan.dueOf(i, c.issued)
			l.tally.fail(KindUnanswered)
			if l.span.has(at, now) {
				l.tally.record(now - at)
			}
		}
	}
	l.settled(true)
}

// backlog is how many requests are due and not sent.
func (l *loop) backlog() (n int64) {
	for i := range l.conns {
		n += l.conns[i].due - l.conns[i].issued
	}
	return n
}

// settled tells whether nothing is in flight any more; with force it gives
// up what is.
func (l *loop) settled(force bool) bool {
	for i := range l.conns {
		c := &l.conns[i]
		if len(c.inflight) == 0 {
			continue
		}
		if !force {
			return false
		}
		l.abandon(c)
	}
	return true
}

// onceParallel bounds the answers that oncePhase waits for at a time.
const onceParallel = 256

// oncePhase sends one request on every connection that has sent none yet.
type oncePhase struct {
	idlePhase
	next   int
	giveUp int64
}

func (p *oncePhase) tick(l *loop, now int64) (int64, bool) {
	out := 0
	for i := range p.next {
		out += len(l.conns[i].inflight)
	}
	for ; p.next < len(l.conns) && out < onceParallel; p.next++ {
		c := &l.conns[p.next]
		if c.state != stateOpen || c.lastID > 0 {
			continue
		}
		l.request(c, now)
		l.flush(c)
		out++
	}
	if p.next < len(l.conns) && now <= p.giveUp {
		return p.giveUp, false
	}
	return p.giveUp, l.settled(now > p.giveUp)
}
