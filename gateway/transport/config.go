package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-io/holdfast/gateway/transport/secure"
	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/idl/endpoint"
)

// ListenerConfig is one address that clients connect to.
type ListenerConfig struct {
	// Transports are how clients may speak on it: tcp, ws, poll, sse, and over TLS
	// tls, wss, polls, sses. One address may serve any of them together: the first
	// bytes of a client tell which it speaks.
	Transports []Name `koanf:"transports"`
	// Address is where to listen: host:port, where port 0 picks a free one, or
	// unix:/path for a proxy on the same machine.
	Address string `koanf:"address"`
	// SocketMode is who may open a unix socket, as an octal number in quotes: "0600"
	// the gateway's own user, "0660" its group too. Empty: 0600.
	SocketMode string `koanf:"socket_mode"`
	// Advertise is host:port as clients reach this very gateway, for WELCOME's
	// return_to. Empty: not told, clients come back to where they connected.
	Advertise string `koanf:"advertise"`
	// TLS is the certificates of the transports that need them.
	TLS secure.Config `koanf:"tls"`
	// Proxy says whether a PROXY protocol header comes first.
	Proxy ProxyConfig `koanf:"proxy"`
	// ForwardedFor are the address ranges of proxies whose X-Forwarded-For header
	// is believed on ws, poll and sse. From anybody else it is ignored.
	ForwardedFor []string `koanf:"forwarded_for"`
}

// ProxyConfig says who may speak for a client's address.
type ProxyConfig struct {
	// Required makes every connection begin with a PROXY header, version 1 or 2.
	// Otherwise such a header is a protocol error.
	Required bool `koanf:"required"`
	// Trusted are the address ranges that the header is taken from. A connection
	// from elsewhere is closed. On a unix socket everybody is trusted.
	Trusted []string `koanf:"trusted"`
}

// Default is what a listener starts from whose configuration does not say
// everything.
func (c ListenerConfig) Default() ListenerConfig {
	return ListenerConfig{TLS: secure.DefaultConfig()}
}

// Validate reports what cannot work, each with its key.
func (c ListenerConfig) Validate() error {
	var errs []error
	add := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if len(c.Transports) == 0 {
		add("transports: none, want some of %v", Names)
	}
	for i, n := range c.Transports {
		if !slices.Contains(Names, n) {
			add("transports.%d: %q, want one of %v", i, n, Names)
		}
	}
	network, _, err := endpoint.ParseListen(c.Address)
	if err != nil {
		add("address: %w", err)
	}
	if _, err := c.socketMode(); err != nil {
		add("socket_mode: %w", err)
	} else if c.SocketMode != "" && network != "unix" {
		add("socket_mode: has no effect on %q, which is no unix socket", c.Address)
	}
	if c.Advertise != "" {
		if err := hostPort(c.Advertise); err != nil {
			add("advertise: %w", err)
		} else if strings.HasPrefix(c.Advertise, ":") {
			add("advertise: %q names no host", c.Advertise)
		}
	}
	errs = append(errs, c.validateTLS()...)
	if c.Proxy.Required && len(c.Proxy.Trusted) == 0 && network != "unix" {
		add("proxy.trusted: none, so nobody could connect; name the balancers' ranges")
	}
	if !c.Proxy.Required && len(c.Proxy.Trusted) > 0 {
		add("proxy.trusted: has no effect without proxy.required")
	}
	errs = append(errs, badRanges("proxy.trusted", c.Proxy.Trusted)...)
	errs = append(errs, badRanges("forwarded_for", c.ForwardedFor)...)
	return errors.Join(errs...)
}

// socketMode is SocketMode as a number.
func (c ListenerConfig) socketMode() (os.FileMode, error) {
	if c.SocketMode == "" {
		return 0o600, nil
	}
	mode, err := strconv.ParseUint(c.SocketMode, 8, 16)
	if err != nil || mode > 0o777 || mode&0o600 != 0o600 {
		return 0, fmt.Errorf("%q, want an octal number from 0600 to 0777 with which the gateway's own user may read and write", c.SocketMode)
	}
	return os.FileMode(mode), nil
}

func (c ListenerConfig) validateTLS() (errs []error) {
	if setOf(c.Transports)&setSecure == 0 {
		if len(c.TLS.Certificates) > 0 {
			errs = append(errs, errors.New("tls.certificates: has no effect without one of tls, wss, polls and sses in transports"))
		}
		return errs
	}
	if len(c.TLS.Certificates) == 0 {
		errs = append(errs, errors.New("tls.certificates: none, and tls, wss, polls and sses need one"))
	}
	if err := c.TLS.Validate(); err != nil {
		errs = append(errs, prefixed("tls", err)...)
	}
	return errs
}

// prefixed puts a section's key in front of each of its mistakes.
func prefixed(section string, err error) (out []error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			out = append(out, prefixed(section, e)...)
		}
		return out
	}
	return []error{fmt.Errorf("%s.%w", section, err)}
}

// ranges are what Proxy.Trusted and ForwardedFor say.
func ranges(texts []string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range texts {
		if p, err := parseRange(text); err == nil { // Validate has refused the others
			out = append(out, p)
		}
	}
	return out
}

func badRanges(key string, texts []string) (errs []error) {
	for i, text := range texts {
		if _, err := parseRange(text); err != nil {
			errs = append(errs, fmt.Errorf("%s.%d: %q, want an address or a range such as 10.0.0.0/8", key, i, text))
		}
	}
	return errs
}

// parseRange takes a range or one address.
func parseRange(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err
}

// within reports whether one of ranges holds addr.
func within(ranges []netip.Prefix, addr netip.Addr) bool {
	for _, p := range ranges {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// hostPort checks an address that clients are told.
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

// Limits bounds what one connection may cost. A connection keeps those it began with.
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
	// HelloTimeout is from accept to the end of HELLO, or of a request's head and
	// body on HTTP.
	HelloTimeout time.Duration
	// ProxyTimeout is from accept to the end of the PROXY header.
	ProxyTimeout time.Duration
	// IdleTimeout is how long an HTTP connection is kept without a request.
	IdleTimeout time.Duration
}

// Validate reports what cannot work, with the keys of the configuration's
// section limits.
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
