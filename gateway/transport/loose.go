package transport

// looseFrame is a transient frame that waits and may be dropped for a newer one.
type looseFrame struct {
	start, end int // in outbound.b
	key        string
	until      int64 // wheel time after which it is not worth sending; 0: none
}

// QueueTransient queues a frame that a slow client may miss. b is encoded as
// Encoding says, so that a broadcast is encoded once, and is copied. A frame of
// the same key that still waits is dropped for it, unless key is empty. until is
// the time on the wheel's clock after which it is dropped unsent, 0 for never.
// When the bound would be exceeded, dropOldest makes room by dropping transient
// frames that wait, oldest first; when that does not help, or is not asked for,
// b is not queued and false is reported.
func (c *Conn) QueueTransient(b []byte, key string, until int64, dropOldest bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != phaseOpen {
		return true
	}
	limit := c.limits.OutboundBytesMax
	if key != "" && c.out != nil {
		c.out.dropKey(key, c.inFlightLocked())
	}
	if !c.fitsLocked(len(b), limit) && c.writing == 0 && !c.waiting {
		c.writeLocked()
	}
	if c.phase == phaseOpen && !c.fitsLocked(len(b), limit) && !(dropOldest && c.makeRoomLocked(len(b), limit)) {
		return false
	}
	if c.phase != phaseOpen { // it may have changed during a write
		return true
	}
	c.lendLocked()
	if c.out.dead > limit/deadShare && c.writing == 0 {
		c.out.compact(c.listener.Wheel.Now())
	}
	start := len(c.out.b)
	c.out.b = c.framing.appendEncoded(c.out.b, b)
	// A client that keeps up gets it with the next Flush: only what waits for a
	// slow one is worth a note.
	if c.waiting {
		c.out.loose = append(c.out.loose, looseFrame{start, len(c.out.b), key, until})
	}
	return true
}

// deadShare of the bound may be taken by dropped frames before the rest is moved
// together: while a client reads nothing, no write does it.
const deadShare = 8

// inFlightLocked is up to where b is in a write under way.
func (c *Conn) inFlightLocked() int {
	if c.tls != nil { // what is being written is a copy
		return c.out.off
	}
	return c.out.off + c.writing
}

// dropKey drops the frame of that key that waits beyond from.
func (o *outbound) dropKey(key string, from int) {
	for i := range o.loose {
		if l := &o.loose[i]; l.key == key && l.start >= from {
			o.kill(l)
			return // there is never more than one
		}
	}
}

// dropOldest drops the first frame beyond from that may be dropped.
func (o *outbound) dropOldest(from int) bool {
	for ; o.oldest < len(o.loose); o.oldest++ {
		if l := &o.loose[o.oldest]; l.start >= from && !l.killed() {
			o.kill(l)
			return true
		}
	}
	return false
}

// killed frames stay in b until compact, since moving what is behind them for
// each would cost more than it frees.
func (l *looseFrame) killed() bool { return l.until < 0 }

func (o *outbound) kill(l *looseFrame) {
	o.dead += l.end - l.start
	l.key, l.until = "", -1
}

// compact removes from b what has been dropped or is not worth sending at now.
// Nothing of b may be in a write.
func (o *outbound) compact(now int64) {
	if len(o.loose) == 0 {
		return
	}
	for i := range o.loose {
		if l := &o.loose[i]; l.until > 0 && l.until < now {
			o.kill(l)
		}
	}
	if o.dead == 0 {
		return
	}
	kept := o.loose[:0]
	to, from, moved := o.loose[0].start, o.loose[0].start, 0
	for _, l := range o.loose {
		to += copy(o.b[to:], o.b[from:l.start]) // what stands between this and the one before
		from = l.start
		if l.killed() {
			moved += l.end - l.start
			from = l.end
			continue
		}
		l.start -= moved
		l.end -= moved
		kept = append(kept, l)
	}
	to += copy(o.b[to:], o.b[from:])
	clear(o.loose[len(kept):])
	o.b, o.loose, o.dead, o.oldest = o.b[:to], kept, 0, 0
}

// advance notes that n bytes of b are on their way: the frames that begin among
// them can no longer be dropped.
func (o *outbound) advance(n int) {
	o.off += n
	sent := 0
	for sent < len(o.loose) && o.loose[sent].start < o.off {
		sent++
	}
	if sent > 0 {
		o.loose, o.oldest = append(o.loose[:0], o.loose[sent:]...), 0
	}
}

// reclaim moves what waits to the front once more than half of b is taken, from
// a whole frame on: a queue that never empties must not grow for ever.
func (o *outbound) reclaim(f framing) {
	if o.off <= len(o.b)/2 {
		return
	}
	start := frameStart(f, o.b, o.off)
	if _, raw := f.(rawFraming); raw { // nobody asks where something begins
		start = o.off
	}
	if start == 0 {
		return
	}
	o.b, o.off = o.b[:copy(o.b, o.b[start:])], o.off-start
	for i := range o.loose {
		o.loose[i].start -= start
		o.loose[i].end -= start
	}
}
