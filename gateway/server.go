package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/holdfast-io/holdfast/gateway/admission"
	"github.com/holdfast-io/holdfast/gateway/poll"
	"github.com/holdfast-io/holdfast/gateway/push"
	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/gateway/transport"
	"github.com/holdfast-io/holdfast/gateway/transport/secure"
	"github.com/holdfast-io/holdfast/gateway/wheel"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Server is one gateway.
type Server struct {
	// static after New
	name        string
	log         *slog.Logger
	epoch       int64
	returnTo    map[string]string
	first       Config // as New was given it: what needs a restart is compared with it
	metrics     *Metrics
	sessions    *session.Registry
	cut         *session.CutSessions
	gate        *admission.Gate
	poll        *poll.Server
	wheel       *wheel.Wheel
	transport   transport.Deps
	pushMetrics *push.Metrics

	farewells farewells

	live   atomic.Pointer[live]
	liveMu sync.Mutex // held while live is replaced

	// static after Listen
	listeners []*transport.Listener
	rpc       *push.Server

	disp Dispatcher // static after Run has begun

	leaving   atomic.Bool // not ready any more
	draining  atomic.Bool // clients are being sent away
	accepting atomic.Bool
	logins    sync.WaitGroup // logins that the dispatcher has not judged yet
	judging   sync.Map       // their handshakes
}

// New returns a gateway that is not listening yet.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("gateway config: %w", err)
	}
	log = log.With("component", "gateway", "gateway", cfg.Name)
	sessionMetrics := session.NewMetrics(reg)
	s := &Server{
		name: cfg.Name, first: cfg, log: log, epoch: time.Now().UnixMilli(), returnTo: cfg.returnTo(),
		metrics: NewMetrics(reg), sessions: session.NewRegistry(sessionMetrics),
		wheel: wheel.New(cfg.Tick), pushMetrics: push.NewMetrics(reg),
	}
	var err error
	if s.gate, err = admission.New(cfg.Admission, s.wheel.Now, log, reg); err != nil {
		return nil, fmt.Errorf("gateway config: admission: %w", err)
	}
	s.gate.OnLevel(s.relieve)
	s.cut = session.NewCutSessions(cfg.Session.ResumeTTL, s.gate.CutSessionsMax(), s.wheel.Now, sessionMetrics)
	s.live.Store(s.newLive(cfg, &session.Deps{Home: s, Metrics: sessionMetrics, Meter: s.gate, Cut: s.cut}))
	s.poll = poll.New(cfg.pollConfig(), pollDoor{s}, s.wheel, poll.NewMetrics(reg), log)
	s.transport = transport.Deps{
		Limits: func() *transport.Limits { return s.live.Load().transport },
		Accept: s.accept, Serve: s.serveHTTP, Gate: gatekeeper{s.gate},
		Wheel: s.wheel, Refusing: new(atomic.Int64), Metrics: transport.NewMetrics(reg), TLSMetrics: secure.NewMetrics(reg), Log: log,
	}
	return s, nil
}

// Listen binds every address, so that one in use is an error before anything
// runs. When it fails nothing stays bound. Close undoes it if Run is never
// called.
func (s *Server) Listen() error {
	rpc, err := push.Listen(s.first.RPC, s.log)
	if err != nil {
		return err
	}
	s.rpc = rpc
	for _, cfg := range s.first.Listeners {
		l, err := transport.Listen(cfg, s.transport)
		if err != nil {
			s.Close()
			return err
		}
		s.listeners = append(s.listeners, l)
	}
	return nil
}

// Close frees what Listen bound.
func (s *Server) Close() {
	for _, l := range s.listeners {
		l.Close()
	}
	s.listeners = nil
	if s.rpc != nil {
		_ = s.rpc.Close() // its only error is that it was closed before
	}
}

// Addrs is where clients connect, in the configuration's order, with the ports
// that were picked.
func (s *Server) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(s.listeners))
	for i, l := range s.listeners {
		addrs[i] = l.Addr()
	}
	return addrs
}

// Address is how backends reach the Gateway service, after Listen.
func (s *Server) Address() string { return s.rpc.Address() }

// Self is the gateway's name and the epoch of this life.
func (s *Server) Self() (name string, epoch int64) { return s.name, s.epoch }

// Sessions is how many sessions there are.
func (s *Server) Sessions() int64 { return s.sessions.Len() }

// Draining reports whether clients are being sent away.
func (s *Server) Draining() bool { return s.draining.Load() }

// Incarnation passes on what a backend said of itself.
func (s *Server) Incarnation(incarnation int64) { s.disp.Incarnation(incarnation) }

// Ready says why the gateway should get no clients, nil when it should.
func (s *Server) Ready() error {
	switch {
	case s.leaving.Load():
		return errors.New("draining")
	case !s.accepting.Load():
		return errors.New("not listening yet")
	default:
		return nil
	}
}

// Run serves until ctx is done, then sends the clients away over the drain
// window and returns. A plain shutdown is not an error. Listen must have been
// called. disp must keep working until Run has returned.
func (s *Server) Run(ctx context.Context, disp Dispatcher) error {
	s.disp = disp
	// What serves clients outlives ctx by the drain.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, gctx := errgroup.WithContext(serving)
	g.Go(func() error { return s.wheel.Run(gctx) })
	g.Go(func() error { return s.gate.Run(gctx) })
	g.Go(func() error { return s.cut.Run(gctx) })
	service := push.NewService(s.sessions, s, s.slow, s.pushMetrics)
	g.Go(func() error { return s.rpc.Run(gctx, service) })
	for _, l := range s.listeners {
		s.log.Info("listening", "transports", l.Config().Transports, "address", l.Addr().String())
		g.Go(func() error { return l.Run(gctx) })
	}
	s.accepting.Store(true)
	g.Go(func() error {
		select {
		case <-gctx.Done(): // a part has failed
		case <-ctx.Done():
			s.drain(gctx)
		}
		stop()
		return nil
	})
	err := g.Wait()
	s.accepting.Store(false)
	s.logins.Wait() // one that is let in now finds its connection gone
	s.endAll()
	return err
}

// endAll ends what is left when the listeners are gone.
func (s *Server) endAll() {
	s.sessions.Each(func(one *session.Session) bool {
		one.Abandon(wire.CloseDraining.String())
		return true
	})
}

// slow is what happens to transient pushes of a command when their client does
// not keep up.
func (s *Server) slow(command []byte) session.Slow {
	switch s.gate.Slow(command) {
	case admission.SlowConflate:
		return session.SlowConflate
	case admission.SlowDisconnect:
		return session.SlowDisconnect
	default:
		return session.SlowDropOldest
	}
}

// Cut implements session.Home.
func (s *Server) Cut(one *session.Session, why string) {
	s.gate.CutSession(s.cut.Len()) // counts; which one ends is up to the list, which has the bound
	s.log.Debug("session cut", "session", one.ID(), "uid", one.UID(), "why", why)
}

// Ended implements session.Home.
func (s *Server) Ended(one *session.Session, why string) {
	s.farewells.note(one, why) // before it cannot be found any more
	s.sessions.Remove(one)
	s.log.Debug("session ended", "session", one.ID(), "uid", one.UID(), "why", why)
}
