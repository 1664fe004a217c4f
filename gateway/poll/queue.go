package poll

import (
	"slices"
	"sync"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// scratch are buffers to encode into. What is kept is copied out of them, to its
// exact size.
var scratch = sync.Pool{New: func() any {
	b := make([]byte, 0, 1<<10)
	return &b
}}

// scratchKeepBytes is the largest buffer that goes back to the pool.
const scratchKeepBytes = 64 << 10

func putScratch(b *[]byte) {
	if cap(*b) <= scratchKeepBytes {
		*b = (*b)[:0]
		scratch.Put(b)
	}
}

// Queue encodes f behind the frames that wait. The next Flush of anybody sends
// it to the call that waits, or it is kept for the next one. WELCOME answers the
// HELLO call instead. Queue reports false when the client reads so slowly that
// the bound would be exceeded: f was not queued. On a connection that is over it
// does nothing and reports true.
func (c *Conn) Queue(f wire.Frame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != phaseOpen {
		return true
	}
	limit := c.srv.cfg.OutboundBytesMax
	if f.Type == wire.TypeReply {
		if c.repeatedLocked(f.ID) {
			return true
		}
		limit += c.srv.cfg.ReplyBytesMax
	}
	if !c.list.fits(len(f.Payload)+itemBytes, limit) {
		return false
	}
	c.queueLocked(&f, false)
	return true
}

// QueueAll is Queue for frames that belong together: all are queued or none.
// When nothing waits they are, whatever their size, and do not count: that is a
// resume, which brings everything that the session has kept.
func (c *Conn) QueueAll(frames []wire.Frame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != phaseOpen {
		return true
	}
	size := 0
	for i := range frames {
		size += len(frames[i].Payload) + itemBytes
	}
	if !c.list.fits(size, c.srv.cfg.OutboundBytesMax) {
		return false
	}
	exempt := c.list.waiting <= 0
	for i := range frames {
		c.queueLocked(&frames[i], exempt)
	}
	return true
}

// QueueTransient queues a push without a seq, encoded as Encoding says. b stays
// the caller's. A push that waits with the same key, if there is one, gives way
// to it; dropOldest lets others do so too, oldest first. After until, on the
// wheel's clock, it is not sent any more; 0 is never. It reports false when the
// push was not queued.
func (c *Conn) QueueTransient(b []byte, key string, until int64, dropOldest bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != phaseOpen {
		return true
	}
	c.list.expire(c.Now())
	if !c.list.makeRoom(len(b)+itemBytes, c.srv.cfg.OutboundBytesMax, key, dropOldest) {
		return false
	}
	c.list.add(item{b: slices.Clone(b), kind: kindTransient, key: key, until: until})
	return true
}

func (c *Conn) queueLocked(f *wire.Frame, exempt bool) {
	it := item{exempt: exempt}
	switch f.Type {
	case wire.TypeWelcome:
		c.welcomeLocked(f)
		return
	case wire.TypeReply:
		if c.repeatedLocked(f.ID) {
			return
		}
		it.kind, it.id, it.forPost = kindReply, f.ID, c.wantedLocked(f.ID)
	case wire.TypePush:
		it.kind, it.seq = kindPush, f.Seq
		if f.Seq == 0 {
			it.kind = kindNotice
		}
	case wire.TypeGoAway:
		it.kind = kindNotice
		if wait := reconnectAfter(f); wait > 0 {
			c.retryAfter = wait
		}
	default:
		it.kind = kindNotice
	}
	if it.b = c.encode(f); it.b == nil {
		return
	}
	c.list.add(it)
	if it.kind == kindReply && c.window > 0 {
		c.list.shed(c.window, c.srv.cfg.ReplyBytesMax)
	}
}

// encode returns f as JSON in memory of its own, nil when it does not encode.
func (c *Conn) encode(f *wire.Frame) []byte {
	buf := scratch.Get().(*[]byte)
	defer putScratch(buf)
	b, err := wire.AppendJSON((*buf)[:0], f)
	*buf = b
	if err != nil {
		c.srv.log.Error("a frame of ours does not encode", "type", f.Type, "error", err)
		return nil
	}
	return slices.Clone(b)
}

// repeatedLocked reports whether the reply to a request is there already: the
// client has asked again. It stays where it is and is sent once more.
func (c *Conn) repeatedLocked(id uint32) bool {
	i := c.list.reply(id)
	if i < 0 {
		return false
	}
	wanted := c.wantedLocked(id)
	c.list.change(&c.list.items[i], func(it *item) {
		it.sent, it.posted = false, false
		it.forPost = it.forPost || wanted
	})
	return true
}

// wantedLocked reports whether the POST under way waits for the reply to id, and
// waits for it no longer.
func (c *Conn) wantedLocked(id uint32) bool {
	if c.post == nil {
		return false
	}
	i := slices.Index(c.post.wanted, id)
	if i >= 0 {
		c.post.wanted = slices.Delete(c.post.wanted, i, i+1)
	}
	return i >= 0
}

// welcomeLocked takes the answer to HELLO, and from it how many replies the
// session keeps.
func (c *Conn) welcomeLocked(f *wire.Frame) {
	w, err := wire.ParseWelcome(f.Payload)
	if err != nil {
		c.srv.log.Error("a welcome of ours does not parse", "error", err)
	} else {
		w.PollMS = c.srv.cfg.PollWait.Milliseconds()
		f.Payload = wire.AppendWelcome(nil, &w)
		c.window = w.Window
	}
	c.welcome = c.encode(f)
}

// reconnectAfter is how long a GOAWAY asks the client to wait.
func reconnectAfter(f *wire.Frame) time.Duration {
	g, err := wire.ParseGoAway(f.Payload)
	if err != nil { // said when it is encoded
		return 0
	}
	return time.Duration(g.ReconnectAfterMS) * time.Millisecond
}
