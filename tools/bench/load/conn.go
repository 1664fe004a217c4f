package load

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

type connState uint8

const (
	stateFree       connState = iota // no socket
	stateConnecting                  // the kernel is at it
	stateShaking                     // hands, of TLS
	stateUpgrading                   // to a WebSocket
	stateGreeting                    // HELLO is out, WELCOME not yet in
	stateOpen
	stateLeaving // CLOSE is out, the end of the stream not yet in
)

// sent is one request in flight.
type sent struct {
	id uint32
	at int64 // when it was due (open loop) or written (closed loop)
}

// conn is one connection. It belongs to its loop.
type conn struct {
	fd    int
	index int   // in the whole fleet; stamps the payloads
	gen   int32 // grows with each socket, so that what was kept of an earlier one shows
	state connState

	begun    int64  // when the connection was begun
	window   int    // of WELCOME: requests that may be unanswered
	frameMax int    // of WELCOME
	lastID   uint32 // of requests, strictly increasing
	inflight []sent // oldest first; almost always answered in that order
	partial  []byte // the beginning of a frame whose rest has not come
	unsent   []byte // what the socket did not take

	tls *tlsEnd // nil where nothing is encrypted

	// Of the phase that runs.
	due, issued int64
}

// request appends one REQUEST to the loop's buffer; the caller flushes it
// before it turns to another connection. It does not allocate once the
// buffers have grown.
func (l *loop) request(c *conn, at int64) {
	c.lastID++
	stamp(l.payload, c.index, c.lastID)
	f := wire.Frame{Type: wire.TypeRequest, ID: c.lastID, Command: l.command, Payload: l.payload}
	l.append(&f)
	c.inflight = append(c.inflight, sent{id: c.lastID, at: at})
}

// append adds a frame of ours to the loop's buffer.
func (l *loop) append(f *wire.Frame) {
	var b []byte
	var err error
	if l.via.ws {
		l.masks++
		b, err = appendWS(l.wbuf, f, uint32(mix(l.masks)))
	} else {
		b, err = wire.AppendStream(l.wbuf, f)
	}
	if err != nil {
		panic(err) // our own frames fit: sizes are checked before a phase begins
	}
	l.wbuf = b
}

// flush writes the loop's buffer to c and keeps what the socket does not
// take. It may end the connection.
func (l *loop) flush(c *conn) {
	b := l.wbuf
	l.wbuf = l.wbuf[:0]
	if len(b) > 0 && c.state != stateFree {
		l.send(c, b)
	}
}

// send writes b to c, and what TLS has to say of its own.
func (l *loop) send(c *conn, b []byte) {
	if c.tls != nil {
		var err error
		if b, err = c.tls.seal(b); err != nil {
			l.lose(c, KindTLS)
			return
		}
	}
	if len(b) == 0 {
		return
	}
	if len(c.unsent) > 0 {
		c.unsent = append(c.unsent, b...)
		return
	}
	n, errno := write(c.fd, b)
	switch {
	case errno == unix.EAGAIN:
		n = 0
	case errno != 0:
		l.lose(c, KindReset)
		return
	}
	if n < len(b) {
		c.unsent = append(c.unsent, b[n:]...)
	}
}

// writable writes what flush had to keep.
func (l *loop) writable(c *conn) {
	for len(c.unsent) > 0 {
		n, errno := write(c.fd, c.unsent)
		switch {
		case errno == unix.EAGAIN:
			return
		case errno != 0:
			l.lose(c, KindReset)
			return
		}
		c.unsent = append(c.unsent[:0], c.unsent[n:]...)
	}
}

// readable takes all bytes the socket has. ended says that the peer's side is
// closed, so that the end must be read too: no other event will tell.
func (l *loop) readable(c *conn, ended bool) {
	for gen := c.gen; c.gen == gen; {
		have := 0
		if c.tls == nil { // what is kept of a TLS connection has been decrypted
			have = copy(l.rbuf, c.partial)
		}
		n, errno := read(c.fd, l.rbuf[have:])
		switch {
		case errno == unix.EAGAIN:
			return
		case errno != 0:
			l.lose(c, KindReset)
			return
		case n == 0:
			l.lose(c, KindEOF)
			return
		}
		now := l.now()
		l.came(c, l.rbuf[:have+n], now)
		if c.gen != gen {
			return
		}
		l.phase.drained(l, c, now)
		if have+n < len(l.rbuf) && !ended {
			return // a short read: nothing is left
		}
	}
}

// came handles the bytes of one read.
func (l *loop) came(c *conn, b []byte, now int64) {
	switch {
	case c.state == stateShaking:
		l.shake(c, b, now)
	case c.tls != nil:
		l.decrypt(c, b, now)
	default:
		gen := c.gen
		rest := l.take(c, b, now)
		if c.gen == gen {
			c.partial = append(c.partial[:0], rest...)
		}
	}
}

// answered removes request id from those in flight.
func (c *conn) answered(id uint32) (at int64, ok bool) {
	for i := range c.inflight {
		if c.inflight[i].id == id {
			at = c.inflight[i].at
			c.inflight = slices.Delete(c.inflight, i, i+1)
			return at, true
		}
	}
	return 0, false
}

// room is how many more requests c may have in flight under limit.
func (c *conn) room(limit int) int { return min(limit, c.window) - len(c.inflight) }
