package proxyproto

import (
	"errors"
	"fmt"
	"net/netip"
)

// HeaderBytesMax is the bound on a header to use where nothing else is
// configured. It leaves room for what proxies add, a client's certificate included.
const HeaderBytesMax = 4096

// ErrIncomplete means that the bytes so far are the beginning of a header: read
// more and parse again from the same start.
var ErrIncomplete = errors.New("proxyproto: header is incomplete")

// Header is what a proxy says of a connection. It owns its memory.
type Header struct {
	// Local: the proxy speaks for itself (LOCAL), as in a health check, or does
	// not know for whom (UNKNOWN). There are no addresses then.
	Local bool
	// Source is the client's address, and Destination the one that it connected
	// to. Both are the zero AddrPort if Local, and if the client came to the
	// proxy by a unix socket: ask Source.IsValid. An IPv4 address that came
	// mapped into IPv6 is an IPv4 address here.
	Source, Destination netip.AddrPort
	// Authority is the host name that the client asked for (SNI), at most
	// AuthorityBytesMax of UTF-8, and empty if the proxy did not say. It is the
	// client's word.
	Authority string
	// UniqueID is the proxy's name for the connection, opaque, at most
	// UniqueIDBytesMax, and nil if the proxy did not give one.
	UniqueID []byte
}

// What the values inside a header are bounded by.
const (
	AuthorityBytesMax = 255
	UniqueIDBytesMax  = 128
)

// Error is a refusal: what came is no header, or not a valid one.
type Error struct {
	// Message names the field and its limit. It holds nothing that the peer
	// sent but numbers, so it can be logged as it is.
	Message string
}

// Error is the message with the package's name before it.
func (e *Error) Error() string { return "proxyproto: " + e.Message }

// refusef makes a refusal. It is given numbers and names of ours only.
func refusef(format string, args ...any) *Error {
	return &Error{Message: fmt.Sprintf(format, args...)}
}
