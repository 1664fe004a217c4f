package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// health is what /readyz asks. Parts add their checks while the process is put
// together; later it is only read.
type health struct {
	mu     sync.Mutex
	checks []check // guarded by mu
}

// check tells why a part is not ready, or "".
type check struct {
	part   string
	reason func() string
}

func (h *health) add(part string, reason func() string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks = append(h.checks, check{part, reason})
}

// notReady is one line of /readyz.
type notReady struct {
	Part   string `json:"part"`
	Reason string `json:"reason"`
}

// list returns what is not ready, in the order of the parts; never nil.
func (h *health) list() []notReady {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := []notReady{}
	for _, c := range h.checks {
		if reason := c.reason(); reason != "" {
			out = append(out, notReady{c.part, reason})
		}
	}
	return out
}

// adminHandler serves the operator's paths and nothing else.
func adminHandler(h *health, reg *prometheus.Registry, api ...endpoint) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		missing := h.list()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if len(missing) > 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(missing) // the caller is gone: nobody to tell
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	for _, e := range api {
		mux.HandleFunc("GET "+e.path, e.serve)
	}
	return mux
}

// The deadlines of the admin server. A profile may run for a minute or two, so
// writing gets more time than anything else here.
const (
	adminReadTimeout  = 10 * time.Second
	adminWriteTimeout = 3 * time.Minute
	httpStopTimeout   = time.Second
)

// serveAdmin serves on ln, which it owns, until ctx is done.
func serveAdmin(ctx context.Context, ln net.Listener, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: adminReadTimeout,
		ReadTimeout:       adminReadTimeout,
		WriteTimeout:      adminWriteTimeout,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return serveHTTP(ctx, "admin server", server, ln)
}

// serveHTTP runs server on ln, which it owns, until ctx is done, and then cuts what
// takes longer than a moment to end. name is for its errors.
func serveHTTP(ctx context.Context, name string, server *http.Server, ln net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("%s: %w", name, err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), httpStopTimeout)
	defer cancel()
	if server.Shutdown(stop) != nil {
		_ = server.Close() // a profile is running: it is cut, the process goes
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// awaitReady returns true once every part is ready, false if ctx ends before.
func (p *process) awaitReady(ctx context.Context) bool {
	const pause = 20 * time.Millisecond // a person waits for it; parts need about as long
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for len(p.health.list()) > 0 {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
	return true
}
