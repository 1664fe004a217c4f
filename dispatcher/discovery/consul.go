package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/prometheus/client_golang/prometheus"
)

// Watch says what a Consul reports.
type Watch struct {
	Services []string // their names; SetServices changes them
	// Alive tells whether an instance that Consul does not list any more still answers
	// by itself. It is called from Run's goroutine and must not block. Nil: they are
	// all taken to answer.
	Alive func(service, id string) bool
}

// Consul is a Discovery whose instances and slots stand in Consul. It asks by
// queries that wait for a change, so a change is known in milliseconds and an idle
// Consul is hardly asked.
//
// Consul may be away: what was known stays, also over a restart of this process,
// from the last good copy in the configured folder. And it may have lost what it
// knew: instances that still answer are kept for a time when more than half of
// them are missing from its answer, or any while it has only just come back; lost
// slots stay until their holders have claimed them again.
type Consul struct {
	publisher

	// Static after NewConsul.
	cfg     ConsulConfig
	client  *consulClient
	alive   func(service, id string) bool
	log     *slog.Logger
	metrics *watchMetrics
	wanted  chan struct{} // has an element when services has changed

	mu       sync.Mutex // guards the following
	services []string

	started     atomic.Bool
	unreachable atomic.Bool
	confirmed   atomic.Int64 // Unix nanoseconds: when Consul last confirmed what is known; 0: never
}

var _ Discovery = (*Consul)(nil)

// NewConsul returns a Consul that knows nothing yet; Run asks.
func NewConsul(cfg ConsulConfig, watch Watch, log *slog.Logger, reg prometheus.Registerer) (*Consul, error) {
	client, err := newConsulClient(cfg)
	if err != nil {
		return nil, err
	}
	c := &Consul{
		cfg: cfg, client: client, alive: watch.Alive, log: log.With("component", "discovery"), wanted: make(chan struct{}, 1),
	}
	if c.metrics, err = newWatchMetrics(reg, c.Age); err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	c.SetServices(watch.Services)
	for _, name := range watch.Services {
		c.metrics.show(name, Service{}, 0)
	}
	return c, nil
}

// SetServices changes which services are reported. Snapshots follow once Consul
// has told of the new ones.
func (c *Consul) SetServices(names []string) {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	c.mu.Lock()
	c.services = names
	c.mu.Unlock()
	select {
	case c.wanted <- struct{}{}:
	default: // Run has not seen the change before, and will see this one with it
	}
}

// Age is how long ago Consul confirmed what the snapshots say; 0 when there is none.
func (c *Consul) Age() time.Duration {
	at := c.confirmed.Load()
	if at == 0 {
		return 0
	}
	return max(0, time.Since(time.Unix(0, at)))
}

// Run follows Consul until ctx is done; that is no error. It may be called once.
func (c *Consul) Run(ctx context.Context) error {
	if c.started.Swap(true) {
		return errors.New("discovery: Run was called twice")
	}
	defer c.client.close()
	w := &watching{c: c, ctx: ctx, answers: make(chan answer), watched: map[string]*watched{}}
	defer w.wg.Wait()
	w.loadCopy()
	late := time.NewTimer(c.cfg.StartWait)
	defer late.Stop()
	tick := time.NewTicker(watchTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			w.saveCopy()
			return nil
		case a := <-w.answers:
			w.take(a, time.Now())
		case <-c.wanted:
			w.follow()
		case <-late.C:
			w.late = true
		case now := <-tick.C:
			for _, one := range w.watched {
				one.belief.expire(now, c.alive)
			}
			w.saveCopy()
		}
		w.publish()
	}
}

const (
	// watchTick is how often held instances are looked at, and the copy is saved if
	// it has to be.
	watchTick = time.Second
	// copyEvery is how often the copy is saved though nothing has changed, so that its
	// age says how long Consul has been away.
	copyEvery = time.Minute
)

// reachable notes whether Consul answered, and logs when that changes.
func (c *Consul) reachable(err error) {
	if err == nil {
		c.metrics.answered.Inc()
		c.metrics.up.Set(1)
		if c.unreachable.Swap(false) {
			c.log.Info("Consul answers again")
		}
		return
	}
	c.metrics.failed.Inc()
	c.metrics.up.Set(0)
	if !c.unreachable.Swap(true) {
		c.log.Warn("Consul does not answer; what is known stays in use", slog.Any("error", err))
	}
}

// copyPath is where the last good copy is kept; empty: nowhere.
func (c *Consul) copyPath() string {
	if c.cfg.Folder == "" {
		return ""
	}
	return filepath.Join(c.cfg.Folder, "membership.last-good")
}

// watched is a service that is followed.
type watched struct {
	belief *belief
	stop   context.CancelFunc
}

// answer is something that Consul said of a service.
type answer struct {
	of        *watched // ignored when that is not followed any more
	instances []Instance
	keys      *slotKeys // nil: it is the instances
	back      bool      // it is the first since Consul was away, or its index went back
}

// watchOne follows the two halves of what Consul knows of a service.
func (w *watching) watchOne(ctx context.Context, service string, one *watched) {
	tell := func(a answer) {
		a.of = one
		select {
		case w.answers <- a:
		case <-ctx.Done():
		}
	}
	failed := func(err error) { w.c.reachable(err) }
	w.wg.Go(func() {
		w.c.client.follow(ctx, func(q *api.QueryOptions) (func(), *api.QueryMeta, error) {
			instances, meta, err := w.c.client.fetchInstances(service, q)
			return func() {
				w.c.reachable(nil)
				tell(answer{instances: instances, back: q.WaitIndex == 0})
			}, meta, err
		}, failed)
	})
	w.wg.Go(func() {
		w.c.client.follow(ctx, func(q *api.QueryOptions) (func(), *api.QueryMeta, error) {
			keys, meta, err := w.c.client.fetchKeys(service, q)
			return func() {
				w.c.reachable(nil)
				tell(answer{keys: &keys})
			}, meta, err
		}, failed)
	})
}
