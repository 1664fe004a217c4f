package gateway

import (
	"github.com/holdfast-io/holdfast/gateway/admission"
	"github.com/holdfast-io/holdfast/gateway/transport"
)

// gatekeeper is admission as the listeners see it.
type gatekeeper struct{ gate *admission.Gate }

// Accept implements transport.Gatekeeper.
func (g gatekeeper) Accept() *transport.Refusal { return refusal(g.gate.Accept()) }

// Released implements transport.Gatekeeper.
func (g gatekeeper) Released() { g.gate.Released() }

// Enter implements transport.Gatekeeper. A unix socket without a PROXY header
// has no address: its file's permissions say who may come.
func (g gatekeeper) Enter(c *transport.Conn) *transport.Refusal {
	addr := c.Remote().Addr()
	if !addr.IsValid() {
		return nil
	}
	return refusal(g.gate.Enter(addr))
}

// EnterForwarded implements transport.Gatekeeper.
func (g gatekeeper) EnterForwarded(c *transport.Conn) *transport.Refusal {
	return refusal(g.gate.EnterForwarded(c.Remote().Addr()))
}

// Left implements transport.Gatekeeper.
func (g gatekeeper) Left(c *transport.Conn) {
	if addr := c.Remote().Addr(); addr.IsValid() {
		g.gate.Leave(addr)
	}
}

func refusal(r admission.Refusal, ok bool) *transport.Refusal {
	if ok {
		return nil
	}
	return &transport.Refusal{Code: r.Code, Message: r.Message, RetryAfter: r.RetryAfter}
}
