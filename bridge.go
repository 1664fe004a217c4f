package main

import (
	"context"

	"github.com/holdfast-io/holdfast/dispatcher"
	"github.com/holdfast-io/holdfast/gateway"
	"github.com/holdfast-io/holdfast/gateway/session"
)

// bridge joins the gateway's idea of a dispatcher with the real one. The two
// packages do not know each other; their plain structs have the same fields, so
// most of it is conversion. Sinks and lanes pass as they are.
type bridge struct{ d *dispatcher.Dispatcher }

var _ gateway.Dispatcher = bridge{}

// serverRun is server's run with d as its dispatcher.
func serverRun(server *gateway.Server, d *dispatcher.Dispatcher) func(context.Context) error {
	return func(ctx context.Context) error { return server.Run(ctx, bridge{d}) }
}

func (b bridge) Incarnation(incarnation int64) { b.d.Incarnation(incarnation) }

func (b bridge) Open(o gateway.Origin, service string, sink gateway.Sink) session.Upstream {
	return b.d.Open(dispatcher.Origin{
		Session: o.Session, UID: o.UID, Device: dispatcher.Device(o.Device), ClientIP: o.ClientIP,
		Transport: o.Transport, Attrs: o.Attrs, ConnectedAt: o.ConnectedAt,
	}, service, sink)
}

func (b bridge) Connect(l gateway.Login, done func(gateway.Verdict)) {
	b.d.Connect(dispatcher.Login{
		Session: l.Session, UID: l.UID, Refresh: l.Refresh, Token: l.Token, Device: dispatcher.Device(l.Device),
		ClientIP: l.ClientIP, Transport: l.Transport, Attrs: l.Attrs, ClientAttrs: l.ClientAttrs, ConnectedAt: l.ConnectedAt,
	}, func(v dispatcher.Verdict) { done(gateway.Verdict(v)) })
}
