package dispatcher

import (
	"errors"
	"fmt"
	"log/slog"
)

// catalog is the services that there are. It is immutable and replaced whole.
type catalog struct {
	byName  map[string]*service
	ordered []*service // as configured
}

// Reload makes the dispatcher use another configuration, without a restart and
// without disturbing what is under way: routes with their limits and outage
// answers, the services' bounds (max_outstanding, max_queued, max_queued_bytes,
// instance_rate, instance_burst), and services that are new or gone. Where cfg is
// not valid, or changes something that needs a restart, it changes nothing and says
// what. Which instances there are is the discovery's to tell.
//
// Requests that are under way end by the rules that they came in by. What waits for
// a service that is gone is refused as for one without instances.
func (d *Dispatcher) Reload(cfg Config) error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	if err := d.reloadableLocked(cfg); err != nil {
		return err
	}
	next := &catalog{byName: map[string]*service{}}
	for _, sc := range cfg.Services {
		if d.known[sc.Name] == nil {
			d.known[sc.Name] = newService(d, sc.withDefaults())
		}
	}
	d.members.mu.Lock() // no instance starts with the bounds of before
	for _, sc := range cfg.Services {
		s := d.known[sc.Name]
		s.limit(sc.withDefaults())
		next.byName[sc.Name] = s
		next.ordered = append(next.ordered, s)
	}
	d.members.mu.Unlock()
	d.catalog.Store(next)
	d.routes.Store(newRoutes(cfg.Routes, next.byName, d.routes.Load()))
	d.members.follow()
	d.log.Info("configuration in use", slog.Int("services", len(cfg.Services)), slog.Int("routes", len(cfg.Routes)))
	return nil
}

// Reloadable tells why Reload would refuse cfg now, and changes nothing.
func (d *Dispatcher) Reloadable(cfg Config) error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	return d.reloadableLocked(cfg)
}

func (d *Dispatcher) reloadableLocked(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("dispatcher config: %w", err)
	}
	v := &complaints{}
	d.cfg.needsNoRestart(cfg, v)
	for i, sc := range cfg.Services {
		if old := d.known[sc.Name]; old != nil {
			old.cfg.sameButLimits(sc.withDefaults(), fmt.Sprintf("services[%d].", i), v)
		}
	}
	if err := errors.Join(v.errs...); err != nil {
		return fmt.Errorf("dispatcher config: %w", err)
	}
	return nil
}

// needsNoRestart complains about what differs in next and cannot be changed while
// the dispatcher runs.
func (c Config) needsNoRestart(next Config, v *complaints) {
	same := func(ok bool, key string) { v.check(ok, key, "has changed, which needs a restart") }
	same(c.Login == next.Login, "login")
	same(c.RequestTimeout == next.RequestTimeout, "request_timeout")
	same(c.LaneLimit == next.LaneLimit, "lane_limit")
	same(c.ReplyBytes == next.ReplyBytes, "reply_bytes")
	same(c.RetryAfter == next.RetryAfter, "retry_after")
	same(c.Breaker == next.Breaker, "breaker")
	same(c.Retry == next.Retry, "retry")
	same(c.Heartbeat == next.Heartbeat, "heartbeat")
	same(c.Events == next.Events, "events")
}

// sameButLimits complains about what differs in next, apart from bounds and
// instances.
func (s ServiceConfig) sameButLimits(next ServiceConfig, at string, v *complaints) {
	same := func(ok bool, key string) { v.check(ok, at+key, "has changed, which needs a restart") }
	same(s.Timeout == next.Timeout, "timeout")
	same(s.ConnectTimeout == next.ConnectTimeout, "connect_timeout")
	same(s.Hash == next.Hash, "hash")
	same(s.CallsInFlight == next.CallsInFlight, "calls_in_flight")
	same(s.BatchPackets == next.BatchPackets, "batch_packets")
	same(s.BatchBytes == next.BatchBytes, "batch_bytes")
}

// limit gives the service and its instances the bounds of cfg.
func (s *service) limit(cfg ServiceConfig) {
	was := s.limits.Swap(&cfg)
	for _, i := range s.table.Load().all {
		i.limit(was, &cfg)
	}
}

// limit gives the instance the bounds of is; a limiter that stays the same keeps
// what it counts.
func (i *instance) limit(was, is *ServiceConfig) {
	i.load.limit(is)
	if was == nil || was.InstanceRate != is.InstanceRate || was.InstanceBurst != is.InstanceBurst {
		i.limiter.Store(newLimiter(is.InstanceRate, is.InstanceBurst))
	}
	i.ready.rest() // there may be more room than before
}

// services returns those that are configured, in their order.
func (d *Dispatcher) services() []*service { return d.catalog.Load().ordered }

// service returns the one with name, or nil.
func (d *Dispatcher) service(name string) *service { return d.catalog.Load().byName[name] }
