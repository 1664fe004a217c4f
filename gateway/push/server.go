package push

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/holdfast-io/holdfast/idl/endpoint"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast/gateway"
	"github.com/holdfast-io/holdfast/idl/rpc"
)

// exitWait is how long Kitex waits for calls under way when it stops.
const exitWait = time.Second

// Server serves a Service on an address of its own.
type Server struct {
	cfg Config
	log *slog.Logger
	ln  *endpoint.Listener
}

// Listen binds the address, so that one in use is an error here. A unix socket
// is private to the user. Close undoes it when Run is never called.
func Listen(cfg Config, log *slog.Logger) (*Server, error) {
	ln, err := endpoint.Listen(cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("rpc listener %s: %w", cfg.Listen, err)
	}
	if !endpoint.Local(cfg.Listen) {
		log.Warn("backends are not authenticated: anybody who reaches this address can push and kick",
			"address", ln.Addr().String())
	}
	return &Server{cfg: cfg, log: log, ln: ln}, nil
}

// Address is how backends reach the server.
func (s *Server) Address() string {
	if s.cfg.Advertise != "" {
		return s.cfg.Advertise
	}
	return endpoint.Name(s.ln.Addr())
}

// Close frees the address of a server whose Run was never called.
func (s *Server) Close() error { return s.ln.Release() }

// Run serves until ctx is done; calls under way have a second to end.
func (s *Server) Run(ctx context.Context, service *Service) error {
	quit := make(chan error, 1) // tells Kitex to stop; signals are main's business
	srv := gateway.NewServer(service, rpc.ServerOptions(s.ln, quit, exitWait)...)
	g, gctx := errgroup.WithContext(context.WithoutCancel(ctx))
	g.Go(srv.Run)
	g.Go(func() error {
		defer func() { quit <- nil }()
		select { // Kitex may only be stopped once it polls
		case <-s.ln.Polled():
		case <-gctx.Done():
			return nil
		}
		select {
		case <-ctx.Done():
		case <-gctx.Done():
		}
		return nil
	})
	err := errors.Join(g.Wait(), s.ln.Release())
	if err != nil {
		return fmt.Errorf("rpc server %s: %w", s.cfg.Listen, err)
	}
	return nil
}
