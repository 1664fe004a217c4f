package load

import "time"

// idlePhase has the methods that a phase without an interest in them embeds.
type idlePhase struct{}

func (idlePhase) opened(*loop, *conn, int64)  {}
func (idlePhase) drained(*loop, *conn, int64) {}
func (idlePhase) gone(*loop, *conn, int64)    {}

// connectPhase opens the loop's connections up to its number of slots.
type connectPhase struct {
	idlePhase
	next     int // slot
	parallel int
}

func (p *connectPhase) tick(l *loop, now int64) (int64, bool) {
	l.expire(now)
	for p.next < len(l.conns) && len(l.opening) < p.parallel {
		if l.conns[p.next].state == stateFree {
			l.begin(p.next)
		}
		p.next++
	}
	return now + int64(waitMax), p.next == len(l.conns) && len(l.opening) == 0
}

func (p *connectPhase) opened(l *loop, c *conn, now int64) { l.record(c.begun, now) }

// holdPhase keeps the connections alive until its context ends it.
type holdPhase struct{ idlePhase }

func (holdPhase) tick(_ *loop, now int64) (int64, bool) { return now + int64(waitMax), false }

const (
	// leaveParallel keeps the goodbyes of a large fleet from becoming a burst
	// that the gateway answers by resets.
	leaveParallel = 512
	// leaveTime bounds the wait for the peer's end of all streams.
	leaveTime = 5 * time.Second
)

// leavePhase closes every connection in an orderly way, and by force those
// whose peer does not follow.
type leavePhase struct {
	idlePhase
	next, leaving int
	until         int64
}

func (p *leavePhase) tick(l *loop, now int64) (int64, bool) {
	if p.until == 0 {
		p.until = now + int64(leaveTime)
	}
	for ; p.next < len(l.conns) && p.leaving < leaveParallel; p.next++ {
		c := &l.conns[p.next]
		if c.state != stateOpen {
			continue
		}
		p.leaving++
		l.leave(c)
	}
	if p.next == len(l.conns) && p.leaving == 0 {
		return now, true
	}
	if now > p.until {
		l.releaseAll()
		return now, true
	}
	return now + int64(waitMax), false
}

func (p *leavePhase) gone(_ *loop, c *conn, _ int64) {
	if p.leaving > 0 {
		p.leaving--
	}
}

// releaseAll closes whatever has a socket, without a word.
func (l *loop) releaseAll() {
	for i := range l.conns {
		if c := &l.conns[i]; c.state != stateFree {
			l.release(c)
		}
	}
}
