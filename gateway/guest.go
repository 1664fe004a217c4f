package gateway

import (
	"sync"

	"github.com/holdfast-io/holdfast/gateway/poll"
	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/gateway/transport"
)

// guest is a session on a connection, which has a place among its user's. On long
// poll and SSE it has one only while a call is open: without one the session
// counts as cut.
type guest struct {
	*session.Attachment
	one *session.Session
	srv *Server

	mu   sync.Mutex // guards the following
	has  bool       // a place
	over bool       // the connection has gone, or another has taken the place: no place any more
}

// Closed is called once when the connection has gone.
func (g *guest) Closed() {
	g.Attachment.Closed()
	g.leave(true)
}

// Away gives the place back until Back.
func (g *guest) Away() {
	g.Attachment.Away()
	g.leave(false)
}

// Back takes a place again. When others of the user have taken them all
// meanwhile, the client is told to come back later; the session stays.
func (g *guest) Back() {
	g.Attachment.Back()
	g.mu.Lock()
	if g.has || g.over {
		g.mu.Unlock()
		return
	}
	r, ok := g.srv.gate.User(g.one.UID())
	g.has = ok
	g.mu.Unlock()
	if !ok {
		g.one.Close(r.Code, r.Message, goAway(r.Code, r.Message, 0, max(r.RetryAfter, minReconnectAfter)))
	}
}

func (g *guest) leave(over bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = g.over || over
	if g.has {
		g.has = false
		g.srv.gate.UserLeft(g.one.UID())
	}
}

// pass hands the place on to a connection that takes the session over. It reports
// false when there is none to hand on.
func (g *guest) pass() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	had := g.has
	g.has, g.over = false, true
	return had
}

// guestOn is who receives from conn, nil while or unless it is a session's.
func guestOn(conn session.Conn) *guest {
	switch c := conn.(type) {
	case *transport.Conn:
		g, _ := c.Receiver().(*guest)
		return g
	case *poll.Conn:
		g, _ := c.Receiver().(*guest)
		return g
	default:
		return nil
	}
}
