package gateway

import (
	"cmp"
	"slices"

	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/gateway/transport"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// shedShare is the part of all that waits for clients which is given up at a
// time when memory runs out.
const shedShare = 4

// shedBytesMin spares queues that would free nothing worth a connection.
const shedBytesMin = 4 << 10

// dropStrangers cuts the connections of clients that have not logged in and have sent
// a part of something. They are many, each keeps little, and all that they lose is a
// beginning, so none is spared. Nobody is told: words would take memory too.
func (s *Server) dropStrangers() {
	dropped := 0
	for _, l := range s.listeners {
		l.Each(func(c *transport.Conn) {
			if _, in := c.Receiver().(*guest); in || c.Partial() < shedBytesMin {
				return
			}
			c.Abort()
			s.metrics.refused(wire.CloseOverloaded)
			dropped++
		})
	}
	if dropped > 0 {
		s.log.Warn("memory is short: connections that had begun to send were cut", "connections", dropped)
	}
}

// dropLargest ends the sessions for which most is kept, until a share of all
// that waits is free: a few slow clients make most of it.
func (s *Server) dropLargest() {
	type held struct {
		one   *session.Session
		bytes int
	}
	var all []held
	total := 0
	s.sessions.Each(func(one *session.Session) bool {
		if n := one.HeldBytes(); n >= shedBytesMin {
			all = append(all, held{one, n})
			total += n
		}
		return true
	})
	slices.SortFunc(all, func(a, b held) int { return cmp.Compare(b.bytes, a.bytes) })
	freed, dropped := 0, 0
	for _, h := range all {
		if freed >= total/shedShare {
			break
		}
		if h.one.EndWith(wire.CloseOverloaded, "memory is short and the client reads slowly", goAway(wire.CloseOverloaded, "overloaded", 0, reconnectAfter())) {
			freed += h.bytes
			dropped++
		}
	}
	if dropped > 0 {
		s.metrics.shed.Add(float64(dropped))
		s.log.Warn("memory is short: the largest queues were dropped", "sessions", dropped, "bytes", freed)
	}
}
