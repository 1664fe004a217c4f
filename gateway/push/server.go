package push

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/cloudwego/kitex/pkg/rpcinfo"
	"github.com/cloudwego/kitex/server"

	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast/gateway"
)

// exitWait is how long Kitex waits for calls under way when it stops.
const exitWait = time.Second

// Server serves a Service on an address of its own.
type Server struct {
	cfg Config
	log *slog.Logger
	ln  net.Listener
}

// Listen binds the address, so that one in use is an error here. Close undoes
// it when Run is never called.
func Listen(cfg Config, log *slog.Logger) (*Server, error) {
	network, address := split(cfg.Listen)
	ln, err := net.Listen(network, address)
	if err != nil {
		return nil, fmt.Errorf("rpc listener %s: %w", cfg.Listen, err)
	}
	if !local(cfg.Listen) {
		log.Warn("backends are not authenticated: anybody who reaches this address can push and kick",
			"address", ln.Addr().String())
	}
	return &Server{cfg: cfg, log: log, ln: ln}, nil
}

// Address is how backends reach the server.
func (s *Server) Address() string {
	switch {
	case s.cfg.Advertise != "":
		return s.cfg.Advertise
	case s.ln.Addr().Network() == "unix":
		return "unix:" + s.ln.Addr().String()
	default:
		return s.ln.Addr().String()
	}
}

// Close frees the address of a server whose Run was never called.
func (s *Server) Close() error { return s.ln.Close() }

// Run serves until ctx is done; calls under way have a second to end.
func (s *Server) Run(ctx context.Context, service *Service) error {
	stopped := make(chan error)
	srv := gateway.NewServer(service,
		server.WithListener(s.ln),
		server.WithServerBasicInfo(&rpcinfo.EndpointBasicInfo{ServiceName: "holdfast.gateway"}),
		server.WithExitWaitTime(exitWait),
		// Signals are main's business.
		server.WithExitSignal(func() <-chan error { return stopped }),
	)
	unwatch := context.AfterFunc(ctx, func() { close(stopped) })
	defer unwatch()
	if err := srv.Run(); err != nil && ctx.Err() == nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("rpc server %s: %w", s.cfg.Listen, err)
	}
	return nil
}
