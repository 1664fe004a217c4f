package main

import (
	"context"
	"fmt"

	"github.com/holdfast-io/holdfast/configs"
	"github.com/holdfast-io/holdfast/dispatcher"
	"github.com/holdfast-io/holdfast/dispatcher/discovery"
)

// membership is where a gateway's dispatcher learns of instances, as configured.
type membership struct {
	discovery.Discovery
	// run follows the source until ctx is done; nil where there is nothing to follow.
	run func(ctx context.Context) error
	// update makes the source report what a changed configuration names. It cannot
	// fail for a configuration that is valid.
	update func(cfg dispatcher.Config) error
}

// newMembership returns the source that cfg names. alive tells whether an instance
// answers by itself.
func newMembership(p *process, cfg configs.Gateway, alive func(service, id string) bool) (*membership, error) {
	if cfg.Discovery.Kind == configs.KindConsul {
		return consulMembership(p, cfg, alive)
	}
	static, err := discovery.NewStatic(cfg.Dispatcher.Instances())
	if err != nil {
		return nil, fmt.Errorf("dispatcher.services: %w", err)
	}
	return &membership{
		Discovery: static,
		update:    func(cfg dispatcher.Config) error { return static.Replace(cfg.Instances()) },
	}, nil
}

func consulMembership(p *process, cfg configs.Gateway, alive func(service, id string) bool) (*membership, error) {
	watch := discovery.Watch{Services: serviceNames(cfg.Dispatcher), Alive: alive}
	consul, err := discovery.NewConsul(cfg.Discovery.Consul, watch, p.log, p.reg)
	if err != nil {
		return nil, err
	}
	return &membership{
		Discovery: consul,
		run:       consul.Run,
		update: func(cfg dispatcher.Config) error {
			consul.SetServices(serviceNames(cfg))
			return nil
		},
	}, nil
}

func serviceNames(cfg dispatcher.Config) []string {
	names := make([]string, len(cfg.Services))
	for i, s := range cfg.Services {
		names[i] = s.Name
	}
	return names
}
