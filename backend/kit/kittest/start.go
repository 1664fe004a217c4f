package kittest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/backend/kit"
)

// patience bounds what a test waits for. It is long because the machine may be
// loaded; nothing waits that long when all is well.
const patience = 30 * time.Second

// Config returns a configuration for tests: loopback, any port, and a short
// drain.
func Config(service string) kit.Config {
	cfg := kit.DefaultConfig()
	cfg.Service, cfg.Listen = service, "127.0.0.1:0"
	cfg.DrainNotice = 0
	return cfg
}

// Start serves a backend until the test ends, or is stopped earlier by the
// function it returns besides.
func Start(t testing.TB, cfg kit.Config, b kit.Backend) (srv *kit.Server, stop func()) {
	t.Helper()
	srv, err := kit.New(cfg, b, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return srv, Run(t, srv)
}

// Run runs a server until the test ends, or is stopped earlier by the function it
// returns. It returns when the server listens.
func Run(t testing.TB, srv *kit.Server) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	select {
	case <-srv.Ready():
	case err := <-ended:
		cancel()
		t.Fatalf("Run() = %v before it was ready", err)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run() = %v, want nil", err)
		}
	}
	t.Cleanup(stop)
	return stop
}
