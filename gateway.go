package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/holdfast-io/holdfast/configs"
	"github.com/holdfast-io/holdfast/dispatcher"
	"github.com/holdfast-io/holdfast/dispatcher/discovery"
	"github.com/holdfast-io/holdfast/gateway"
)

// newGatewayCommand returns `holdfast gateway`: it holds clients' connections
// and hands what they say to backends.
func newGatewayCommand() *cobra.Command {
	return roleCommand(configs.RoleGateway, "Hold clients' connections and carry their requests to backends",
		map[string]string{"name": "name", "admin": "admin.listen", "log-level": "log.level"},
		func(c configs.Gateway) (configs.Log, configs.Admin) { return c.Log, c.Admin },
		func(_ *cobra.Command, p *process, cfg configs.Gateway) ([]part, error) {
			_, parts, err := gatewayParts(p, cfg)
			return parts, err
		})
}

// gatewayParts binds a gateway's addresses, so that one in use is an error
// before anything runs, and joins it with a dispatcher.
func gatewayParts(p *process, cfg configs.Gateway) (*gateway.Server, []part, error) {
	server, err := gateway.New(cfg.Gateway, p.log, p.reg)
	if err != nil {
		return nil, nil, err
	}
	if err := server.Listen(); err != nil {
		return nil, nil, err
	}
	disp, err := newDispatcher(p, cfg.Dispatcher, server)
	if err != nil {
		server.Close()
		return nil, nil, err
	}
	p.drain += cfg.Gateway.Drain.Window
	p.hardStop = cfg.Gateway.Drain.HardStop
	p.health.add("gateway", func() string {
		if err := server.Ready(); err != nil {
			return err.Error()
		}
		return ""
	})
	return server, []part{
		{"dispatcher", disp.Run},
		{"gateway", serverRun(server, disp)},
	}, nil
}

func newDispatcher(p *process, cfg dispatcher.Config, server *gateway.Server) (*dispatcher.Dispatcher, error) {
	instances, err := discovery.NewStatic(cfg.Instances())
	if err != nil {
		return nil, fmt.Errorf("dispatcher.services: %w", err)
	}
	name, epoch := server.Self()
	self := dispatcher.Self{Gateway: server.Address(), Name: name, Epoch: epoch, Sessions: server.Sessions}
	return dispatcher.New(cfg, self, instances, p.log, p.reg)
}
