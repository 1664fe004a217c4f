package main

import (
	"github.com/spf13/cobra"

	"github.com/holdfast-io/holdfast/backend/logic"
	"github.com/holdfast-io/holdfast/configs"
)

// newLogicCommand returns `holdfast logic`, the reference messaging backend.
func newLogicCommand() *cobra.Command {
	return roleCommand(configs.RoleLogic, "Serve the reference messaging backend",
		map[string]string{"data": "data", "admin": "admin.listen", "log-level": "log.level"},
		func(c configs.Logic) (configs.Log, configs.Admin) { return c.Log, c.Admin },
		func(_ *cobra.Command, p *process, cfg configs.Logic) ([]part, error) {
			one, err := logicPart(p, cfg.Logic)
			return []part{one}, err
		})
}

func logicPart(p *process, cfg logic.Config) (part, error) {
	service, err := logic.New(cfg, p.log, p.reg)
	if err != nil {
		return part{}, err
	}
	p.drain += cfg.Kit.DrainTimeout + cfg.Kit.DrainNotice
	p.health.add(cfg.Kit.Service, untilClosed(service.Ready()))
	return part{"logic", service.Run}, nil
}

// untilClosed is a health check: not ready until ready is closed.
func untilClosed(ready <-chan struct{}) func() string {
	return func() string {
		select {
		case <-ready:
			return ""
		default:
			return "not listening yet"
		}
	}
}
