package kit

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/holdfast-io/holdfast/backend/kit/internal/engine"
	"github.com/holdfast-io/holdfast/idl/endpoint"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast/logic"
	"github.com/holdfast-io/holdfast/idl/rpc"
)

const (
	// sweepEvery is how often what has become old is forgotten.
	sweepEvery = 5 * time.Second
	// leaveTime is how long handlers have that did not finish while draining,
	// once their context has ended.
	leaveTime = 500 * time.Millisecond
)

// Server serves a Backend. Create it with New, then Run it once.
type Server struct {
	// static after New
	cfg         Config
	backend     Backend
	slog        *slog.Logger
	log         *limitedLog
	metrics     *metrics
	engine      *engine.Engine
	logins      *logins
	gateways    *gateways
	peers       *peers
	pusher      *Pusher
	incarnation int64
	base        context.Context // of calls to the backend; ends when Run gives up waiting for them
	cancel      context.CancelFunc

	started  atomic.Bool
	draining atomic.Bool
	paused   atomic.Bool        // Pause: refuses like draining, but may be taken back
	ready    chan struct{}      // closed when it listens
	ln       *endpoint.Listener // set before ready is closed
}

// New returns a Server that is not listening yet. log and reg must not be nil;
// two servers of one service cannot share reg.
func New(cfg Config, b Backend, log *slog.Logger, reg prometheus.Registerer) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("kit config: %w", err)
	}
	if b.Connect == nil && b.Handle == nil {
		return nil, errors.New("kit: backend has neither Connect nor Handle")
	}
	s := &Server{
		cfg: cfg, backend: b, slog: log.With("component", "kit", "service", cfg.Service),
		metrics: newMetrics(cfg.Service), gateways: newGateways(cfg.Gateways, b.Events != nil),
		incarnation: time.Now().UnixNano(), ready: make(chan struct{}),
	}
	s.log = newLimitedLog(s.slog)
	s.base, s.cancel = context.WithCancel(context.Background())
	s.peers = &peers{
		cfg: cfg.Gateways, metrics: s.metrics, incarnation: s.incarnation, seed: maphash.MakeSeed(),
		ctx: s.base, byAddress: map[string]*peer{},
	}
	s.pusher = &Pusher{peers: s.peers, gateways: s.gateways}
	s.logins = &logins{cfg: cfg, judge: b.Connect, log: s.log, metrics: s.metrics, owner: &s.peers.owner, base: s.base}
	s.engine = engine.New(engine.Config{
		DeferAfter: cfg.DeferAfter, HandlerTimeout: cfg.HandlerTimeout,
		MaxRunning: cfg.MaxRunning, MaxWaiting: cfg.MaxWaiting,
		Sessions: cfg.Dedupe.Sessions, Answers: cfg.Dedupe.Answers, Bytes: cfg.Dedupe.Bytes, Window: cfg.Dedupe.Window,
	}, s.run, s.later)
	if err := register(reg, s.metrics, newCollector(cfg.Service, s.engine, s.peers, s.gateways)); err != nil {
		return nil, err
	}
	return s, nil
}

// Pusher sends pushes to gateways while Run runs.
func (s *Server) Pusher() *Pusher { return s.pusher }

// Gateways returns the gateways that are alive, in no order.
func (s *Server) Gateways() []Gateway { return s.gateways.list() }

// Incarnation names this life of the process. It is never 0.
func (s *Server) Incarnation() int64 { return s.incarnation }

// Resync asks every gateway, at its next Heartbeat, to announce all its sessions
// as Present events: for a backend that finds its presence lost.
func (s *Server) Resync() { s.gateways.resync() }

// Ready is closed when the server listens. It stays open when Run fails before.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Addr returns the address that the server listens on. Only after Ready.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Run listens and serves until ctx is done, then drains: packets that come now
// are answered "draining", so that the gateways send them elsewhere, handlers and
// pushes have DrainTimeout to finish, and gateways DrainNotice to hear of it. It
// returns when everything it started has ended, except handlers that do not heed
// their context: they are logged. A plain shutdown is not an error.
func (s *Server) Run(ctx context.Context) error {
	if s.started.Swap(true) {
		return errors.New("kit: Run was called twice")
	}
	ln, err := endpoint.Listen(s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("kit: %w", err)
	}
	s.ln = ln
	s.warnIfOpen()
	s.peers.start()
	err = s.serve(ctx)
	s.cancel()
	s.peers.close()
	return errors.Join(err, ln.Release())
}

// serve runs Kitex, the engine and the sweeper until ctx is done and the drain is over.
func (s *Server) serve(ctx context.Context) error {
	quit := make(chan error, 1) // tells Kitex to stop
	kitex := logic.NewServer(&service{s}, rpc.ServerOptions(s.ln, quit, s.cfg.DrainTimeout)...)
	g, gctx := errgroup.WithContext(context.WithoutCancel(ctx))
	g.Go(kitex.Run)
	g.Go(func() error { return s.engine.Run(gctx) }) // drain closes the engine
	g.Go(func() error {
		defer func() { quit <- nil }()
		select { // Kitex may only be stopped once it polls
		case <-s.ln.Polled():
		case <-gctx.Done():
			return nil
		}
		close(s.ready)
		s.slog.Info("serving", "address", s.ln.Addr().String(), "incarnation", s.incarnation)
		s.sweepUntil(ctx, gctx)
		if gctx.Err() == nil {
			s.drain(gctx)
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return fmt.Errorf("kit: serve %s: %w", s.cfg.Listen, err)
	}
	return nil
}

// warnIfOpen says in the log who may reach the port.
func (s *Server) warnIfOpen() {
	if addr := s.ln.Addr(); reachable(addr) {
		s.slog.Warn("the port is not authenticated and can be reached from other machines: "+
			"whoever reaches it can speak for any user", "address", addr.String())
	}
}

// reachable reports whether other machines may reach what listens on addr.
func reachable(addr net.Addr) bool {
	a, ok := addr.(*net.TCPAddr)
	return ok && !a.IP.IsLoopback()
}

// sweepUntil forgets what is old and tells the backend of lost gateways, until
// one of the contexts is done.
func (s *Server) sweepUntil(ctx, failed context.Context) {
	lease := time.NewTicker(max(s.cfg.Gateways.Lease/10, 10*time.Millisecond))
	defer lease.Stop()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-failed.Done():
			return
		case <-lease.C:
			s.loseGateways(time.Now())
		case <-s.gateways.wake:
			s.loseGateways(time.Now())
		case now := <-sweep.C:
			s.engine.Sweep()
			s.peers.sweep(now, s.gateways.alive)
		}
	}
}

// loseGateways tells the backend of the gateways that are gone.
func (s *Server) loseGateways(now time.Time) {
	for _, g := range s.gateways.expire(now) {
		s.slog.Warn("gateway lost", "gateway", g.Address, "name", g.Name, "epoch", g.Epoch, "sessions", g.Sessions)
		if s.backend.GatewayLost != nil {
			_ = s.guard("gateway lost", func(ctx context.Context) error { // a panic is logged and counted there
				s.backend.GatewayLost(ctx, g)
				return nil
			})
		}
		if s.gateways.forget(g) {
			s.peers.drop(g.Address, ErrGatewayLost)
		}
	}
}

// drain lets what was begun finish, in bounded time.
func (s *Server) drain(ctx context.Context) {
	s.slog.Info("draining")
	s.draining.Store(true)
	noticed := time.Now().Add(s.cfg.DrainNotice)
	dctx, cancel := context.WithTimeout(ctx, s.cfg.DrainTimeout)
	defer cancel()
	left := s.engine.Drain(dctx)
	s.awaitNotice(noticed)
	s.peers.flush(dctx)

	lctx, cancelLeave := context.WithTimeout(ctx, leaveTime)
	defer cancelLeave()
	s.cancelHandlers(lctx, left)
}

// cancelHandlers ends the contexts of the handlers that are left and gives them
// a moment to answer.
func (s *Server) cancelHandlers(ctx context.Context, left int) {
	stuck := s.engine.Close(ctx)
	if left > 0 {
		s.peers.flush(ctx)
	}
	if stuck > 0 {
		s.slog.Error("handlers do not heed their context; they are left behind", "handlers", stuck)
	}
}

// awaitNotice waits until every living gateway has been told of the draining, at
// most until then.
func (s *Server) awaitNotice(then time.Time) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !s.gateways.allTold() && time.Now().Before(then) {
		<-tick.C
	}
}
