package client

import (
	"fmt"
	"net"
	"strings"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// failuresPerEndpoint is how often in a row one endpoint may fail before the
// client takes the next (docs/protocol.md section 5).
const failuresPerEndpoint = 3

// endpoint is one place where a gateway can be reached.
type endpoint struct {
	transport string // the protocol's name of the transport
	address   string // host:port
	ticket    string // the permission that came with it; usually none
}

func (e endpoint) String() string { return e.transport + "://" + e.address }

// parseEndpoint reads "host:port" or "tcp://host:port".
func parseEndpoint(s string) (endpoint, error) {
	e := endpoint{transport: "tcp", address: s}
	if name, rest, ok := strings.Cut(s, "://"); ok {
		e = endpoint{transport: name, address: rest}
	}
	if _, ok := dialers[e.transport]; !ok {
		return endpoint{}, fmt.Errorf("endpoint %q: transport %q is not one this client speaks", s, e.transport)
	}
	host, port, err := net.SplitHostPort(e.address)
	if err != nil {
		return endpoint{}, fmt.Errorf("endpoint %q: %w", s, err)
	}
	if host == "" || port == "" {
		return endpoint{}, fmt.Errorf("endpoint %q: want host:port", s)
	}
	return e, nil
}

// rotation chooses the endpoint of the next attempt. It holds no lock: one
// goroutine owns it.
type rotation struct {
	own      []endpoint // as configured; never empty
	at       int        // index into own of the one last taken from it
	offered  []endpoint // what a GOAWAY offered and was not tried yet
	current  endpoint
	failures int // of current, in a row
}

func newRotation(own []endpoint) *rotation { return &rotation{own: own, current: own[0]} }

// next returns the endpoint to try: offered ones first, in their order, then the
// current one.
func (r *rotation) next() endpoint {
	if len(r.offered) > 0 {
		r.current, r.offered = r.offered[0], r.offered[1:]
		r.failures = failuresPerEndpoint - 1 // an offered one gets a single try
	}
	return r.current
}

// failed notes that the endpoint that next returned did not work.
func (r *rotation) failed() {
	r.failures++
	if r.failures >= failuresPerEndpoint {
		r.advance()
	}
}

// worked notes that the endpoint that next returned took the client in, and
// with that its ticket.
func (r *rotation) worked() {
	r.failures = 0
	r.offered = nil
	r.current.ticket = ""
}

// advance takes the next of the configured endpoints.
func (r *rotation) advance() {
	r.failures = 0
	r.at = (r.at + 1) % len(r.own)
	r.current = r.own[r.at]
}

// follow puts the endpoints of a GOAWAY that this client can use in front of the
// configured ones, each for one try, and reports whether there were any.
func (r *rotation) follow(g *wire.GoAway) bool {
	r.offered = nil
	for _, o := range g.Endpoints {
		if e, err := parseEndpoint(o.Transport + "://" + o.Address); err == nil {
			e.ticket = g.Ticket
			r.offered = append(r.offered, e)
		}
	}
	return r.offers()
}

// offers says whether an offered endpoint is still untried.
func (r *rotation) offers() bool { return len(r.offered) > 0 }
