package transport

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/idl/endpoint"
)

// Name is a transport's name as the protocol spells it.
type Name string

// The transports of the protocol.
const (
	TCP Name = "tcp"
)

// Names lists the transports that can be listened on.
var Names = []Name{TCP}

// ListenerConfig is one address that clients connect to.
type ListenerConfig struct {
	// Transport is how clients speak on it.
	Transport Name `koanf:"transport"`
	// Address is where to listen: host:port, where port 0 picks a free one, or
	// unix:/path for a proxy on the same machine.
	Address string `koanf:"address"`
	// Advertise is host:port as clients reach this very gateway, for WELCOME's
	// return_to. Empty: not told, clients come back to where they connected.
	Advertise string `koanf:"advertise"`
}

// Validate reports every mistake, each with its key.
func (c ListenerConfig) Validate() error {
	var errs []error
	if !slices.Contains(Names, c.Transport) {
		errs = append(errs, fmt.Errorf("transport: %q, want one of %v", c.Transport, Names))
	}
	if _, _, err := endpoint.ParseListen(c.Address); err != nil {
		errs = append(errs, fmt.Errorf("address: %w", err))
	}
	if c.Advertise != "" {
		if err := hostPort(c.Advertise); err != nil {
			errs = append(errs, fmt.Errorf("advertise: %w", err))
		} else if strings.HasPrefix(c.Advertise, ":") {
			errs = append(errs, fmt.Errorf("advertise: %q names no host", c.Advertise))
		}
	}
	return errors.Join(errs...)
}

func hostPort(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is not host:port", s)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("%q has no valid port", s)
	}
	return nil
}

// Limits bounds what one connection may cost.
type Limits struct {
	// FrameBytesMax is the longest frame taken from a client.
	FrameBytesMax int
	// OutboundBytesMax bounds what waits for a slow client.
	OutboundBytesMax int
	// ReplyBytesMax is what answers may wait beyond that: a client that keeps to
	// its window has asked for them all.
	ReplyBytesMax int
	// WriteTimeout cuts a client that reads nothing for this long while
	// something waits for it.
	WriteTimeout time.Duration
}

// Validate reports every mistake.
func (l Limits) Validate() error {
	var errs []error
	if l.FrameBytesMax < 1024 || l.FrameBytesMax > wire.FrameBytesMax {
		errs = append(errs, fmt.Errorf("frame_bytes: %d, want 1024 to %d", l.FrameBytesMax, wire.FrameBytesMax))
	}
	if l.OutboundBytesMax < l.FrameBytesMax {
		errs = append(errs, fmt.Errorf("outbound_bytes: %d, want at least frame_bytes (%d)", l.OutboundBytesMax, l.FrameBytesMax))
	}
	if l.WriteTimeout < time.Second {
		errs = append(errs, fmt.Errorf("write_timeout: %v, want at least 1s", l.WriteTimeout))
	}
	return errors.Join(errs...)
}
