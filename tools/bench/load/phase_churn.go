package load

// churnPhase opens and ends connections as fast as it can, every slot of the
// loop one after the other. An exchange is one session: from the beginning of
// the connection to WELCOME.
type churnPhase struct {
	idlePhase
	until, giveUp int64
}

func (p *churnPhase) tick(l *loop, now int64) (int64, bool) {
	l.expire(now)
	busy := 0
	for i := range l.conns {
		if l.conns[i].state == stateFree && now < p.until {
			l.begin(i)
		}
		if l.conns[i].state != stateFree {
			busy++
		}
	}
	if now < p.until {
		return now + int64(waitMax), false
	}
	if now > p.giveUp {
		l.releaseAll()
		return now, true
	}
	return now + int64(waitMax), busy == 0
}

func (p *churnPhase) opened(l *loop, c *conn, now int64) {
	l.record(c.begun, now)
	l.leave(c)
}
