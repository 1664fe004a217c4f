package gateway

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/holdfast-io/holdfast/gateway/transport"
)

// Reload takes what a running gateway can take of cfg, all or nothing, and
// returns the keys that differ and need a restart: what it has bound or has told
// others. Connections and sessions that exist keep the limits they began with.
// The certificates' files are read again in any case. It may read files, and
// does not block otherwise.
func (s *Server) Reload(cfg Config) (restart []string, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	restart = s.needsRestart(cfg)
	var errs []error
	for i, l := range s.listeners {
		if err := l.ReloadCertificates(); err != nil {
			errs = append(errs, fmt.Errorf("listeners.%d.tls.certificates: %w", i, err))
		}
	}
	if len(errs) > 0 { // a listener whose files were good has the new ones, which are those it is asked to have
		return nil, errors.Join(errs...)
	}
	if err := s.gate.Reload(cfg.Admission); err != nil { // it was valid
		return nil, fmt.Errorf("admission: %w", err)
	}
	for i, l := range s.listeners {
		if i < len(cfg.Listeners) && !slices.Contains(restart, fmt.Sprintf("listeners.%d", i)) {
			l.Believe(cfg.Listeners[i])
		}
	}
	s.cut.SetMax(s.gate.CutSessionsMax())
	s.replace(func(Config) Config { return cfg })
	return restart, nil
}

// needsRestart lists the keys of cfg that differ from what runs and are not taken.
func (s *Server) needsRestart(cfg Config) (keys []string) {
	differ := func(key string, a, b any) {
		if !reflect.DeepEqual(a, b) {
			keys = append(keys, key)
		}
	}
	was := &s.first
	differ("name", was.Name, cfg.Name)
	differ("zone", was.Zone, cfg.Zone)
	differ("region", was.Region, cfg.Region)
	differ("labels", was.Labels, cfg.Labels)
	differ("health_listen", was.HealthListen, cfg.HealthListen)
	differ("poll", was.Poll, cfg.Poll)
	differ("rpc", was.RPC, cfg.RPC)
	differ("tick", was.Tick, cfg.Tick)
	for i := range max(len(was.Listeners), len(cfg.Listeners)) {
		key := fmt.Sprintf("listeners.%d", i)
		if i >= len(was.Listeners) || i >= len(cfg.Listeners) {
			keys = append(keys, key)
			continue
		}
		differ(key, bound(was.Listeners[i]), bound(cfg.Listeners[i]))
	}
	return keys
}

// bound is a listener without what can change while it listens.
func bound(c transport.ListenerConfig) transport.ListenerConfig {
	c.Proxy.Trusted, c.ForwardedFor = nil, nil
	return c
}
