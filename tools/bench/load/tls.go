package load

import (
	"crypto/tls"
	"net"
	"time"
)

// clientTLS is how every loader speaks TLS. It measures a gateway on the same
// machine and believes every certificate. Without a session cache each
// handshake is a full one.
var clientTLS = &tls.Config{
	InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, NextProtos: []string{"holdfast.v1", "http/1.1"},
	DynamicRecordSizingDisabled: true,
}

// tlsEnd is the client's end of a TLS connection, over buffers: crypto/tls reads
// what the loop has read and writes to what the loop will write. The handshake is
// a goroutine of its own, since crypto/tls would wait for bytes in the middle of
// it; it runs only while step waits for it, so nothing here needs a lock, and it
// is over before the connection is open. After that there is no goroutine.
type tlsEnd struct {
	conn *tls.Conn
	in   []byte // not yet read; the loop's
	out  []byte // not yet sent

	// Only while shaking hands.
	shaking bool
	feed    chan bool  // true: there is more in; false: give up
	rest    chan error // errAgain: more is needed; else how the handshake went
}

// newTLSEnd returns the end of a connection on which nothing has been said. step
// goes on with its handshake, or drop ends it.
func newTLSEnd() *tlsEnd {
	e := &tlsEnd{shaking: true}
	e.conn = tls.Client((*tlsSocket)(e), clientTLS)
	return e
}

// step lets the handshake go on with b. It is over when done.
func (e *tlsEnd) step(b []byte) (done bool, err error) {
	e.in = b
	if e.feed == nil { // the first
		e.feed, e.rest = make(chan bool), make(chan error)
		go func() { e.rest <- e.conn.Handshake() }() // it ends before the last step, or drop, returns
	} else {
		e.feed <- true
	}
	if err = <-e.rest; err == errAgain {
		return false, nil
	}
	e.shaking, e.feed, e.rest = false, nil, nil
	return true, err
}

// drop ends a handshake that is under way, and waits for its goroutine.
func (e *tlsEnd) drop() {
	for e.shaking && e.feed != nil {
		e.feed <- false
		e.shaking = <-e.rest == errAgain
	}
}

// seal returns b encrypted, behind what TLS itself has to say. It is valid until
// the next call.
func (e *tlsEnd) seal(b []byte) ([]byte, error) {
	if len(b) > 0 {
		if _, err := e.conn.Write(b); err != nil {
			return nil, err
		}
	}
	out := e.out
	e.out = e.out[:0]
	return out, nil
}

// again is what crypto/tls gets when no bytes are there: it can be called again
// after an error that is Temporary.
type again struct{}

func (again) Error() string   { return "load: no bytes yet" }
func (again) Timeout() bool   { return false }
func (again) Temporary() bool { return true }

var errAgain net.Error = again{}

// tlsSocket is a tlsEnd as crypto/tls sees it.
type tlsSocket tlsEnd

func (s *tlsSocket) Read(p []byte) (int, error) {
	for len(s.in) == 0 {
		if !s.shaking {
			return 0, errAgain
		}
		s.rest <- errAgain
		if !<-s.feed {
			return 0, net.ErrClosed
		}
	}
	n := copy(p, s.in)
	s.in = s.in[n:]
	return n, nil
}

func (s *tlsSocket) Write(b []byte) (int, error) {
	s.out = append(s.out, b...)
	return len(b), nil
}

// The rest is asked for by nobody.
func (s *tlsSocket) Close() error                     { return nil }
func (s *tlsSocket) LocalAddr() net.Addr              { return nil }
func (s *tlsSocket) RemoteAddr() net.Addr             { return nil }
func (s *tlsSocket) SetDeadline(time.Time) error      { return nil }
func (s *tlsSocket) SetReadDeadline(time.Time) error  { return nil }
func (s *tlsSocket) SetWriteDeadline(time.Time) error { return nil }

// shake goes on with a connection's handshake and introduces it once that is
// over.
func (l *loop) shake(c *conn, b []byte, now int64) {
	done, err := c.tls.step(b)
	if err != nil {
		l.lose(c, KindTLS)
		return
	}
	gen := c.gen
	l.send(c, nil)
	if !done || c.gen != gen {
		return
	}
	l.introduce(c)
	if c.gen == gen {
		l.decrypt(c, c.tls.in, now) // what came behind the handshake
	}
}

// decrypt hands out what b says.
func (l *loop) decrypt(c *conn, b []byte, now int64) {
	c.tls.in = b
	for gen := c.gen; c.gen == gen; {
		have := copy(l.plain, c.partial)
		n, err := c.tls.conn.Read(l.plain[have:])
		if n > 0 {
			rest := l.take(c, l.plain[:have+n], now)
			if c.gen != gen {
				return
			}
			c.partial = append(c.partial[:0], rest...)
		}
		switch {
		case err == nil:
		case err == errAgain:
			if len(c.tls.out) > 0 { // TLS itself answers, to a key update
				l.send(c, nil)
			}
			return
		case c.state == stateLeaving: // close_notify; the end of the stream follows
			return
		default:
			l.lose(c, KindEOF)
			return
		}
	}
}
