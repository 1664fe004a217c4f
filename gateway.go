package main

import (
	"github.com/spf13/cobra"

	"github.com/holdfast-io/holdfast/configs"
	"github.com/holdfast-io/holdfast/dispatcher"
	"github.com/holdfast-io/holdfast/gateway"
)

// newGatewayCommand returns `holdfast gateway`: it holds clients' connections
// and hands what they say to backends.
func newGatewayCommand() *cobra.Command {
	return roleCommand(configs.RoleGateway, "Hold clients' connections and carry their requests to backends",
		map[string]string{"name": "name", "admin": "admin.listen", "log-level": "log.level"},
		func(c configs.Gateway) (configs.Log, configs.Admin) { return c.Log, c.Admin },
		func(_ *cobra.Command, p *process, cfg configs.Gateway) ([]part, error) {
			e, err := newEdge(p, cfg)
			if err != nil {
				return nil, err
			}
			return e.parts, nil
		})
}

// edge is a gateway that is put together and not running.
type edge struct {
	server *gateway.Server
	disp   *dispatcher.Dispatcher
	source *membership
	parts  []part
}

// newEdge binds a gateway's addresses, so that one in use is an error before
// anything runs, and joins it with a dispatcher and what that learns instances from.
func newEdge(p *process, cfg configs.Gateway) (*edge, error) {
	server, err := gateway.New(cfg.Gateway, p.log, p.reg)
	if err != nil {
		return nil, err
	}
	if err := server.Listen(); err != nil {
		return nil, err
	}
	e := &edge{server: server}
	if err := e.join(p, cfg); err != nil {
		server.Close()
		return nil, err
	}
	p.drain += cfg.Gateway.Drain.Window
	p.hardStop = cfg.Gateway.Drain.HardStop
	p.health.add("gateway", func() string {
		if err := server.Ready(); err != nil {
			return err.Error()
		}
		return ""
	})
	return e, nil
}

// join makes the dispatcher of the server, and the parts in the order of their start.
func (e *edge) join(p *process, cfg configs.Gateway) (err error) {
	if e.source, err = newMembership(p, cfg, nil); err != nil {
		return err
	}
	name, epoch := e.server.Self()
	self := dispatcher.Self{Gateway: e.server.Address(), Name: name, Epoch: epoch, Sessions: e.server.Sessions}
	if e.disp, err = dispatcher.New(cfg.Dispatcher, self, e.source, p.log, p.reg); err != nil {
		return err
	}
	if e.source.run != nil {
		e.parts = append(e.parts, part{"discovery", e.source.run})
	}
	e.parts = append(e.parts, part{"dispatcher", e.disp.Run}, part{"gateway", serverRun(e.server, e.disp)})
	return nil
}
