package main

import (
	"github.com/spf13/cobra"

	"github.com/holdfast-io/holdfast/backend/echo"
	"github.com/holdfast-io/holdfast/configs"
)

// newEchoCommand returns `holdfast echo`, which answers and stores nothing.
func newEchoCommand() *cobra.Command {
	return roleCommand(configs.RoleEcho, "Serve the echo service: for trying things, probes and benchmarks",
		map[string]string{"admin": "admin.listen", "log-level": "log.level"},
		func(c configs.Echo) (configs.Log, configs.Admin) { return c.Log, c.Admin },
		func(_ *cobra.Command, p *process, cfg configs.Echo) ([]part, error) {
			return echoParts(p, cfg)
		})
}

// echoParts returns the service and, where it is configured, its registration.
func echoParts(p *process, cfg configs.Echo) ([]part, error) {
	service, err := newEcho(p, cfg.Echo)
	if err != nil {
		return nil, err
	}
	announce, err := registrationParts(p, cfg.Register, cfg.Echo.Kit.Service, service)
	if err != nil {
		return nil, err
	}
	return append([]part{{"echo", service.Run}}, announce...), nil
}

func newEcho(p *process, cfg echo.Config) (*echo.Service, error) {
	service, err := echo.New(cfg, p.log, p.reg)
	if err != nil {
		return nil, err
	}
	p.drain += cfg.Kit.DrainTimeout + cfg.Kit.DrainNotice
	p.health.add(cfg.Kit.Service, untilClosed(service.Ready()))
	return service, nil
}
