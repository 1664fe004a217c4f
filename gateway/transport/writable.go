package transport

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// writable waits for sockets that refused bytes and continues their queues. It
// is one goroutine on an epoll set of its own, so that neither the poller nor
// whoever pushes ever waits for a slow client.
type writable struct {
	epfd  int
	wake  int // eventfd that ends run
	mu    sync.Mutex
	conns map[int32]*Conn // by descriptor; a connection leaves before its descriptor is closed
}

func newWritable() (*writable, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epfd)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(wake)}
	if err := unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, wake, &event); err != nil {
		unix.Close(wake)
		unix.Close(epfd)
		return nil, fmt.Errorf("epoll_ctl: %w", err)
	}
	return &writable{epfd: epfd, wake: wake, conns: make(map[int32]*Conn)}, nil
}

// add arms c's descriptor for one event. c.mu is held.
func (w *writable) add(c *Conn) error {
	fd := int32(c.fd)
	event := unix.EpollEvent{Events: unix.EPOLLOUT | unix.EPOLLONESHOT, Fd: fd}
	w.mu.Lock()
	defer w.mu.Unlock()
	op := unix.EPOLL_CTL_ADD
	if w.conns[fd] == c {
		op = unix.EPOLL_CTL_MOD
	}
	if err := unix.EpollCtl(w.epfd, op, c.fd, &event); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	w.conns[fd] = c
	return nil
}

// remove forgets c. Its descriptor must still be open.
func (w *writable) remove(c *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conns[int32(c.fd)] != c {
		return
	}
	delete(w.conns, int32(c.fd))
	// The kernel drops the descriptor from the set when it is closed; doing it
	// here spares an event for the descriptor's next owner.
	_ = unix.EpollCtl(w.epfd, unix.EPOLL_CTL_DEL, c.fd, nil)
}

// run continues writable connections until ctx is done.
func (w *writable) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _, _ = unix.Write(w.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) })
	defer stop()
	events := make([]unix.EpollEvent, 128)
	for {
		n, err := unix.EpollWait(w.epfd, events, -1)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("epoll_wait: %w", err)
		}
		for _, event := range events[:n] {
			if event.Fd == int32(w.wake) {
				return nil
			}
			w.mu.Lock()
			c := w.conns[event.Fd]
			w.mu.Unlock()
			if c != nil { // it may be the descriptor's next owner: then resume finds nothing to do
				c.resume()
			}
		}
	}
}

// close frees the descriptors, after run has returned.
func (w *writable) close() {
	unix.Close(w.wake)
	unix.Close(w.epfd)
}
