package load

import (
	"fmt"
	"slices"
	"strings"
)

// Transports are the schemes of an Endpoint that a Fleet speaks; CallTransports
// those that Calls does.
var (
	Transports     = []string{"tcp", "tls", "ws", "wss"}
	CallTransports = []string{"poll", "polls", "sse", "sses"}
)

// transport is how frames travel to an endpoint.
type transport struct {
	ws, sse, calls bool
	tls            bool
}

// split takes an endpoint apart. Without a scheme it is tcp's.
func split(endpoint string) (scheme, address string) {
	scheme, address, ok := strings.Cut(endpoint, "://")
	if !ok {
		return "tcp", endpoint
	}
	return scheme, address
}

func transportOf(endpoint string) (transport, error) {
	scheme, _ := split(endpoint)
	if !slices.Contains(Transports, scheme) && !slices.Contains(CallTransports, scheme) {
		return transport{}, fmt.Errorf("endpoint %q: no transport %q, want one of %v, %v", endpoint, scheme, Transports, CallTransports)
	}
	return transport{
		ws:    strings.HasPrefix(scheme, "ws"),
		sse:   strings.HasPrefix(scheme, "sse"),
		calls: slices.Contains(CallTransports, scheme),
		tls:   slices.Contains([]string{"tls", "wss", "polls", "sses"}, scheme),
	}, nil
}
