package transport

import (
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// progressBytes is how much of a waiting queue a client must take within the
// write deadline to be given another. Less than a segment in ten seconds is not
// reading.
const progressBytes = 1 << 10

// sealBytesMax is how much is encrypted at a time: one record. What has been
// encrypted can no longer be dropped.
const sealBytesMax = 16 << 10

// outbound is what waits for write(2): what is encrypted already and, behind
// it, the frames in b from off on. A connection holds one only while it has
// something to write.
type outbound struct {
	b   []byte
	off int

	sealed    []byte // only on TLS
	sealedOff int

	loose  []looseFrame // transient frames in b that may still be dropped, in order
	oldest int          // those before it have been
	dead   int          // their bytes, which are still in b
}

var outPool = sync.Pool{New: func() any { return &outbound{b: make([]byte, 0, 1<<10)} }}

// outKeepBytes is the largest buffer that goes back to the pool.
const outKeepBytes = 64 << 10

// Queue encodes f behind the frames that wait. They are written by the next
// Flush of anybody. It reports false when the client reads so slowly that the
// bound would be exceeded: f was not queued. On a connection that is on its way
// out it does nothing and reports true.
func (c *Conn) Queue(f wire.Frame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != phaseOpen {
		return true
	}
	limit := c.limits.OutboundBytesMax
	if f.Type == wire.TypeReply {
		limit += c.limits.ReplyBytesMax
	}
	if !c.roomLocked(len(f.Payload), limit) {
		return false
	}
	if c.phase != phaseOpen { // it may have changed during a write
		return true
	}
	c.queueLocked(&f)
	return true
}

// QueueAll is Queue for frames that belong together: all are queued or none.
// Whatever their size they are when nothing waits.
func (c *Conn) QueueAll(frames []wire.Frame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != phaseOpen {
		return true
	}
	size := 0
	for i := range frames {
		size += len(frames[i].Payload)
	}
	if !c.roomLocked(size, c.limits.OutboundBytesMax) {
		return false
	}
	if c.phase != phaseOpen { // it may have changed during a write
		return true
	}
	for i := range frames {
		c.queueLocked(&frames[i])
	}
	return true
}

// queueRaw puts bytes that are no frames behind what waits, within limit.
func (c *Conn) queueRaw(b []byte, limit int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != phaseOpen || !c.roomLocked(len(b), limit) || c.phase != phaseOpen {
		return false
	}
	c.lendLocked()
	c.out.b = append(c.out.b, b...)
	return true
}

// roomLocked reports whether n bytes more may wait, of a frame that must not be
// lost. What waits is written first where that makes room, so that a queue which was filled without a Flush does
// not look like a slow client. That lets go of the lock for a moment. Whoever
// has nothing waiting may queue whatever is not longer than one frame. The
// client is judged by what piles up behind the write under way.
func (c *Conn) roomLocked(n, limit int) bool {
	if c.fitsLocked(n, limit) {
		return true
	}
	if c.writing == 0 && !c.waiting {
		c.writeLocked()
	}
	return c.phase != phaseOpen || c.fitsLocked(n, limit) || c.makeRoomLocked(n, limit)
}

// makeRoomLocked drops transient frames that wait, oldest first, for one that
// must not be lost.
func (c *Conn) makeRoomLocked(n, limit int) bool {
	for !c.fitsLocked(n, limit) {
		if !c.out.dropOldest(c.inFlightLocked()) {
			return false
		}
	}
	return true
}

func (c *Conn) fitsLocked(n, limit int) bool {
	piled := c.queuedLocked() - c.writing
	return piled <= 0 || piled+n <= limit
}

// Encoding is the form that QueueTransient takes.
func (c *Conn) Encoding() wire.Encoding { return c.framing.encoding() }

func (c *Conn) queueLocked(f *wire.Frame) {
	if err := c.appendLocked(f); err != nil {
		c.listener.Log.Error("a frame of ours does not encode", "type", f.Type, "error", err)
	}
}

func (c *Conn) appendLocked(f *wire.Frame) error {
	c.lendLocked()
	b, err := appendFrame(c.framing, c.out.b, f)
	if err != nil {
		return err
	}
	c.out.b = b
	return nil
}

// Queued is how many bytes wait.
func (c *Conn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queuedLocked()
}

func (c *Conn) queuedLocked() int {
	o := c.out
	if o == nil {
		return 0
	}
	return len(o.b) - o.off - o.dead + len(o.sealed) - o.sealedOff
}

// backlogged reports whether something waits that the socket does not take.
func (c *Conn) backlogged() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting
}

func (c *Conn) lendLocked() {
	if c.out == nil {
		c.out = outPool.Get().(*outbound)
	}
}

func (c *Conn) dropOutLocked() {
	if o := c.out; o != nil && cap(o.b)+cap(o.sealed) <= outKeepBytes {
		clear(o.loose) // their keys
		*o = outbound{b: o.b[:0], sealed: o.sealed[:0], loose: o.loose[:0]}
		outPool.Put(o)
	}
	c.out = nil
}

// Flush writes what waits, as far as the socket takes it. When somebody writes
// already, or the socket is full, what waits follows by itself.
func (c *Conn) Flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writing > 0 || c.waiting {
		return
	}
	c.writeLocked()
}

// writeLocked writes until nothing waits or the socket is full. It lets go of
// the lock around each write(2), so that others can queue meanwhile; what they
// queue is written in the next round.
func (c *Conn) writeLocked() {
	for {
		b := c.nextLocked()
		if len(b) == 0 {
			break
		}
		c.writing = len(b)
		c.mu.Unlock()
		n, err := write(c.fd, b)
		c.mu.Lock()
		c.writing = 0
		if c.phase == phaseGone {
			return
		}
		c.wroteLocked(n)
		if err == unix.EAGAIN || (err == nil && n < len(b)) {
			c.waitLocked(n)
			return
		}
		if err != nil { // the peer is gone; netpoll will say so
			break
		}
	}
	c.dropOutLocked()
	c.waitingSince = 0
	if c.phase == phaseFlushing {
		c.lingerLocked()
	}
}

// nextLocked is what is to be written next, without what was dropped meanwhile.
func (c *Conn) nextLocked() []byte {
	if c.tls != nil {
		return c.sealNextLocked()
	}
	if c.out == nil {
		return nil
	}
	c.out.compact(c.listener.Wheel.Now())
	return c.out.b[c.out.off:]
}

// wroteLocked notes that the kernel has taken n bytes.
func (c *Conn) wroteLocked(n int) {
	o := c.out
	if c.tls != nil {
		o.sealedOff += n
		if o.sealedOff == len(o.sealed) {
			o.sealed, o.sealedOff = o.sealed[:0], 0
		}
		return
	}
	o.advance(n)
}

// waitLocked leaves the rest to the writable loop and starts the write
// deadline, or moves it when enough was taken.
func (c *Conn) waitLocked(n int) {
	now := c.listener.Wheel.Now()
	if c.waitingSince == 0 || n >= progressBytes {
		c.waitingSince = now
	}
	c.out.reclaim(c.framing)
	deadline := c.waitingSince + c.limits.WriteTimeout.Milliseconds()
	if err := c.listener.writable.add(c); err != nil {
		// Nobody would ever continue: the wheel cuts the connection.
		c.phase, c.closeBy, deadline = phaseLingering, now, now
	} else {
		c.waiting, c.watched = true, true
	}
	c.listener.Wheel.Set(&c.timer, c, deadline)
}

// resume goes on writing: the socket has room again.
func (c *Conn) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.waiting || c.phase == phaseGone {
		return
	}
	c.waiting = false
	c.writeLocked()
}

// write is send(2) without blocking and without a signal when the peer is gone.
// The raw system call spares the scheduler two transitions: it does not block.
func write(fd int, b []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
			unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
			continue
		default:
			return 0, errno
		}
	}
}
