package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// witness is a backend in this process that lets everybody in, as whom the token
// says, and remembers whom gateways say they are.
type witness struct {
	addr string

	mu  sync.Mutex
	ips map[string]string // client_ip by uid
}

func startWitness(t *testing.T) *witness {
	t.Helper()
	w := &witness{ips: map[string]string{}}
	w.addr = startBackend(t, kit.Backend{
		Connect: func(_ context.Context, l kit.Login) (kit.Identity, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.ips[l.Token] = l.Session.ClientIP
			return kit.Identity{UID: l.Token}, nil
		},
		Handle: func(_ context.Context, p kit.Packet) ([]byte, error) { return p.Payload, nil },
	}).Addr().String()
	return w
}

// startBackend serves b as logic in the test's process until the test ends.
func startBackend(t *testing.T, b kit.Backend) *kit.Server {
	t.Helper()
	cfg := kit.DefaultConfig()
	cfg.Service, cfg.Listen = "logic", "127.0.0.1:0"
	cfg.DrainNotice = 0
	server, err := kit.New(cfg, b, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	<-server.Ready()
	return server
}

// saw returns the address of the client that logged in as uid.
func (w *witness) saw(uid string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ips[uid]
}

// edgeGateway is a gateway that runs a sample, with this machine's addresses.
type edgeGateway struct {
	*proc
	endpoint, health, admin string
}

// startSample starts a gateway with a sample of configs, its only service at
// backend, its certificate cert and further settings.
func startSample(t *testing.T, sample, backend string, cert testenv.Cert, set map[string]string) *edgeGateway {
	t.Helper()
	g := &edgeGateway{endpoint: testenv.FreeAddress(t), health: testenv.FreeAddress(t), admin: testenv.FreeAddress(t)}
	all := map[string]string{
		"listeners[0].address": g.endpoint, "health_listen": g.health, "admin.listen": g.admin, "rpc.listen": "127.0.0.1:0",
		"log.format": "text", "dispatcher.services[0].instances[0].address": backend,
	}
	if cert.CertFile != "" {
		all["listeners[0].tls.certificates[0].cert"], all["listeners[0].tls.certificates[0].key"] = cert.CertFile, cert.KeyFile
	}
	maps.Copy(all, set)
	args := []string{"gateway", "--config", "configs/" + sample}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		args = append(args, "--set", key+"="+all[key])
	}
	g.proc = startHere(t, args...)
	g.await(g.errs, `msg="instance answers"`)
	return g
}

// edgeDialer connects over TLS from one of this machine's addresses.
type edgeDialer struct {
	from   string // such as 127.0.0.7
	config *tls.Config
}

// dial returns a connection that has shaken hands.
func (d edgeDialer) dial(ctx context.Context, address string) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(d.from)}}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	secure := tls.Client(conn, d.config)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("handshake: %w", err)
	}
	return secure, nil
}

// login says HELLO and returns after WELCOME; what is left of what has come is
// dropped.
func login(conn net.Conn, token string) error {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	hello, err := wire.AppendHello(nil, &wire.Hello{Protocol: 1, Token: token, HasToken: true})
	if err != nil {
		return err
	}
	b, err := wire.AppendStream(nil, &wire.Frame{Type: wire.TypeHello, Payload: hello})
	if err != nil {
		return err
	}
	if _, err := conn.Write(b); err != nil {
		return err
	}
	buf := make([]byte, 0, 4096)
	for {
		f, _, err := wire.ParseStream(buf, 1<<20, wire.FromGateway)
		if err == nil {
			if f.Type != wire.TypeWelcome {
				return fmt.Errorf("got %v %v %s, want WELCOME", f.Type, f.Code, f.Reason)
			}
			return nil
		}
		if !errors.Is(err, wire.ErrIncomplete) {
			return err
		}
		n, err := conn.Read(buf[len(buf):cap(buf)])
		if err != nil {
			return fmt.Errorf("waiting for WELCOME: %w", err)
		}
		buf = buf[:len(buf)+n]
	}
}

// visits are clients that come at a steady rate, log in and leave.
type visits struct {
	mu       sync.Mutex
	made     int
	failures []error
}

// every lets a client come each interval until ctx is done, however long the others
// take, and returns after the last. dial opens its connection.
func (v *visits) every(ctx context.Context, interval time.Duration, dial func(context.Context) (net.Conn, error)) {
	var all sync.WaitGroup
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		all.Go(func() {
			err := visit(context.WithoutCancel(ctx), fmt.Sprintf("visitor-%d", n), dial)
			v.mu.Lock()
			defer v.mu.Unlock()
			if v.made++; err != nil {
				v.failures = append(v.failures, err)
			}
		})
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
	all.Wait()
}

// await waits until n more clients have come and gone.
func (v *visits) await(t *testing.T, n int) {
	t.Helper()
	made := func() int { v.mu.Lock(); defer v.mu.Unlock(); return v.made }
	goal := made() + n
	for deadline := time.Now().Add(patience); made() < goal; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d clients in %v, want %d", made(), patience, goal)
		}
	}
}

func visit(ctx context.Context, uid string, dial func(context.Context) (net.Conn, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := login(conn, uid); err != nil {
		return err
	}
	b, err := wire.AppendStream(nil, &wire.Frame{Type: wire.TypeClose, Code: wire.CloseNormal})
	if err != nil {
		return err
	}
	_, err = conn.Write(b)
	return err
}

// check fails the test for each way in which a visit failed.
func (v *visits) check(t *testing.T) {
	t.Helper()
	said := map[string]int{}
	for _, err := range v.failures {
		said[err.Error()]++
	}
	for text, n := range said {
		t.Errorf("%d of %d clients failed: %s", n, v.made, text)
	}
}

// until reads what still comes, by the deadline that conn has, and returns the
// first frame of a type.
func until(conn net.Conn, want wire.Type) (wire.Frame, error) {
	var buf []byte
	more := make([]byte, 4096)
	for {
		f, size, err := wire.ParseStream(buf, 1<<20, wire.FromGateway)
		switch {
		case err == nil && f.Type == want:
			return f, nil
		case err == nil:
			buf = buf[size:]
			continue
		}
		n, err := conn.Read(more)
		buf = append(buf, more[:n]...)
		if err != nil && n == 0 {
			return wire.Frame{}, err
		}
	}
}
