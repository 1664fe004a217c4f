package dispatcher

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
)

// Self says who calls the backends.
type Self struct {
	Gateway string // where this process serves Gateway: host:port, or a unix socket's path
	Name    string // its configured name
	Epoch   int64  // one life of this process
	// Sessions counts the sessions that Heartbeat reports. Nil: those that are open
	// here.
	Sessions func() int64
}

// Dispatcher carries logins, requests and events to backend instances.
type Dispatcher struct {
	// Static after New.
	cfg     Config
	self    Self
	disc    discovery.Discovery
	log     *slog.Logger
	metrics *metrics
	catalog atomic.Pointer[catalog]
	routes  atomic.Pointer[routes]
	members *membership
	logins  *logins
	timers  timers
	budget  budget
	origins origins
	dial    dialFunc
	start   time.Time // zero of the dispatcher's clock
	wall    int64     // Unix nanoseconds at start

	reloading sync.Mutex          // held by Reload
	known     map[string]*service // guarded by reloading: those of former configurations too

	ready    chan struct{} // closed when the first membership is in use
	started  atomic.Bool
	stopping atomic.Bool
	stamps   atomic.Int64 // counts; orders what happens
	probedAt atomic.Int64 // when an unknown incarnation last made us ask everybody
}

// New returns a Dispatcher that knows no instance yet; Run finds and calls them.
func New(cfg Config, self Self, disc discovery.Discovery, log *slog.Logger, reg prometheus.Registerer) (*Dispatcher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("dispatcher config: %w", err)
	}
	now := time.Now()
	d := &Dispatcher{
		cfg:   cfg,
		self:  self,
		disc:  disc,
		log:   log.With("component", "dispatcher"),
		known: map[string]*service{},
		dial:  dialKitex,
		ready: make(chan struct{}),
		start: now,
		wall:  now.UnixNano(),
	}
	d.metrics = newMetrics(reg)
	d.timers.init()
	d.budget.init(cfg.Retry)
	services := &catalog{byName: map[string]*service{}}
	for _, s := range cfg.Services {
		svc := newService(d, s.withDefaults())
		d.known[s.Name], services.byName[s.Name] = svc, svc
		services.ordered = append(services.ordered, svc)
	}
	d.catalog.Store(services)
	d.members = newMembership(d)
	d.routes.Store(newRoutes(cfg.Routes, services.byName, nil))
	d.logins = newLogins(d, services.byName[cfg.Login.Service])
	return d, nil
}

// Run finds instances and calls them until ctx is done. It returns once every
// goroutine that it started has ended, which may take as long as the calls in
// flight may; what still waits is refused. It may be called once.
func (d *Dispatcher) Run(ctx context.Context) error {
	if d.started.Swap(true) {
		return fmt.Errorf("dispatcher: Run was called twice")
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.runMembership(ctx) })
	g.Go(func() error { return d.timers.run(ctx, d) })
	g.Go(func() error { return d.logins.run(ctx) })
	<-ctx.Done()
	d.stopping.Store(true)
	err := g.Wait()
	d.refuseAll(ReasonStopping)
	if err != nil {
		return fmt.Errorf("dispatcher: %w", err)
	}
	return nil
}

// Ready is closed once Run knows which instances there are, whether they answer
// or not. Until then requests are refused, and logins wait.
func (d *Dispatcher) Ready() <-chan struct{} { return d.ready }

// Incarnation tells that an instance spoke as this incarnation, as a backend's
// call to the gateway says. When nobody is known by it, an instance has restarted:
// all are asked who they are, at most ten times a second.
func (d *Dispatcher) Incarnation(incarnation int64) {
	if incarnation == 0 {
		return
	}
	for _, s := range d.services() {
		for _, i := range s.table.Load().all {
			if i.life.knows(incarnation) {
				return
			}
		}
	}
	now, last := d.now(), d.probedAt.Load()
	if last != 0 && now-last < int64(100*time.Millisecond) || !d.probedAt.CompareAndSwap(last, now) {
		return
	}
	for _, s := range d.services() {
		for _, i := range s.table.Load().all {
			i.probe()
		}
	}
}

// now is the dispatcher's clock: nanoseconds since New, monotonic.
func (d *Dispatcher) now() int64 { return int64(time.Since(d.start)) }

// time turns a time of the dispatcher's clock into one that limiters take, without
// asking the clock again.
func (d *Dispatcher) time(now int64) time.Time { return d.start.Add(time.Duration(now)) }

// retryAfter is what a client is told to wait, spread so that clients that were
// refused together do not come back together.
func (d *Dispatcher) retryAfter() time.Duration {
	base := d.cfg.RetryAfter
	return base + rand.N(base/2+1)
}

// sessions is what Heartbeat reports.
func (d *Dispatcher) sessions() int64 {
	if d.self.Sessions != nil {
		return d.self.Sessions()
	}
	return d.origins.count()
}
