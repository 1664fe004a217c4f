package client

import (
	"fmt"
	"net"
	"slices"
	"strings"
)

// endpoint is one place where a gateway can be reached.
type endpoint struct {
	transports []string // the protocol's names, best first; more than one when it may fall back
	address    string   // host:port
	ticket     string   // the permission that came with it; usually none
}

// String names the endpoint as it could have been configured.
func (e endpoint) String() string {
	for name, s := range schemes {
		if len(e.transports) > 1 && slices.Equal(s.transports, e.transports) {
			return name + "://" + e.address
		}
	}
	return e.transports[0] + "://" + e.address
}

// target is where one attempt goes.
type target struct {
	transport  string
	address    string
	serverName string // whose certificate it must be, where there is TLS
}

func (t target) String() string { return t.transport + "://" + t.address }

// scheme is what may stand before "://" of an endpoint.
type scheme struct {
	transports []string
	port       string // where none is given; empty: it must be given
}

// schemes are the transports' names, what URLs call long poll, and those that
// stand for all transports of a port that speaks them all. What falls back never
// falls from TLS to no TLS.
var schemes = map[string]scheme{
	"tcp":   {[]string{"tcp"}, ""},
	"tls":   {[]string{"tls"}, ""},
	"ws":    {[]string{"ws"}, "80"},
	"wss":   {[]string{"wss"}, "443"},
	"poll":  {[]string{"poll"}, "80"},
	"polls": {[]string{"polls"}, "443"},
	"http":  {[]string{"poll"}, "80"},
	"https": {[]string{"polls"}, "443"},
	"auto":  {[]string{"tcp", "ws", "poll"}, ""},
	"autos": {[]string{"tls", "wss", "polls"}, ""},
}

// parseEndpoint reads "host:port" or "scheme://host:port". With fall, it may
// fall back as far as its scheme has something below it.
func parseEndpoint(s string, fall bool) (endpoint, error) {
	name, address, ok := strings.Cut(s, "://")
	if !ok {
		name, address = "tcp", s
	}
	scheme, ok := schemes[name]
	if !ok {
		return endpoint{}, fmt.Errorf("endpoint %q: transport %q is not one this client speaks", s, name)
	}
	address = strings.TrimSuffix(address, "/") // the paths behind it are the protocol's
	host, port, err := net.SplitHostPort(address)
	if err != nil && scheme.port != "" {
		host, port, err = net.SplitHostPort(address + ":" + scheme.port)
	}
	if err != nil {
		return endpoint{}, fmt.Errorf("endpoint %q: %w", s, err)
	}
	if host == "" || port == "" || strings.ContainsAny(address, "/?#@ ") {
		return endpoint{}, fmt.Errorf("endpoint %q: want host:port", s)
	}
	e := endpoint{transports: scheme.transports, address: net.JoinHostPort(host, port)}
	if fall {
		e.transports = below(e.transports[0])
	}
	return e, nil
}

// below lists a transport and those it may fall back to.
func below(transport string) []string {
	for _, all := range []string{"auto", "autos"} {
		ladder := schemes[all].transports
		if i := slices.Index(ladder, transport); i >= 0 {
			return ladder[i:]
		}
	}
	return []string{transport}
}

// at is the target of an attempt by one of the endpoint's transports.
func (e endpoint) at(transport string) target {
	host, _, _ := net.SplitHostPort(e.address) // parseEndpoint has seen it
	return target{transport: transport, address: e.address, serverName: host}
}

// back is where the very gateway is reached that was met at t, as its WELCOME
// says. It must still prove to be what t was trusted as: where there is only an
// IP address, its certificate has to carry the name that t has.
func (t target) back(returnTo map[string]string) target {
	address, ok := returnTo[t.transport]
	host, _, err := net.SplitHostPort(address)
	if !ok || err != nil || host == "" {
		return t // the same address, or nothing that one could dial
	}
	t.address = address
	if net.ParseIP(host) == nil {
		t.serverName = host
	}
	return t
}
