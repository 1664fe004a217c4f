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
			one, err := echoPart(p, cfg.Echo)
			return []part{one}, err
		})
}

func echoPart(p *process, cfg echo.Config) (part, error) {
	service, err := echo.New(cfg, p.log, p.reg)
	if err != nil {
		return part{}, err
	}
	p.drain += cfg.Kit.DrainTimeout + cfg.Kit.DrainNotice
	p.health.add(cfg.Kit.Service, untilClosed(service.Ready()))
	return part{"echo", service.Run}, nil
}
