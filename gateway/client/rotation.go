package client

import (
	"slices"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

const (
	// failuresPerEndpoint is how often in a row one endpoint may fail before
	// the client takes the next (docs/protocol.md section 5).
	failuresPerEndpoint = 3
	// failuresPerTransport is how often in a row a transport that has worked
	// may fail, without a word from a gateway, before the ones below it are
	// tried too. It is less than failuresPerEndpoint, so that every transport
	// gets its try before the endpoint is left.
	failuresPerTransport = failuresPerEndpoint - 1
	// climbAfterDefault is how long a client that has fallen back stays there
	// before it tries the better transports again. Ten minutes: a network that
	// swallows a transport then costs some packets in as long, and one that has
	// been left behind is forgotten within as much.
	climbAfterDefault = 10 * time.Minute
)

// rotation chooses where the next attempt goes. It holds no lock: one goroutine
// owns it.
type rotation struct {
	own        []endpoint // as configured; never empty
	climbAfter time.Duration

	at       int        // index into own of the one last taken from it
	offered  []endpoint // what a GOAWAY offered and was not tried yet
	current  endpoint
	failures int               // of current, in a row
	returnTo map[string]string // where the gateway that was met at current is reached itself
	found    map[string]found  // by endpoint: the transport that works there
}

// found is the transport that was found to work at an endpoint.
type found struct {
	transport string
	since     time.Time
}

func newRotation(own []endpoint, climbAfter time.Duration) *rotation {
	return &rotation{own: own, climbAfter: climbAfter, current: own[0], found: make(map[string]found)}
}

// next moves to the endpoint to try: offered ones first, in their order, then the
// current one.
func (r *rotation) next() endpoint {
	if len(r.offered) > 0 {
		r.move(r.offered[0])
		r.offered = r.offered[1:]
		r.failures = failuresPerEndpoint - 1 // an offered one gets a single try
	}
	return r.current
}

// targets lists what the attempt at the current endpoint tries, one after the
// other without a rest: the transport that has worked there last, and after some
// failures, or when nothing has worked yet or not for climbAfter, those below it.
// A resume goes to the very gateway that has the session.
func (r *rotation) targets(resumes bool, now time.Time) []target {
	returnTo := r.returnTo
	if !resumes {
		returnTo = nil
	}
	list := r.current.transports
	known, ok := r.found[r.current.String()]
	level := slices.Index(list, known.transport)
	switch {
	case !ok || level < 0:
	case level > 0 && now.Sub(known.since) >= r.climbAfter:
	case r.failures >= failuresPerTransport:
		list = list[level:]
	default:
		list = list[level : level+1]
	}
	targets := make([]target, len(list))
	for i, transport := range list {
		targets[i] = r.current.at(transport).back(returnTo)
	}
	return targets
}

// reached notes that a gateway has spoken over a transport at the current
// endpoint, whatever it said. When that is the one that was known to work, the
// time until the next climb runs on, unless this was one.
func (r *rotation) reached(transport string, now time.Time) {
	if len(r.current.transports) == 1 {
		return // there is nothing to choose
	}
	key := r.current.String()
	if known := r.found[key]; known.transport != transport || now.Sub(known.since) >= r.climbAfter {
		r.found[key] = found{transport, now}
	}
}

// climbAt is when the transports above the one that works at the current endpoint
// are to be tried again; ok is false when there are none.
func (r *rotation) climbAt() (at time.Time, ok bool) {
	known, ok := r.found[r.current.String()]
	return known.since.Add(r.climbAfter), ok && slices.Index(r.current.transports, known.transport) > 0
}

// above lists the better transports that a session could move to, best first, and
// has the time until the next climb begin anew.
func (r *rotation) above(now time.Time) (targets []target) {
	key := r.current.String()
	known := r.found[key]
	for _, transport := range r.current.transports {
		if transport == known.transport {
			break
		}
		targets = append(targets, r.current.at(transport).back(r.returnTo))
	}
	r.found[key] = found{known.transport, now}
	return targets
}

// failed notes that the endpoint that next returned did not work.
func (r *rotation) failed() {
	r.failures++
	if r.failures >= failuresPerEndpoint {
		r.advance()
	}
}

// worked notes that the endpoint that next returned took the client in, and with
// that its ticket.
func (r *rotation) worked(returnTo map[string]string) {
	r.failures = 0
	r.offered = nil
	r.current.ticket = ""
	r.returnTo = returnTo
}

// advance takes the next of the configured endpoints.
func (r *rotation) advance() {
	delete(r.found, r.current.String()) // nothing works there: the next time all are tried
	r.at = (r.at + 1) % len(r.own)
	r.move(r.own[r.at])
}

// move goes to another endpoint, where another gateway may be.
func (r *rotation) move(to endpoint) { r.current, r.failures, r.returnTo = to, 0, nil }

// follow puts the endpoints of a GOAWAY that this client can use in front of the
// configured ones, each for one try, and reports whether there were any. A client
// that was configured for TLS alone is not led anywhere without.
func (r *rotation) follow(g *wire.GoAway) bool {
	r.offered = nil
	for _, o := range g.Endpoints {
		e, err := parseEndpoint(o.Transport+"://"+o.Address, false)
		if err != nil || !wireTransport(o.Transport) || r.onlySecure() && !secure[o.Transport] {
			continue
		}
		e.ticket = g.Ticket
		r.offered = append(r.offered, e)
	}
	return r.offers()
}

// onlySecure says whether every configured endpoint is behind TLS.
func (r *rotation) onlySecure() bool {
	for _, e := range r.own {
		if !secure[e.transports[0]] {
			return false
		}
	}
	return true
}

// wireTransport tells the protocol's names of transports from our own schemes.
func wireTransport(name string) bool {
	s, ok := schemes[name]
	return ok && len(s.transports) == 1 && s.transports[0] == name
}

// offers says whether an offered endpoint is still untried.
func (r *rotation) offers() bool { return len(r.offered) > 0 }
