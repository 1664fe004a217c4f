package main

import (
	"context"
	"net"
	"strings"
	"sync/atomic"

	"github.com/holdfast-io/holdfast/configs"
	"github.com/holdfast-io/holdfast/dispatcher/discovery"
)

// backend is an instance of a service, as its registration needs it.
type backend interface {
	Ready() <-chan struct{}
	Addr() net.Addr // after Ready
	Incarnation() int64
	Pause(on bool)
}

// registrationCalls bounds what a registration may still call of Consul at its end.
const registrationCalls = 4

// registrationParts returns the part that announces b while it serves, none where
// the configuration wants none. It belongs behind the part that runs b: then it
// begins when b listens, and ends before b drains. Until the instance has its
// slot, and whenever it has lost it, b is paused.
func registrationParts(p *process, cfg configs.Register, service string, b backend) ([]part, error) {
	if !cfg.Enabled() {
		return nil, nil
	}
	registrar, err := discovery.NewConsulRegistrar(cfg.Consul, p.log, p.reg)
	if err != nil {
		return nil, err
	}
	var serving atomic.Bool
	p.health.add("registration", func() string {
		if serving.Load() {
			return ""
		}
		return "waits for a slot of " + service
	})
	p.drain += registrationCalls * cfg.Consul.Timeout
	b.Pause(true)
	return []part{{"registration", func(ctx context.Context) error {
		select {
		case <-b.Ready():
		case <-ctx.Done():
			return nil
		}
		r := registrationOf(cfg, service, b)
		r.Tell = func(s discovery.Standing) {
			serving.Store(s.Serving)
			b.Pause(!s.Serving)
		}
		return registrar.Register(ctx, r)
	}}}, nil
}

func registrationOf(cfg configs.Register, service string, b backend) discovery.Registration {
	r := discovery.Registration{
		ID: cfg.ID, Service: service, Address: cfg.Address, Zone: cfg.Zone, Meta: cfg.Meta(),
		Incarnation: b.Incarnation(), Slot: int(cfg.Slot),
	}
	if r.Address == "" {
		r.Address = b.Addr().String()
		if b.Addr().Network() == "unix" {
			r.Address = "unix:" + r.Address
		}
	}
	if r.ID == "" {
		r.ID = strings.Trim(strings.ReplaceAll(r.Address, "]", ""), "[") // an id has no brackets
	}
	return r
}
