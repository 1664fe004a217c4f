package load

import (
	"context"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

const (
	// frameBytesMax is the largest frame a loader takes: what the gateway's
	// default allows.
	frameBytesMax = 64 << 10
	// readBytes is the shared read buffer: the rest of a frame and a good
	// piece behind it.
	readBytes = 256 << 10
	// waitMax bounds one wait, so that a cancelled context and the time-outs
	// of a phase are seen soon.
	waitMax = 50 * time.Millisecond
	// rawWindow stands for WELCOME's window where there is no WELCOME.
	rawWindow = 1 << 10
)

// phase is what a loop does with its connections for a while. All methods
// run on the loop's thread.
type phase interface {
	// tick does what is due at now and returns when it wants to be called
	// next at the latest, and whether the phase is over.
	tick(l *loop, now int64) (next int64, done bool)
	// opened tells of a connection that can be used from now on.
	opened(l *loop, c *conn, now int64)
	// drained tells that all frames of one read were handled: write now.
	drained(l *loop, c *conn, now int64)
	// gone tells that c has lost its socket.
	gone(l *loop, c *conn, now int64)
}

// loop is one thread's share of a fleet: its connections, its epoll instance
// and the buffers that all of them share.
type loop struct {
	// Static after newLoop.
	cfg    Config
	to     address
	via    transport
	number int // of this loop, from 0
	epoch  time.Time
	poll   *poller

	// Owned by the thread in run; by the Fleet between two phases.
	conns   []conn
	opening []int // slots on their way to open
	open    int   // how many are open
	phase   phase
	span    span
	tally   *Tally
	rbuf    []byte
	plain   []byte // the same, decrypted
	masks   uint64 // how many messages were masked
	wbuf    []byte
	command []byte
	payload []byte
	rawSize int // bytes of one REQUEST with this payload
}

func newLoop(cfg Config, number int, epoch time.Time) (*loop, error) {
	to, err := resolve(cfg.Endpoint) // each loop its own: the kernel's form is written to by every connect
	if err != nil {
		return nil, err
	}
	via, err := transportOf(cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	l := &loop{cfg: cfg, to: to, number: number, epoch: epoch, poll: p,
		tally: NewTally(), rbuf: make([]byte, readBytes), command: []byte(echoCommand)}
	l.via = via
	if via.tls {
		l.plain = make([]byte, readBytes)
	}
	return l, nil
}

// now is the loop's clock: nanoseconds since the fleet was made.
func (l *loop) now() int64 { return int64(time.Since(l.epoch)) }

// run lets p work until it is over or ctx is done.
func (l *loop) run(ctx context.Context, p phase) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	sharpenTimers()
	l.phase = p
	for {
		now := l.now()
		next, done := p.tick(l, now)
		if done {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		events, err := l.poll.wait(min(time.Duration(max(next-l.now(), 0)), waitMax))
		if err != nil {
			return err
		}
		for i := range events {
			l.event(&events[i])
		}
	}
}

func (l *loop) event(ev *unix.EpollEvent) {
	c := &l.conns[ev.Fd]
	if c.gen != ev.Pad {
		return // of a connection that ended earlier in this batch
	}
	if c.state == stateConnecting {
		l.connected(c)
	} else if ev.Events&unix.EPOLLOUT != 0 {
		l.writable(c)
	}
	const ended = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	if ev.Events&(unix.EPOLLIN|ended) != 0 && c.gen == ev.Pad {
		l.readable(c, ev.Events&ended != 0)
	}
}

// setSize makes the payload of the next phase.
func (l *loop) setSize(size int) {
	l.payload = make([]byte, size)
	for i := range l.payload {
		l.payload[i] = byte('a' + i%26)
	}
	l.rawSize = frameSize(size)
}

// frameSize returns the bytes of one REQUEST on the stream, its length
// included.
func frameSize(payload int) int {
	f := wire.Frame{Type: wire.TypeRequest, ID: 1, Command: []byte(echoCommand), Payload: make([]byte, payload)}
	b, err := wire.AppendStream(nil, &f)
	if err != nil {
		return -1 // too large for any gateway
	}
	return len(b)
}
