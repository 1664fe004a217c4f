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

// outbound is the frames that wait for write(2): those in b from off on. A
// connection holds one only while it has something to write.
type outbound struct {
	b   []byte
	off int
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
	limit := c.listener.limits.OutboundBytesMax
	if f.Type == wire.TypeReply {
		limit += c.listener.limits.ReplyBytesMax
	}
	if !c.roomLocked(len(f.Payload), limit) {
		return false
	}
	if c.phase != phaseOpen { // it may have changed during a write
		return true
	}
	if err := c.appendLocked(&f); err != nil {
		c.listener.log.Error("a frame of ours does not encode", "type", f.Type, "error", err)
	}
	return true
}

// QueueEncoded is Queue for frames that the caller has encoded as Encoding
// says, so that a broadcast is encoded once. It copies b.
func (c *Conn) QueueEncoded(b []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != phaseOpen {
		return true
	}
	if !c.roomLocked(len(b), c.listener.limits.OutboundBytesMax) {
		return false
	}
	if c.phase != phaseOpen { // it may have changed during a write
		return true
	}
	c.lendLocked()
	c.out.b = append(c.out.b, b...)
	return true
}

// roomLocked makes room for n more bytes under limit, by writing if need be: a
// run of frames that is queued before its Flush must not look like a slow
// client. A frame that finds the queue empty is always taken: the bound is on
// what a slow client lets pile up, and a frame has a bound of its own.
func (c *Conn) roomLocked(n, limit int) bool {
	if c.fitsLocked(n, limit) {
		return true
	}
	if c.writing == 0 && !c.waiting {
		c.writeLocked()
	}
	return c.phase != phaseOpen || c.fitsLocked(n, limit)
}

// fitsLocked does not count what is in write(2) just now: the socket may take it.
func (c *Conn) fitsLocked(n, limit int) bool {
	piled := c.queuedLocked() - c.writing
	return piled <= 0 || piled+n <= limit
}

// Encoding is how frames are encoded on this connection.
func (c *Conn) Encoding() wire.Encoding { return wire.Stream }

func (c *Conn) appendLocked(f *wire.Frame) error {
	c.lendLocked()
	b, err := wire.AppendStream(c.out.b, f)
	if err != nil {
		return err
	}
	c.out.b = b
	return nil
}

// Queued is how many bytes wait for the socket.
func (c *Conn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queuedLocked()
}

func (c *Conn) queuedLocked() int {
	if c.out == nil {
		return 0
	}
	return len(c.out.b) - c.out.off
}

func (c *Conn) lendLocked() {
	if c.out == nil {
		c.out = outPool.Get().(*outbound)
	}
}

// dropOutLocked gives the buffer back.
func (c *Conn) dropOutLocked() {
	if c.out != nil && cap(c.out.b) <= outKeepBytes {
		c.out.b, c.out.off = c.out.b[:0], 0
		outPool.Put(c.out)
	}
	c.out = nil
}

// Flush writes what is queued as far as the socket takes it; the writable loop
// does the rest. When somebody else is writing, that one takes it along.
func (c *Conn) Flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writing > 0 || c.waiting {
		return
	}
	c.writeLocked()
}

// writeLocked writes until the queue is empty or the socket refuses. It lets go
// of mu during write(2), so that frames queued meanwhile share the next one.
func (c *Conn) writeLocked() {
	for c.queuedLocked() > 0 {
		b := c.out.b[c.out.off:]
		c.writing = len(b)
		c.mu.Unlock()
		n, err := write(c.fd, b)
		c.mu.Lock()
		c.writing = 0
		if c.phase == phaseGone {
			return
		}
		c.out.off += n
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

// waitLocked leaves the rest of the queue to the writable loop. n bytes were
// taken just now.
func (c *Conn) waitLocked(n int) {
	now := c.listener.wheel.Now()
	if c.waitingSince == 0 || n >= progressBytes {
		c.waitingSince = now
	}
	// Once more than half is taken, what waits moves to the front, from a whole
	// frame on: a queue that never empties must not grow for ever.
	if o := c.out; o.off > len(o.b)/2 {
		start := frameStart(o.b, o.off)
		o.b, o.off = o.b[:copy(o.b, o.b[start:])], o.off-start
	}
	deadline := c.waitingSince + c.listener.limits.WriteTimeout.Milliseconds()
	if err := c.listener.writable.add(c); err != nil {
		// Nobody would ever continue: the wheel cuts the connection.
		c.phase, c.closeBy, deadline = phaseLingering, now, now
	} else {
		c.waiting, c.watched = true, true
	}
	c.listener.wheel.Set(&c.timer, c, deadline)
}

// resume continues after the socket has become writable. The writable loop
// calls it.
func (c *Conn) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.waiting || c.phase == phaseGone {
		return
	}
	c.waiting = false
	c.writeLocked()
}

// write gives b to a non-blocking socket. RawSyscall spares the scheduler's
// bookkeeping, which is right because the call cannot block.
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
