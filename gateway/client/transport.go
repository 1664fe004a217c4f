package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// transport carries frames over one connection, in the form that its kind of
// connection wants. One goroutine reads and one writes; Close may come from any.
type transport interface {
	// Append encodes f behind dst, ready for Write. It adds nothing for a
	// frame that the transport expresses in another way. Calls may come from
	// any goroutine, never two at once.
	Append(dst []byte, f *wire.Frame) ([]byte, error)
	// Write sends what one or more calls of Append made, within timeout.
	Write(b []byte, timeout time.Duration) error
	// Read returns the next frame. Its slices are valid until the next Read.
	// It fails with os.ErrDeadlineExceeded when no byte comes for silence, and
	// with a *CloseError where the gateway refuses in another way than by a
	// frame.
	Read(silence time.Duration) (wire.Frame, error)
	// CloseWrite tells the peer that nothing follows, where the transport
	// has a way to say it.
	CloseWrite() error
	// Close ends the connection and any Read and Write in progress.
	Close() error
}

// welcomed is a transport that has to know what WELCOME said, and the seq of the
// last push that has come. It is told before anything else is written or read.
type welcomed interface {
	welcome(w *wire.Welcome, seq uint64)
}

// dialFunc opens a network connection, as net.Dialer.DialContext does.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// dialer is what all transports are dialed with. It does not change.
type dialer struct {
	dial    dialFunc
	tls     *tls.Config // never nil
	json    bool        // WebSocket messages are text
	within  time.Duration
	backoff Backoff
	random  func() float64
}

// dialers makes a transport of each kind, by the protocol's name for it. They
// take no longer than ctx.
var dialers = map[string]func(ctx context.Context, d *dialer, to target) (transport, error){
	"tcp": dialTCP, "tls": dialTCP,
	"ws": dialWebSocket, "wss": dialWebSocket,
	"poll": dialPoll, "polls": dialPoll,
}

// secure tells which transports run inside TLS.
var secure = map[string]bool{"tls": true, "wss": true, "polls": true}

// What TLS is told that will be spoken inside, so that a balancer may know.
const (
	alpnStream = "holdfast.v1"
	alpnHTTP   = "http/1.1"
)

// tlsFor is the TLS configuration of one attempt.
func (d *dialer) tlsFor(to target, alpn string) *tls.Config {
	cfg := d.tls.Clone()
	if cfg.ServerName == "" {
		cfg.ServerName = to.serverName
	}
	cfg.NextProtos = []string{alpn}
	return cfg
}

// connect dials, and shakes hands where the transport wants TLS.
func (d *dialer) connect(ctx context.Context, to target, alpn string) (net.Conn, error) {
	conn, err := d.dial(ctx, "tcp", to.address)
	if err != nil || !secure[to.transport] {
		return conn, err
	}
	over := tls.Client(conn, d.tlsFor(to, alpn))
	if err := over.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("tls: %w", err)
	}
	return over, nil
}

// writeWithin writes all of b, in no more than timeout.
func writeWithin(conn net.Conn, b []byte, timeout time.Duration) error {
	if err := conn.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	_, err := conn.Write(b)
	return err
}

// closeWrite ends our half of a stream, where that can be.
func closeWrite(conn net.Conn) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// spoke reports whether err came from a gateway, or from this client itself, and
// not from the way between: then another transport would not fare better.
func spoke(err error) bool {
	_, closed := errors.AsType[*CloseError](err)
	return closed || errors.Is(err, errNoToken)
}
