package client

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

const (
	// readBufferBytes is where a connection's read buffer begins, and what it
	// goes back to after a large frame: several small frames in one read.
	readBufferBytes = 4 << 10
	// readBufferKeepBytes is the largest buffer that is kept while empty.
	readBufferKeepBytes = 64 << 10
)

// tcpTransport is the raw stream: each frame behind its length.
type tcpTransport struct {
	conn net.Conn

	// owned by the reading goroutine
	buf        []byte
	start, end int // buf[start:end] has been read and not been parsed
}

func dialTCP(ctx context.Context, dial dialFunc, address string) (transport, error) {
	conn, err := dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &tcpTransport{conn: conn, buf: make([]byte, readBufferBytes)}, nil
}

func (t *tcpTransport) Append(dst []byte, f *wire.Frame) ([]byte, error) {
	return wire.AppendStream(dst, f)
}

func (t *tcpTransport) Write(b []byte, timeout time.Duration) error {
	if err := t.conn.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	_, err := t.conn.Write(b)
	return err
}

func (t *tcpTransport) Read(silence time.Duration) (wire.Frame, error) {
	for {
		// max_frame is what the gateway accepts. What it may send is bounded
		// by the protocol's own limit only, since a client that cut a gateway
		// for a large reply would meet the same reply after reconnecting.
		f, size, err := wire.ParseStream(t.buf[t.start:t.end], wire.FrameBytesMax, wire.FromGateway)
		if !errors.Is(err, wire.ErrIncomplete) {
			t.start += size
			return f, err
		}
		if err := t.fill(silence); err != nil {
			return wire.Frame{}, err
		}
	}
}

// fill reads once, after it has made room. The buffer grows only as bytes
// arrive, never from a length that the peer declared.
func (t *tcpTransport) fill(silence time.Duration) error {
	if t.start == t.end {
		t.start, t.end = 0, 0
		if len(t.buf) > readBufferKeepBytes {
			t.buf = make([]byte, readBufferBytes)
		}
	}
	if t.end == len(t.buf) {
		buf := t.buf
		if t.start == 0 {
			buf = make([]byte, 2*len(t.buf))
		}
		t.end = copy(buf, t.buf[t.start:t.end])
		t.start, t.buf = 0, buf
	}
	if err := t.conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return err
	}
	n, err := t.conn.Read(t.buf[t.end:])
	t.end += n
	if n > 0 {
		return nil // an error beside bytes comes again with the next read
	}
	return err
}

func (t *tcpTransport) CloseWrite() error {
	if half, ok := t.conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

func (t *tcpTransport) Close() error { return t.conn.Close() }
