package load

import (
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// eventsMax bounds what one wait returns. More would make the first answer of
// a batch wait for the last, fewer would cost a system call more often.
const eventsMax = 256

// rawWaitMax bounds the waits of which the Go scheduler is not told, so that
// the thread keeps its processor. Giving it away and back was a third of the
// loader's CPU time in an open loop, which never waits for longer than a beat.
const rawWaitMax = 2 * beat

// poller is one epoll instance, edge-triggered: every socket is registered
// once and never changed, which saves a system call per blocked write.
type poller struct {
	fd     int
	events [eventsMax]unix.EpollEvent
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	return &poller{fd: fd}, nil
}

func (p *poller) close() { _ = unix.Close(p.fd) } // nothing to lose: epoll holds no data

// add registers fd. slot and gen come back with its events; gen tells the
// events of a closed connection from those of its successor in the same slot.
func (p *poller) add(fd, slot int, gen int32) error {
	ev := unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET,
		Fd:     int32(slot), Pad: gen,
	}
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// wait returns the events that are there, waiting for at most d. It returns
// none when d has passed or a signal came.
func (p *poller) wait(d time.Duration) ([]unix.EpollEvent, error) {
	// First without blocking and without telling the scheduler: under load
	// events are always there, and entering a blocking call costs more than
	// the call.
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd),
		uintptr(unsafe.Pointer(&p.events[0])), eventsMax, 0, 0, 0)
	if errno == 0 && n == 0 && d > 0 {
		n, errno = p.block(d)
	}
	switch errno {
	case 0:
		return p.events[:n], nil
	case unix.EINTR: // the Go runtime preempts with signals
		return nil, nil
	}
	return nil, os.NewSyscallError("epoll_pwait2", errno)
}

// block waits for events for at most d.
func (p *poller) block(d time.Duration) (uintptr, unix.Errno) {
	// epoll_pwait counts milliseconds, too coarse for an open loop.
	ts := unix.NsecToTimespec(int64(d))
	call := unix.Syscall6
	if d <= rawWaitMax {
		call = unix.RawSyscall6
	}
	n, _, errno := call(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd),
		uintptr(unsafe.Pointer(&p.events[0])), eventsMax, uintptr(unsafe.Pointer(&ts)), 0, 0)
	return n, errno
}

// sharpenTimers lets the calling thread's waits end on time: by default the
// kernel may end them 50 us late, half of what an open loop wants to measure.
func sharpenTimers() {
	// Without it the loop works, only less precisely.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
}
