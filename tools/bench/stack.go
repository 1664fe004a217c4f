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
}

// Stack is a gateway and its echo backend as two processes, with the kit and
// the gateway's RPC port on unix sockets. Stop it.
type Stack struct {
	Server
	gateway, backend *proc.Child
	dir              string
}

// StartStack starts both and blocks until the gateway is ready.
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
	var ports [3]string
	for i := range ports {
		if ports[i], err = freePort(); err != nil {
			return nil, err
		}
	}
	s.Endpoint, s.Admin = ports[0], ports[1]
	kit := "unix:" + filepath.Join(s.dir, "echo.sock")
	if s.backend, err = proc.Spawn(nil, set("echo", o.EchoConfig, "admin.listen="+ports[2], "kit.listen="+kit)...); err != nil {
		return nil, fmt.Errorf("echo backend: %w", err)
	}
	if s.gateway, err = proc.Spawn(nil, set("gateway", o.GatewayConfig, "admin.listen="+s.Admin, "listeners.0.address="+s.Endpoint,
		"rpc.listen=unix:"+filepath.Join(s.dir, "gateway.sock"), "dispatcher.services.0.instances.0.address="+kit,
		"drain.window=0s")...); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	s.Processes = []Process{{Role: "gateway", PID: s.gateway.PID}, {Role: "backend", PID: s.backend.PID}}
	return s, s.awaitReady(ctx)
}

// set returns the arguments that start a role with changed keys.
func set(role, file string, pairs ...string) []string {
	args := []string{role, "--config", file}
	for _, p := range pairs {
		args = append(args, "--set", p)
	}
	return args
}

// Stop ends both processes and waits for them.
func (s *Stack) Stop() {
	for _, c := range []*proc.Child{s.gateway, s.backend} {
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
	var errs []error
	for _, p := range []struct {
		role  string
		child *proc.Child
	}{{"gateway", s.gateway}, {"echo backend", s.backend}} {
		if err := p.child.Err(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.role, err))
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
