package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/holdfast-io/holdfast/configs"
	"github.com/holdfast-io/holdfast/dispatcher"
	"github.com/holdfast-io/holdfast/gateway"
	"github.com/holdfast-io/holdfast/tools/ctl"
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
			first, err := e.firstParts(p, cfg)
			if err != nil {
				e.server.Close()
				return nil, err
			}
			return append(first, e.parts...), nil
		})
}

// edge is a gateway that is put together and not running.
type edge struct {
	server *gateway.Server
	disp   *dispatcher.Dispatcher
	source *membership
	parts  []part
	// leaving tells the process how long the gateway may take to leave.
	leaving func(gateway.DrainConfig)
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
	e.leaving = func(cfg gateway.DrainConfig) { p.leaving.Store(int64(cfg.DeregisterDelay + cfg.Window + cfg.HardStop)) }
	e.leaving(cfg.Gateway.Drain)
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
	if e.source, err = newMembership(p, cfg, e.alive); err != nil {
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
	e.parts = append(e.parts, part{"collector", paceCollector},
		part{"dispatcher", e.disp.Run}, part{"gateway", serverRun(e.server, e.disp)})
	p.health.add("dispatcher", func() string {
		select {
		case <-e.disp.Ready():
			return ""
		default:
			return "does not know yet which instances there are"
		}
	})
	p.api = append(p.api, endpoint{ctl.RoutePath, e.explain}, endpoint{ctl.InstancesPath, e.instances})
	return nil
}

// alive tells whether an instance answers by itself. One that the dispatcher has
// not met yet is taken to. It is asked only while the gateway runs.
func (e *edge) alive(service, id string) bool {
	for _, v := range e.disp.Instances() {
		if v.Service == service && v.ID == id {
			return v.Up
		}
	}
	return true
}

// firstParts are those around the gateway. The first to start is the last to stop:
// balancers ask for the health of a gateway that drains, and SIGHUP must not end it.
func (e *edge) firstParts(p *process, cfg configs.Gateway) ([]part, error) {
	reload, err := e.reloadPart(p, cfg)
	if err != nil || cfg.Gateway.HealthListen == "" {
		return []part{reload}, err
	}
	ln, err := listenHealth(cfg.Gateway.HealthListen)
	if err != nil {
		return nil, err
	}
	p.log.Info("health server listens", "address", ln.Addr().String())
	return []part{reload, {"health", func(ctx context.Context) error { return serveHealth(ctx, ln, p.health, p.log) }}}, nil
}

// reloadPart makes the part that gives the running gateway what has changed in its
// configuration.
func (e *edge) reloadPart(p *process, cfg configs.Gateway) (part, error) {
	m, err := newReloadMetrics(p.reg)
	if err != nil {
		return part{}, err
	}
	r := &reloader{
		load: func() (configs.Gateway, error) {
			next, err := p.again()
			if err != nil {
				return configs.Gateway{}, err
			}
			return next.(configs.Gateway), nil
		},
		apply: e.apply, file: p.file, every: cfg.Reload.Watch, started: cfg, log: p.log, m: m, running: cfg,
	}
	return part{"reload", r.run}, nil
}

// apply gives a configuration to gateway, dispatcher and what tells that of
// instances: to all of them or, when one cannot take it, to none. It returns the
// keys that have changed and need a restart. Certificates are read again even where
// nothing has changed.
func (e *edge) apply(cfg configs.Gateway) (restart []string, err error) {
	if err := e.disp.Reloadable(cfg.Dispatcher); err != nil {
		return nil, err
	}
	if restart, err = e.server.Reload(cfg.Gateway); err != nil {
		return nil, err
	}
	if err := e.disp.Reload(cfg.Dispatcher); err != nil {
		return restart, err
	}
	e.leaving(cfg.Gateway.Drain)
	return restart, e.source.update(cfg.Dispatcher)
}

// explain answers where requests of a user would go now.
func (e *edge) explain(query func(string) string) (any, error) {
	uid := query("uid")
	if uid == "" {
		return nil, badQuery{errors.New("uid: empty")}
	}
	return e.disp.Explain(uid, query("command")), nil
}

// instances lists those of all services, or of one.
func (e *edge) instances(query func(string) string) (any, error) {
	list := e.disp.Instances()
	if service := query("service"); service != "" {
		list = slices.DeleteFunc(list, func(v dispatcher.InstanceView) bool { return v.Service != service })
	}
	return list, nil
}
