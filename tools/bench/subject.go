package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/holdfast-io/holdfast/tools/bench/bare"
	"github.com/holdfast-io/holdfast/tools/bench/load"
	"github.com/holdfast-io/holdfast/tools/bench/proc"
)

// Names of what is measured, as reports show them.
const (
	Holdfast   = "holdfast"
	Netpoll    = "netpoll"
	Goroutines = "goroutines"
)

// over names our server on another transport than TCP, as reports show it.
func over(transport string) string { return Holdfast + " " + transport }

// Process is a server process of a subject. Its CPU time is read.
type Process struct {
	Role string `json:"role"` // gateway, backend, ...
	PID  int    `json:"pid"`
}

// TokenSource gives the token of connection i, counted from 0; see
// load.TokenSource.
type TokenSource = load.TokenSource

// Server says how to reach what is measured.
type Server struct {
	// Endpoint is empty when only the baselines are wanted. A scheme says which
	// transport; without one it is TCP.
	Endpoint string
	// Tokens may be nil.
	Tokens TokenSource
	// Processes may be empty: CPU time is then not reported. The first is the
	// one whose memory is measured.
	Processes []Process
	// Admin is the gateway's admin address, for its heap objects; may be empty.
	Admin string
	// Threads, Parallel: see load.Config. 0 is the default.
	Threads, Parallel int
}

// subject is one server under load: ours or a baseline.
type subject struct {
	name string
	Server
	raw bool
}

func (s Server) name() string {
	if transport, _, ok := strings.Cut(s.Endpoint, "://"); ok && transport != "tcp" {
		return over(transport)
	}
	return Holdfast
}

// beside returns s over each of the transports.
func (s Server) beside(transports []string) (all []subject) {
	for _, t := range transports {
		all = append(all, subject{name: over(t), Server: s.on(t)})
	}
	return all
}

func validateBeside(transports []string) error {
	for _, t := range transports {
		if !slices.Contains(load.Transports, t) {
			return fmt.Errorf("beside: %q, want some of %v", t, load.Transports)
		}
	}
	return nil
}

func (s Server) validate(baseline bool) error {
	if s.Endpoint == "" && baseline {
		s.Endpoint = "127.0.0.1:1" // stands for the baseline's, so that the rest is judged
	}
	return subject{Server: s}.config().Validate()
}

func atLeast(name string, n, low int) error {
	if n < low {
		return fmt.Errorf("%s: %d, want at least %d", name, n, low)
	}
	return nil
}

func (s subject) config() load.Config {
	c := load.DefaultConfig(s.Endpoint)
	c.Tokens = s.Tokens
	if s.raw {
		c.Mode = load.Raw
	}
	if s.Threads > 0 {
		c.Threads = s.Threads
	}
	if s.Parallel > 0 {
		c.Parallel = s.Parallel
	}
	return c
}

// on is s by another transport of the same port.
func (s Server) on(transport string) Server {
	_, address, ok := strings.Cut(s.Endpoint, "://")
	if !ok {
		address = s.Endpoint
	}
	s.Endpoint = transport + "://" + address
	return s
}

// baseline starts a bare server as a process of its own. The caller ends it
// with stop.
func baseline(ctx context.Context, name string, like Server) (s subject, stop func(), err error) {
	child, err := proc.StartBare(ctx, "bench", "serve-"+name, "--listen", "127.0.0.1:0")
	if err != nil {
		return subject{}, nil, err
	}
	like.Endpoint, like.Tokens, like.Admin = child.Addr, nil, ""
	like.Processes = []Process{{Role: name, PID: child.PID}}
	return subject{name: name, Server: like, raw: true}, child.Stop, nil
}

// withBaselines returns s between its baselines, in the order in which a
// round measures them, and what ends the baselines.
func withBaselines(ctx context.Context, s Server, wanted bool, names ...string) (all []subject, stop func(), err error) {
	if s.Endpoint != "" {
		all = []subject{{name: s.name(), Server: s}}
	}
	var stops []func()
	stop = func() {
		for _, f := range stops {
			f()
		}
	}
	if !wanted {
		return all, stop, nil
	}
	for _, name := range names {
		b, end, err := baseline(ctx, name, s)
		if err != nil {
			stop()
			return nil, nil, fmt.Errorf("baseline %s: %w", name, err)
		}
		stops = append(stops, end)
		if name == Netpoll { // first, so that it and ours are next to each other
			all = append([]subject{b}, all...)
		} else {
			all = append(all, b)
		}
	}
	return all, stop, nil
}

// ServeBare runs a bare server, the other side of a baseline, until ctx is
// done or in ends: the parent process holds in open as long as it lives. It
// says on out where it listens.
func ServeBare(ctx context.Context, name, listen string, in io.Reader, out io.Writer) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	if err := proc.Announce(out, l.Addr().String()); err != nil {
		return fmt.Errorf("tell the address: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends with the process at the latest: a read of in cannot be interrupted
		_, _ = io.Copy(io.Discard, in) // the end is what is waited for, by whatever reason
		cancel()
	}()
	if name == Netpoll {
		return bare.Netpoll(ctx, l)
	}
	return bare.Goroutines(ctx, l)
}
