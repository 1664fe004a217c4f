package gateway

import (
	"net/netip"
	"time"

	"github.com/holdfast-io/holdfast/gateway/poll"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// pollDoor is the gateway as package poll sees it.
type pollDoor struct{ srv *Server }

// Accept implements poll.Gateway.
func (d pollDoor) Accept(c *poll.Conn) poll.Receiver {
	client, _ := netip.ParseAddr(c.RemoteIP()) // none on a unix socket without a proxy's word
	return &handshake{
		srv: d.srv, conn: c, client: client, openedAt: time.Now(),
		hand: func(g *guest) { c.SetReceiver(g) },
	}
}

// Find implements poll.Gateway.
func (d pollDoor) Find(id, secret string) (*poll.Conn, wire.CloseCode, string) {
	one := d.srv.sessions.ByID(id)
	if one == nil || !one.Authenticate(secret) {
		if code, ok := d.srv.farewells.find(id, secret); ok {
			return nil, code, "the session has ended"
		}
		return nil, wire.CloseNormal, "no such session"
	}
	switch c := one.Conn().(type) {
	case *poll.Conn:
		return c, 0, ""
	case nil: // it lost its connection: a POST with a resume brings it back
		return nil, wire.CloseSessionExpired, "the session has no connection here: resume it"
	default:
		return nil, wire.CloseTakenOver, "the session lives on another connection"
	}
}
