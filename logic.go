package main

import (
	"errors"

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
			return logicParts(p, cfg)
		})
}

// logicParts returns the service and, where it is configured, its registration.
func logicParts(p *process, cfg configs.Logic) ([]part, error) {
	service, err := newLogic(p, cfg.Logic)
	if err != nil {
		return nil, err
	}
	announce, err := registrationParts(p, cfg.Register, cfg.Logic.Kit.Service, service)
	if err != nil {
		return nil, errors.Join(err, service.Close())
	}
	return append([]part{{"logic", service.Run}}, announce...), nil
}

func newLogic(p *process, cfg logic.Config) (*logic.Service, error) {
	service, err := logic.New(cfg, p.log, p.reg)
	if err != nil {
		return nil, err
	}
	p.drain += cfg.Kit.DrainTimeout + cfg.Kit.DrainNotice
	p.health.add(cfg.Kit.Service, untilClosed(service.Ready()))
	return service, nil
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
