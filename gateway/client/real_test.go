package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/gateway"
	"github.com/holdfast-io/holdfast/gateway/admission"
	"github.com/holdfast-io/holdfast/gateway/client"
	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/gateway/transport"
	"github.com/holdfast-io/holdfast/gateway/transport/secure"
	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// backend is a gateway's Dispatcher: it lets everybody in and answers as tiny
// does, on goroutines of its own, since a real one is somewhere else too.
type backend struct {
	answers sync.WaitGroup

	mu    sync.Mutex
	runs  map[string]int // by session and id
	lanes []*lanes
}

func (b *backend) Incarnation(int64) {}

func (b *backend) Connect(l gateway.Login, done func(gateway.Verdict)) {
	v := gateway.Verdict{UID: l.Token + l.Session, Service: "test"}
	if code, ok := strings.CutPrefix(l.Token, "refuse:"); ok {
		n, _ := strconv.Atoi(code)
		v = gateway.Verdict{CloseCode: uint16(n), Reason: "as the test says"}
		if wire.CloseCode(n) == wire.CloseBackendUnavailable {
			v.RetryAfter = 1234 * time.Millisecond
		}
	}
	b.answers.Go(func() { done(v) })
}

func (b *backend) Open(o gateway.Origin, _ string, sink gateway.Sink) session.Upstream {
	l := &lanes{backend: b, id: o.Session, sink: sink}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lanes = append(b.lanes, l)
	return l
}

// twice lists the requests that were run more than once.
func (b *backend) twice() (all []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for request, n := range b.runs {
		if n > 1 {
			all = append(all, request)
		}
	}
	return all
}

// lanes are those of one session.
type lanes struct {
	backend *backend
	id      string
	sink    gateway.Sink

	mu     sync.Mutex // keeps pushes in order
	events []string   // guarded by mu
}

func (l *lanes) Submit(id uint32, command, payload []byte) {
	l.backend.mu.Lock()
	l.backend.runs[fmt.Sprint(l.id, " ", id)]++
	l.backend.mu.Unlock()
	what, payload := string(command), slices.Clone(payload)
	if what == "echo.never" {
		return
	}
	l.backend.answers.Go(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if what == "echo.push" {
			to := l.sink.(*session.Session)
			to.Push(&session.Push{Command: []byte("echo.pushed"), Payload: payload, Reliable: true})
			to.Flush()
		}
		l.sink.Reply(id, 0, slices.Clone(payload))
		l.sink.Flush()
	})
}

func (l *lanes) Answer(string, int64, int32, int32, []byte, bool, string, time.Duration) bool {
	return false
}
func (l *lanes) Cut(string)             { l.note("cut") }
func (l *lanes) Resumed(string, string) { l.note("resumed") }
func (l *lanes) End(string)             { l.note("ended") }

func (l *lanes) note(event string) {
	l.backend.mu.Lock()
	defer l.backend.mu.Unlock()
	l.events = append(l.events, event)
}

// startReal runs a gateway with two listeners, each of which speaks every
// transport, with a network in front that can be cut.
func startReal(t *testing.T, change func(*gateway.Config)) (served, *backend) {
	t.Helper()
	ca := testenv.NewCA(t)
	cert := ca.Issue("127.0.0.1")
	cfg := gateway.DefaultConfig()
	cfg.Name = "gw-test"
	withTLS := secure.DefaultConfig()
	withTLS.Certificates = []secure.Certificate{{Cert: cert.CertFile, Key: cert.KeyFile}}
	cfg.Listeners = []transport.ListenerConfig{
		{Transports: []transport.Name{"tcp", "ws", "poll", "sse"}, Address: "127.0.0.1:0", TLS: secure.DefaultConfig()},
		{Transports: []transport.Name{"tls", "wss", "polls", "sses"}, Address: "127.0.0.1:0", TLS: withTLS},
	}
	cfg.RPC.Listen = "127.0.0.1:0"
	cfg.Drain.Window, cfg.Drain.DeregisterDelay = 0, 0
	cfg.Tick = 5 * time.Millisecond
	cfg.Admission = admission.Unlimited()
	if change != nil {
		change(&cfg)
	}
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() && os.Getenv("GATEWAY_LOG") != "" {
		log = slog.New(slog.NewTextHandler(io.Writer(os.Stderr), nil))
	}
	srv, err := gateway.New(cfg, log, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Listen(); err != nil {
		t.Fatal(err)
	}
	b := &backend{runs: map[string]int{}}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx, b) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("gateway: Run = %v", err)
			}
		case <-time.After(patience):
			t.Error("gateway: Run does not return")
		}
		b.answers.Wait()
	})
	addrs := srv.Addrs()
	return served{plain: addrs[0].String(), secure: addrs[1].String(), roots: ca.Pool, stop: stop}, b
}

// inFrontOf puts networks that can be cut, and are calm otherwise, in front of s.
func inFrontOf(t *testing.T, s served) served {
	plain, behind := startCutter(t, s.plain, 1, 1), startCutter(t, s.secure, 1, 1)
	plain.relax()
	behind.relax()
	s.plain, s.secure = plain.addr(), behind.addr()
	s.cut = func() { plain.let(""); behind.let("") }
	return s
}

// TestRealGateway is the suite against package gateway itself.
func TestRealGateway(t *testing.T) {
	s, _ := startReal(t, nil)
	runSuite(t, inFrontOf(t, s))
}

// TestRealChaos is TestChaos against package gateway itself.
func TestRealChaos(t *testing.T) {
	s, b := startReal(t, nil)
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) { runChaos(t, s, transport, b.twice) })
	}
	t.Run("across", func(t *testing.T) { runChaosAcross(t, s, b.twice) })
}

// TestRealLifetime: a gateway that ends connections for their age does no harm.
func TestRealLifetime(t *testing.T) {
	s, b := startReal(t, func(cfg *gateway.Config) { cfg.Session.Lifetime = 150 * time.Millisecond })
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			c, told := connect(t, s.config(transport))
			ctx := within(t)
			for n := 0; told.count(client.StateResumed) < 3; n += 10 {
				if got := pushed(ctx, t, c, n, 10); !slices.Equal(got, numbers(n, 10)) {
					t.Fatalf("pushes %v, want %d to %d; life: %v", got, n, n+9, told)
				}
			}
			if n := told.count(client.StateConnected); n != 1 {
				t.Errorf("%d sessions, want 1; life: %v", n, told)
			}
		})
	}
	if again := b.twice(); len(again) > 0 {
		t.Errorf("ran twice: %v", again)
	}
}

// TestRealRefusals: the code that says why is the same on every transport, and so
// is how long to wait.
func TestRealRefusals(t *testing.T) {
	s, _ := startReal(t, nil)
	for _, transport := range transports {
		for code, wait := range map[wire.CloseCode]time.Duration{
			wire.CloseUnauthenticated: 0, wire.ClosePermissionDenied: 0, wire.CloseTicketInvalid: 0,
			wire.CloseBackendUnavailable: 1234 * time.Millisecond,
		} {
			cfg := s.config(transport)
			cfg.Token = fmt.Sprintf("refuse:%d", code)
			c, err := client.Dial(t.Context(), cfg)
			if err == nil {
				c.Close()
			}
			var closed *client.CloseError
			if !errors.As(err, &closed) || closed.Code != code || closed.Reason != "as the test says" {
				t.Errorf("%s: Dial = %v, want %d", transport, err, code)
			} else if closed.RetryAfter < wait || wait == 0 && closed.RetryAfter != 0 {
				t.Errorf("%s: %d with RetryAfter %v, want %v", transport, code, closed.RetryAfter, wait)
			}
		}
	}
}

// TestRealDrain: a gateway that stops sends its clients away, and the others take
// them in; a request that is under way is finished first.
func TestRealDrain(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel() // it waits most of its time
			old, _ := startReal(t, func(cfg *gateway.Config) { cfg.Drain.Window = time.Second })
			next, _ := startReal(t, nil)
			cfg := old.config(transport)
			cfg.TLS.RootCAs = nil
			cfg.TLS.InsecureSkipVerify = true // two authorities
			cfg.Endpoints = append(cfg.Endpoints, next.config(transport).Endpoints...)
			c, told := connect(t, cfg)
			ctx := within(t)
			if got := pushed(ctx, t, c, 0, 10); !slices.Equal(got, numbers(0, 10)) {
				t.Errorf("pushes %v", got)
			}
			old.stop()
			told.await(t, client.StateConnected, 2)
			if got := pushed(ctx, t, c, 10, 10); !slices.Equal(got, numbers(10, 10)) {
				t.Errorf("pushes after the move %v", got)
			}
			if told.count(client.StateLeaving) == 0 || c.Session().Endpoint == cfg.Endpoints[0] || c.Session().Resumed {
				t.Errorf("session at %s; life: %v", c.Session().Endpoint, told)
			}
		})
	}
}

// TestRealClimb moves a session up from long poll, while it is used.
func TestRealClimb(t *testing.T) {
	s, b := startReal(t, nil)
	n := startCutter(t, s.plain, 1, 1)
	n.relax()
	n.let("poll")
	cfg := s.config("tcp")
	cfg.Endpoints = []string{"auto://" + n.addr()}
	cfg.ClimbAfter(30 * time.Millisecond)
	c, told := connect(t, cfg)
	ctx := within(t)
	for i := 0; !strings.HasPrefix(c.Session().Endpoint, "tcp://"); i += 20 {
		if got := pushed(ctx, t, c, i, 20); !slices.Equal(got, numbers(i, 20)) {
			t.Fatalf("pushes %v, want %d to %d; life: %v", got, i, i+19, told)
		}
		if i == 100 {
			n.open()
		}
	}
	if told.count(client.StateConnected) != 1 || told.count(client.StateWaiting) != 0 || told.carried()["poll"] != 1 {
		t.Errorf("life: %v, want one session that went from poll up", told)
	}
	if again := b.twice(); len(again) > 0 {
		t.Errorf("ran twice: %v", again)
	}
}
