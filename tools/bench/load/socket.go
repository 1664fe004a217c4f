package load

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// dial begins a connection and returns at once; the socket becomes writable
// when it is there or has failed.
func dial(to address, from unix.Sockaddr) (fd int, err error) {
	fd, err = unix.Socket(to.family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if err := connect(fd, to, from); err != nil {
		_ = unix.Close(fd) // the first error is the one to tell
		return -1, err
	}
	return fd, nil
}

func connect(fd int, to address, from unix.Sockaddr) error {
	if from != nil {
		// The port is chosen at connect, by the whole four-tuple: bind alone
		// would run out of ports that are free for every destination.
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return fmt.Errorf("setsockopt: %w", err)
		}
		if err := unix.Bind(fd, from); err != nil {
			return fmt.Errorf("bind: %w", err)
		}
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("setsockopt: %w", err)
	}
	if err := unix.Connect(fd, to.remote); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

// connectError returns why a connection that was begun by dial failed.
func connectError(fd int) error {
	errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return fmt.Errorf("getsockopt: %w", err)
	}
	if errno != 0 {
		return unix.Errno(errno)
	}
	return nil
}

// abort closes fd with a reset, which leaves no TIME_WAIT behind. Use it only
// when nothing that was written still matters.
func abort(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 0})
	_ = unix.Close(fd) // the descriptor is gone either way
}

// read and write use raw calls: the sockets never block, so the scheduler
// need not be told.

func read(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}

func write(fd int, b []byte) (int, unix.Errno) {
	// sendto rather than write: MSG_NOSIGNAL keeps a peer that is gone from
	// raising SIGPIPE.
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		unix.MSG_NOSIGNAL, 0, 0)
	return int(n), errno
}
