package secure

import (
	"net"
	"time"
)

// again is what the socket says to crypto/tls when no bytes are there. It keeps
// its state for errors that are Temporary, and can be called again.
type again struct{}

func (again) Error() string   { return "secure: no bytes yet" }
func (again) Timeout() bool   { return false }
func (again) Temporary() bool { return true }

var errAgain net.Error = again{}

// socket is a Conn as crypto/tls sees it: the bytes that came, and a place for
// those that go. Only its Read waits, and only while shaking hands.
type socket Conn

// Read gives what was fed. Once the handshake is over it never waits.
func (s *socket) Read(p []byte) (int, error) {
	c := (*Conn)(s)
	for {
		c.mu.Lock()
		h, phase := c.shaking, c.phase
		in := &c.came
		if phase == phaseOpen {
			in = &c.fed
		}
		if len(*in) > 0 {
			n := copy(p, *in)
			if *in = (*in)[n:]; len(*in) == 0 {
				*in = nil // the last bytes have gone: so does their buffer
			}
			c.mu.Unlock()
			return n, nil
		}
		c.mu.Unlock()
		switch phase {
		case phaseOpen:
			return 0, errAgain
		case phaseShaking:
		default:
			return 0, net.ErrClosed
		}
		c.tell() // the flight that the client's answer is waited for
		if err := h.wait(); err != nil {
			return 0, err
		}
	}
}

// Write keeps b until it is sealed or taken.
func (s *socket) Write(b []byte) (int, error) {
	c := (*Conn)(s)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.phase == phaseClosed:
		return 0, net.ErrClosed
	case c.sealing:
		c.sealed = append(c.sealed, b...)
	default:
		c.pending = append(c.pending, b...)
	}
	return len(b), nil
}

// Close does nothing: crypto/tls is never asked to close.
func (s *socket) Close() error { return nil }

// LocalAddr and RemoteAddr are asked for by nobody.
func (s *socket) LocalAddr() net.Addr  { return nil }
func (s *socket) RemoteAddr() net.Addr { return nil }

// The deadlines are the handshake's own: see handshake.wait.
func (s *socket) SetDeadline(time.Time) error      { return nil }
func (s *socket) SetReadDeadline(time.Time) error  { return nil }
func (s *socket) SetWriteDeadline(time.Time) error { return nil }
