package client

import (
	"context"
	"net"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// transport carries frames over one connection, in the form that its kind of
// connection wants. One goroutine reads and one writes; Close may come from any.
type transport interface {
	// Append encodes f behind dst, ready for Write.
	Append(dst []byte, f *wire.Frame) ([]byte, error)
	// Write sends what one or more calls of Append made, within timeout.
	Write(b []byte, timeout time.Duration) error
	// Read returns the next frame. Its slices are valid until the next Read.
	// It fails with os.ErrDeadlineExceeded when no byte comes for silence.
	Read(silence time.Duration) (wire.Frame, error)
	// CloseWrite tells the peer that nothing follows, where the transport
	// has a way to say it.
	CloseWrite() error
	// Close ends the connection and any Read and Write in progress.
	Close() error
}

// dialFunc opens a network connection, as net.Dialer.DialContext does.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// dialers makes a transport of each kind, by the protocol's name for it.
var dialers = map[string]func(ctx context.Context, dial dialFunc, address string) (transport, error){
	"tcp": dialTCP,
}
