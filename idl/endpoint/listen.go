// Package endpoint is how the addresses of the contract's services are spelled
// and listened on: host:port, or unix:/path for processes side by side. Gateways,
// backends and client listeners share it. It knows no RPC.
package endpoint

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Listener is a listening socket in the form that netpoll polls (a
// descriptor). It is not netpoll's own: that one closes its descriptor twice,
// the second time when the number may already belong to another file, and a
// backend process has databases open.
//
// Close only stops the socket from listening; Release gives up the descriptor,
// when nothing polls it any more.
type Listener struct {
	net.Listener
	fd   int // a duplicate, whose number stays ours until Release
	tcp  bool
	once sync.Once

	polled   chan struct{} // closed when a poller has asked for the descriptor
	pollOnce sync.Once
}

// Listen opens the socket that a setting (see ParseListen) names. A unix socket is private to the
// user, and takes the place of one that was left behind by a dead process.
func Listen(setting string) (*Listener, error) {
	network, address, err := ParseListen(setting)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	ln, err := net.Listen(network, address)
	if network == "unix" && errors.Is(err, syscall.EADDRINUSE) && abandonedSocket(address) {
		if err = os.Remove(address); err == nil {
			ln, err = net.Listen(network, address)
		}
	}
	if err != nil {
		return nil, err // says what and where: listen tcp 127.0.0.1:7081: bind: address already in use
	}
	if network == "unix" {
		if err := os.Chmod(address, 0o600); err != nil {
			return nil, errors.Join(err, ln.Close())
		}
	}
	fd, err := duplicate(ln)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen %s: %w", setting, err), ln.Close())
	}
	return &Listener{Listener: ln, fd: fd, tcp: network == "tcp", polled: make(chan struct{})}, nil
}

// duplicate returns a second descriptor of ln's socket. It does not block either.
func duplicate(ln net.Listener) (fd int, err error) {
	sc, ok := ln.(syscall.Conn)
	if !ok {
		return 0, fmt.Errorf("%T has no descriptor", ln)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, err
	}
	var dupErr error
	err = raw.Control(func(own uintptr) {
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		if fd, dupErr = syscall.Dup(int(own)); dupErr == nil {
			syscall.CloseOnExec(fd)
		}
	})
	return fd, errors.Join(err, dupErr)
}

// abandonedSocket reports whether path is a socket that nobody listens on.
func abandonedSocket(path string) bool {
	st, err := os.Lstat(path)
	if err != nil || st.Mode()&os.ModeSocket == 0 {
		return false
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = c.Close() // it was only to see whether someone answers
		return false
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// Fd implements netpoll's Listener.
func (l *Listener) Fd() int {
	l.pollOnce.Do(func() { close(l.polled) })
	return l.fd
}

// Accept returns the next connection, or nil when none waits.
func (l *Listener) Accept() (net.Conn, error) {
	fd, peer, err := l.accept()
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.ECONNABORTED), errors.Is(err, syscall.EINTR):
		return nil, nil
	case err != nil:
		return nil, err
	}
	if l.tcp {
		// Without it small replies wait for acknowledgements. It fails only on a
		// connection that is gone, which reading will show.
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	}
	return &conn{fd: fd, local: l.Addr(), remote: peerAddr(peer)}, nil
}

func (l *Listener) accept() (fd int, peer syscall.Sockaddr, err error) {
	return syscall.Accept4(l.fd, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
}

// Polled is closed when a poller has asked for the descriptor: only then may the
// server be stopped.
func (l *Listener) Polled() <-chan struct{} { return l.polled }

// Close makes the kernel refuse connections. The descriptor stays.
func (l *Listener) Close() error {
	var err error
	l.once.Do(func() { err = syscall.Shutdown(l.fd, syscall.SHUT_RDWR) })
	return err
}

// Release closes the socket. Nothing may poll it any more.
func (l *Listener) Release() error {
	return errors.Join(syscall.Close(l.fd), l.Listener.Close())
}

func peerAddr(sa syscall.Sockaddr) net.Addr {
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port}
	case *syscall.SockaddrInet6:
		return &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port}
	default:
		return &net.UnixAddr{Net: "unix"}
	}
}

// conn hands an accepted descriptor to netpoll, which does all reading and
// writing by itself and asks no more than the descriptor and the addresses.
type conn struct {
	net.Conn // nil: never used
	fd       int
	local    net.Addr
	remote   net.Addr
}

// Fd implements netpoll's Conn.
func (c *conn) Fd() int { return c.fd }

// LocalAddr implements net.Conn.
func (c *conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return c.remote }
