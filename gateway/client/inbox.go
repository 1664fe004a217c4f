package client

import (
	"net"
	"time"
)

const (
	// readBufferBytes is where a connection's read buffer begins, and what it
	// goes back to after a large frame: several small frames in one read.
	readBufferBytes = 4 << 10
	// readBufferKeepBytes is the largest buffer that is kept while empty.
	readBufferKeepBytes = 64 << 10
)

// inbox is what has been read of a connection and not been taken yet. The
// reading goroutine owns it.
type inbox struct {
	conn       net.Conn
	buf        []byte
	start, end int
}

func newInbox(conn net.Conn) inbox { return inbox{conn: conn, buf: make([]byte, readBufferBytes)} }

// bytes is what is there; valid until the next fill.
func (b *inbox) bytes() []byte { return b.buf[b.start:b.end] }

// take removes n bytes from the front. They stay as they are until the next fill.
func (b *inbox) take(n int) { b.start += n }

// fill reads once, after it has made room. It waits for silence at most, and
// then fails with os.ErrDeadlineExceeded. The buffer grows only as bytes arrive,
// never from a length that the peer declared.
func (b *inbox) fill(silence time.Duration) error {
	if b.start == b.end {
		b.start, b.end = 0, 0
		if len(b.buf) > readBufferKeepBytes {
			b.buf = make([]byte, readBufferBytes)
		}
	}
	if b.end == len(b.buf) {
		buf := b.buf
		if b.start == 0 {
			buf = make([]byte, 2*len(b.buf))
		}
		b.end = copy(buf, b.buf[b.start:b.end])
		b.start, b.buf = 0, buf
	}
	if err := b.conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return err
	}
	n, err := b.conn.Read(b.buf[b.end:])
	b.end += n
	if n > 0 {
		return nil // an error beside bytes comes again with the next read
	}
	return err
}
