package client

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// tcpTransport is the raw stream, with or without TLS: each frame behind its
// length.
type tcpTransport struct {
	conn net.Conn
	in   inbox // owned by the reading goroutine
}

func dialTCP(ctx context.Context, d *dialer, to target) (transport, error) {
	conn, err := d.connect(ctx, to, alpnStream)
	if err != nil {
		return nil, err
	}
	return &tcpTransport{conn: conn, in: newInbox(conn)}, nil
}

func (t *tcpTransport) Append(dst []byte, f *wire.Frame) ([]byte, error) {
	return wire.AppendStream(dst, f)
}

func (t *tcpTransport) Write(b []byte, timeout time.Duration) error {
	return writeWithin(t.conn, b, timeout)
}

func (t *tcpTransport) Read(silence time.Duration) (wire.Frame, error) {
	for {
		// max_frame is what the gateway accepts. What it may send is bounded
		// by the protocol's own limit only, since a client that cut a gateway
		// for a large reply would meet the same reply after reconnecting.
		f, size, err := wire.ParseStream(t.in.bytes(), wire.FrameBytesMax, wire.FromGateway)
		if !errors.Is(err, wire.ErrIncomplete) {
			t.in.take(size)
			return f, err
		}
		if err := t.in.fill(silence); err != nil {
			return wire.Frame{}, err
		}
	}
}

func (t *tcpTransport) CloseWrite() error { return closeWrite(t.conn) }

func (t *tcpTransport) Close() error { return t.conn.Close() }
