package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/holdfast-io/holdfast/tools/bench/proc"
)

const (
	// readyTime bounds the wait for a started gateway to be ready.
	readyTime = 30 * time.Second
	// readyEvery is how often it is asked.
	readyEvery = 50 * time.Millisecond
)

// StackOptions says with which configurations a Stack starts. Addresses in
// them are overridden, so that a benchmark disturbs nothing that runs.
type StackOptions struct {
	GatewayConfig, EchoConfig string
	// Set is more KEY=VALUE of the gateway's configuration.
	Set []string
	// Certificate and Key are PEM files: with them the gateway's port speaks TLS
	// too. Both may be empty.
	Certificate, Key string
	// Instances of echo, in the slots from 0; 0: one.
	Instances int
}

// Stack is a gateway and the instances of its echo backend as processes, with
// the kits and the gateway's RPC port on unix sockets. Stop it.
type Stack struct {
	Server
	gateway  *proc.Child
	backends []*proc.Child
	dir      string
}

// StartStack starts all of them and blocks until the gateway is ready.
func StartStack(ctx context.Context, o StackOptions) (_ *Stack, err error) {
	s := &Stack{}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	if s.dir, err = os.MkdirTemp("", "holdfast-bench-"); err != nil {
		return nil, fmt.Errorf("folder for sockets: %w", err)
	}
	for _, into := range []*string{&s.Endpoint, &s.Admin} {
		if *into, err = freePort(); err != nil {
			return nil, err
		}
	}
	pairs := append([]string{"admin.listen=" + s.Admin, "listeners.0.address=" + s.Endpoint,
		"rpc.listen=unix:" + filepath.Join(s.dir, "gateway.sock"), "drain.window=0s"}, o.Set...)
	pairs = append(pairs, o.secure()...)
	for n := range max(o.Instances, 1) {
		kit := fmt.Sprintf("unix:%s/echo-%d.sock", s.dir, n)
		backend, err := proc.Spawn(nil, set("echo", o.EchoConfig, "admin.listen=", "kit.listen="+kit)...)
		if err != nil {
			return nil, fmt.Errorf("echo backend: %w", err)
		}
		s.backends = append(s.backends, backend)
		s.Processes = append(s.Processes, Process{Role: "backend", PID: backend.PID})
		at := fmt.Sprintf("dispatcher.services.0.instances.%d.", n)
		pairs = append(pairs, at+"address="+kit, fmt.Sprintf("%sslot=%d", at, n))
	}
	if s.gateway, err = proc.Spawn(nil, set("gateway", o.GatewayConfig, pairs...)...); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	s.Processes = append([]Process{{Role: "gateway", PID: s.gateway.PID}}, s.Processes...)
	return s, s.awaitReady(ctx)
}

// secure are the keys that make the port speak TLS, behind what it speaks in
// configs/gateway.bench.yaml.
func (o StackOptions) secure() (pairs []string) {
	if o.Certificate == "" {
		return nil
	}
	for i, name := range []string{"tcp", "ws", "poll", "sse", "tls", "wss", "polls", "sses"} {
		pairs = append(pairs, fmt.Sprintf("listeners.0.transports.%d=%s", i, name))
	}
	return append(pairs, "listeners.0.tls.certificates.0.cert="+o.Certificate, "listeners.0.tls.certificates.0.key="+o.Key)
}

// set returns the arguments that start a role with changed keys.
func set(role, file string, pairs ...string) []string {
	args := []string{role, "--config", file}
	for _, p := range pairs {
		args = append(args, "--set", p)
	}
	return args
}

// Stop ends all processes and waits for them.
func (s *Stack) Stop() {
	for _, c := range append([]*proc.Child{s.gateway}, s.backends...) {
		if c != nil {
			c.Stop()
		}
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir) // only sockets are in it
	}
}

// Err tells whether one of the processes has ended by itself.
func (s *Stack) Err() error {
	errs := []error{s.gateway.Err()}
	if errs[0] != nil {
		errs[0] = fmt.Errorf("gateway: %w", errs[0])
	}
	for _, b := range s.backends {
		if err := b.Err(); err != nil {
			errs = append(errs, fmt.Errorf("echo backend: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (s *Stack) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	ticker := time.NewTicker(readyEvery)
	defer ticker.Stop()
	for {
		said := ready(ctx, s.Admin)
		if said == nil {
			return nil
		}
		if err := s.Err(); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("the gateway is not ready: %w", said)
		}
	}
}

// ready is nil when the admin address says so.
func ready(ctx context.Context, admin string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/readyz", nil)
	if err != nil {
		return err
	}
	t := &http.Transport{DisableKeepAlives: true}
	defer t.CloseIdleConnections()
	resp, err := (&http.Client{Transport: t}).Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close() // only the status counts
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// freePort returns a loopback address that nobody listens on right now.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}
