package transport

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/cloudwego/netpoll"
	"golang.org/x/sys/unix"

	"github.com/holdfast-io/holdfast/idl/endpoint"
)

// receiveBufferBytes is what the kernel may hold of a client that nobody has read
// yet; it counts its own overhead too and doubles what it is told. Without a bound
// it grows up to tens of megabytes for one client, and netpoll reads all of it at a
// time.
const receiveBufferBytes = 128 << 10

// boundReceiving gives ln's connections that buffer, before the first of them.
func boundReceiving(ln *endpoint.Listener) error {
	sc, ok := ln.Listener.(syscall.Conn)
	if !ok {
		return fmt.Errorf("%T has no descriptor", ln.Listener)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	var setErr error
	err = raw.Control(func(fd uintptr) {
		setErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBufferBytes)
	})
	if err = errors.Join(err, setErr); err != nil {
		return fmt.Errorf("SO_RCVBUF: %w", err)
	}
	return nil
}

// doorway is the listener as netpoll accepts from it. A flood that the gatekeeper
// refuses ends here, before it costs a connection: netpoll closes one only when its
// poller comes round to it, and meanwhile the flood would take the descriptors that
// operators and backends need.
type doorway struct {
	*endpoint.Listener
	l *Listener
	// spare is a descriptor that is given up for a moment when there is no other,
	// to accept and close what waits. netpoll's own answer is to let it wait.
	// -1: there was none left to take. Used by one goroutine at a time: that which
	// accepts.
	spare int
}

// verdict is what the gatekeeper has said of the socket that was accepted last. nil
// is let in.
type verdict struct{ refusal *Refusal }

func newDoorway(l *Listener) *doorway {
	return &doorway{Listener: l.ln, l: l, spare: spareDescriptor()}
}

// Accept returns the next connection that is to be looked at, or nil when none
// waits or the next is none of those.
func (d *doorway) Accept() (net.Conn, error) {
	conn, err := d.Listener.Accept()
	if err != nil && d.spare >= 0 && (errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)) {
		return nil, d.shed()
	}
	if conn == nil || err != nil {
		return nil, err
	}
	refusal := d.l.Gate.Accept()
	if refusal != nil && d.l.Refusing.Load() >= refusingMax {
		d.turnAway(conn)
		return nil, nil
	}
	d.l.verdict.Store(&verdict{refusal})
	return conn, nil
}

// shed closes the connection that waits first, since there is no descriptor to
// keep it with. It reports an error when that takes the spare one for good.
func (d *doorway) shed() error {
	_ = unix.Close(d.spare)
	conn, err := d.Listener.Accept()
	if conn != nil {
		d.turnAway(conn)
	}
	d.spare = spareDescriptor()
	return err
}

// turnAway closes a connection that netpoll has not seen.
func (d *doorway) turnAway(conn net.Conn) {
	d.l.Metrics.accepted.Inc()
	_ = unix.Close(conn.(netpoll.Conn).Fd()) // nothing was read or written
}

// close gives up the spare descriptor.
func (d *doorway) close() {
	if d.spare >= 0 {
		_ = unix.Close(d.spare)
	}
}

// spareDescriptor is one of a thing that costs nothing, -1 if there is none.
func spareDescriptor() int {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return -1
	}
	return fd
}
