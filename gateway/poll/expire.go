package poll

// WakeAt asks for Receiver.Expire at a time of the wheel's clock that may be
// earlier than what Expire returned last.
func (c *Conn) WakeAt(at int64) {
	c.mu.Lock()
	c.receiverAt = earlier(c.receiverAt, at)
	c.mu.Unlock()
	c.srv.wheel.Set(&c.timer, c, at)
}

// Expire implements wheel.Owner: it answers calls that have waited long enough,
// keeps a stream alive, wakes the receiver, and tells it when all is over.
func (c *Conn) Expire(now int64) (next int64) {
	c.mu.Lock()
	if c.phase != phaseOpen {
		r, told := c.Receiver(), c.told
		if r == nil && !told { // Accept has closed it and not returned yet
			c.mu.Unlock()
			return now + 1
		}
		c.told = true
		c.mu.Unlock()
		c.srv.wheel.Stop(&c.timer)
		if !told {
			r.Closed()
		}
		return 0
	}
	c.getDue = c.getDue || c.get != nil && c.getBy <= now
	c.beatDue = c.beatDue || c.stream != nil && c.beatBy <= now
	if p := c.post; p != nil && p.wait && p.by <= now {
		p.due = true
	}
	wake := c.receiverAt != 0 && c.receiverAt <= now
	if wake {
		c.receiverAt = 0
	}
	c.mu.Unlock()
	c.Flush()
	if wake {
		if at := c.Receiver().Expire(now); at != 0 {
			c.mu.Lock()
			c.receiverAt = earlier(c.receiverAt, at)
			c.mu.Unlock()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nextTimeLocked(now)
}

// nextTimeLocked is when to look again, 0 for never.
func (c *Conn) nextTimeLocked(now int64) (at int64) {
	if c.phase != phaseOpen {
		return now + 1
	}
	at = c.receiverAt
	if c.get != nil {
		at = earlier(at, c.getBy)
	}
	if c.stream != nil {
		at = earlier(at, c.beatBy)
	}
	if c.post != nil && c.post.wait {
		at = earlier(at, c.post.by)
	}
	return at
}

// earlier is the earlier of two times of which 0 is never.
func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
