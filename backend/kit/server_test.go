package kit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/backend/kit/kittest"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// connectAny lets everybody in under the token's text.
func connectAny(_ context.Context, l kit.Login) (kit.Identity, error) {
	return kit.Identity{UID: l.Token}, nil
}

// start serves handle and returns a gateway that talks to it.
func start(t *testing.T, handle func(context.Context, kit.Packet) ([]byte, error), change func(*kit.Config)) (*kit.Server, *kittest.Gateway) {
	t.Helper()
	cfg := kittest.Config("im")
	if change != nil {
		change(&cfg)
	}
	srv, _ := kittest.Start(t, cfg, kit.Backend{Connect: connectAny, Handle: handle})
	return srv, kittest.NewGateway(t, srv.Addr(), kittest.Options{Service: "im"})
}

// eventually polls until ok returns true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestServe(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "unix:" + filepath.Join(t.TempDir(), "kit.sock")} {
		cfg := kittest.Config("im")
		cfg.Listen = listen
		srv, stop := kittest.Start(t, cfg, kit.Backend{
			Connect: connectAny,
			Handle: func(_ context.Context, p kit.Packet) ([]byte, error) {
				return fmt.Appendf(nil, "%s %s %s %d %s", p.Service, p.UID, p.Command, p.Seq, p.Payload), nil
			},
		})
		gw := kittest.NewGateway(t, srv.Addr(), kittest.Options{Service: "im", Unix: strings.HasPrefix(listen, "unix:")})
		alice := gw.Login(t, "alice", kit.Device{ID: "d1"})
		for seq := 1; seq <= 3; seq++ {
			want := fmt.Sprintf("im alice msg.send %d hello", seq)
			if r := alice.Request(t, "msg.send", "hello"); r.Status != kit.OK || string(r.Payload) != want {
				t.Errorf("%s: Request() = %+v, want %q", listen, r, want)
			}
		}
		stop()
	}
}

// TestOrderUnderLoad sends batches of quick and slow commands of many sessions
// over several connections and checks the order in which each session's ran.
func TestOrderUnderLoad(t *testing.T) {
	const sessions, rounds, perBatch = 20, 15, 5
	var mu sync.Mutex
	last, running := map[string]int64{}, map[string]bool{}
	_, gw := start(t, func(_ context.Context, p kit.Packet) ([]byte, error) {
		mu.Lock()
		if running[p.Session] || p.Seq != last[p.Session]+1 {
			t.Errorf("session %s: %d began after %d (running: %v)", p.Session, p.Seq, last[p.Session], running[p.Session])
		}
		last[p.Session], running[p.Session] = p.Seq, true
		mu.Unlock()
		if p.Command == "slow" {
			time.Sleep(4 * time.Millisecond)
		}
		mu.Lock()
		defer mu.Unlock()
		running[p.Session] = false
		return p.Payload, nil
	}, nil)
	var all sync.WaitGroup
	for i := range sessions {
		s := gw.Login(t, fmt.Sprint("u", i), kit.Device{})
		all.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			seq := int64(0)
			for range rounds {
				var batch []*holdfast.Packet
				for range perBatch {
					seq++
					command := "quick"
					if rng.IntN(4) == 0 {
						command = "slow"
					}
					batch = append(batch, s.Packet(seq, command, fmt.Sprint(seq)))
				}
				for j, r := range gw.Forward(t, batch...) {
					if want := string(batch[j].Payload); r.Status != 0 || string(r.Payload) != want {
						t.Errorf("packet %s was answered %+v", want, r)
					}
				}
			}
		})
	}
	all.Wait()
}

// TestDeferredAnswerSurvivesAGatewayThatFails for a while.
func TestDeferredAnswerSurvivesAGatewayThatFails(t *testing.T) {
	release := make(chan struct{})
	_, gw := start(t, func(context.Context, kit.Packet) ([]byte, error) {
		<-release
		return []byte("late"), nil
	}, nil)
	s := gw.Login(t, "alice", kit.Device{})
	gw.Fail(errors.New("not now"))
	time.AfterFunc(20*time.Millisecond, func() { close(release) })
	time.AfterFunc(120*time.Millisecond, func() { gw.Fail(nil) })
	if r := s.Request(t, "any", ""); string(r.Payload) != "late" {
		t.Errorf("Request() = %+v", r)
	}
}

func TestHandlersErrors(t *testing.T) {
	_, gw := start(t, func(ctx context.Context, p kit.Packet) ([]byte, error) {
		switch p.Command {
		case "fail":
			return []byte("ignored"), kit.Fail(kit.NotFound, "no such thing")
		case "payload":
			return nil, fmt.Errorf("wrapped: %w", kit.FailPayload(kit.Aborted, []byte("own form")))
		case "secret":
			return nil, errors.New("password is 1234")
		case "zero":
			return nil, kit.Fail(kit.OK, "an error is never OK")
		case "panic":
			panic("at the disco")
		case "slow":
			<-ctx.Done()
			return nil, fmt.Errorf("query: %w", ctx.Err())
		}
		return p.Payload, nil
	}, func(c *kit.Config) { c.HandlerTimeout = 20 * time.Millisecond })
	tests := []struct {
		command string
		status  kit.Status
		payload string
	}{
		{"fail", kit.NotFound, `{"message":"no such thing"}`},
		{"payload", kit.Aborted, "own form"},
		{"secret", kit.Internal, `{"message":"internal error"}`},
		{"zero", kit.Internal, `{"message":"an error is never OK"}`},
		{"panic", kit.Internal, `{"message":"internal error"}`},
		{"slow", kit.DeadlineExceeded, `{"message":"deadline exceeded"}`},
		{"fine", kit.OK, "x"},
	}
	s := gw.Login(t, "alice", kit.Device{})
	for _, tt := range tests {
		r := s.Request(t, tt.command, "x")
		if r.Status != tt.status || string(r.Payload) != tt.payload {
			t.Errorf("%s: %v %s, want %v %s", tt.command, r.Status, r.Payload, tt.status, tt.payload)
		}
	}
}

// TestPanicFailsItsPacketOnly: the others of the batch and of the session go on.
func TestPanicFailsItsPacketOnly(t *testing.T) {
	_, gw := start(t, func(_ context.Context, p kit.Packet) ([]byte, error) {
		if string(p.Payload) == "bad" {
			_ = p.Payload[len(p.Payload):][0] // out of range
		}
		return p.Payload, nil
	}, nil)
	a, b := gw.Login(t, "a", kit.Device{}), gw.Login(t, "b", kit.Device{})
	replies := gw.Forward(t, a.Packet(1, "c", "1"), a.Packet(2, "c", "bad"), a.Packet(3, "c", "3"), b.Packet(1, "c", "4"))
	var got []string
	for _, r := range replies {
		got = append(got, fmt.Sprint(r.Status, string(r.Payload)))
	}
	if want := `[01 13{"message":"internal error"} 03 04]`; fmt.Sprint(got) != want {
		t.Errorf("replies = %v, want %s", got, want)
	}
}

func TestMalformedPacketsAreRefused(t *testing.T) {
	_, gw := start(t, func(_ context.Context, p kit.Packet) ([]byte, error) { return p.Payload, nil }, nil)
	s := gw.Login(t, "alice", kit.Device{})
	for want, spoil := range map[string]func(*holdfast.Packet){
		"session": func(p *holdfast.Packet) { p.Session = "" },
		"seq":     func(p *holdfast.Packet) { p.Seq = 0 },
		"gateway": func(p *holdfast.Packet) { p.Gateway = "" },
	} {
		p := s.Packet(1, "c", "x")
		spoil(p)
		if r := gw.Forward(t, p)[0]; r.Status != int32(kit.Internal) || !strings.Contains(string(r.Payload), want) {
			t.Errorf("packet without %s: %+v", want, r)
		}
	}
	reply, err := gw.Logic.Forward(t.Context(), &holdfast.ForwardRequest{Service: "other", Packets: []*holdfast.Packet{s.Packet(1, "c", "x")}})
	if err != nil || reply.Replies[0].Status != int32(kit.Internal) || !strings.Contains(string(reply.Replies[0].Payload), `\"other\" is not served`) {
		t.Errorf("packet for another service: %+v, %v", reply, err)
	}
}

// TestDrain: what runs is answered, what comes is sent elsewhere, the gateway
// hears of it before the port is closed.
func TestDrain(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	cfg := kittest.Config("im")
	cfg.DrainNotice, cfg.DrainTimeout = time.Minute, time.Minute
	srv, stop := kittest.Start(t, cfg, kit.Backend{Connect: connectAny, Handle: func(_ context.Context, p kit.Packet) ([]byte, error) {
		if p.Command == "hold" {
			close(began)
			<-release
		}
		return []byte("done"), nil
	}})
	gw := kittest.NewGateway(t, srv.Addr(), kittest.Options{Service: "im"})
	s := gw.Login(t, "alice", kit.Device{})
	if hb := gw.Heartbeat(t); hb.Draining {
		t.Error("draining from the start")
	}
	running := make(chan kittest.Reply)
	go func() { running <- s.Request(t, "hold", "") }()
	<-began
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	seq := int64(0)
	eventually(t, "a packet is answered draining", func() bool {
		seq++
		r := gw.Forward(t, &holdfast.Packet{Session: "other", Seq: seq, Command: "c", Attempt: 1, Gateway: "127.0.0.1:1"})[0]
		return r.NotExecuted && r.Reason == "draining"
	})
	if _, err := gw.TryLogin("bob", kit.Device{}); err == nil {
		t.Error("a login is judged while draining")
	}
	close(release)
	if r := <-running; string(r.Payload) != "done" {
		t.Errorf("what ran was answered %+v", r)
	}
	select {
	case <-stopped:
		t.Error("the port was closed before the gateway had heard")
	case <-time.After(20 * time.Millisecond): // long enough for a wrong one to show, most times
	}
	if hb := gw.Heartbeat(t); !hb.Draining {
		t.Error("Heartbeat does not say draining")
	}
	<-stopped
}

func TestAddressInUse(t *testing.T) {
	srv, _ := start(t, func(context.Context, kit.Packet) ([]byte, error) { return nil, nil }, nil)
	cfg := kittest.Config("im")
	cfg.Listen = srv.Addr().String()
	second, err := kit.New(cfg, kit.Backend{Connect: connectAny}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	err = second.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "address already in use") || strings.Contains(err.Error(), "\n") {
		t.Errorf("Run() = %v, want one line about the address in use", err)
	}
}

func TestStopAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	srv, err := kit.New(kittest.Config("im"), kit.Backend{Connect: connectAny}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Run(ctx); err != nil {
		t.Errorf("Run() = %v, want nil: a plain shutdown is no error", err)
	}
	if err := srv.Run(ctx); err == nil {
		t.Error("a second Run() = nil")
	}
	if err := srv.Pusher().PushAsync("127.0.0.1:1", kit.Push{To: kit.ToAll(), Command: "c"}, nil); !errors.Is(err, kit.ErrNotRunning) {
		t.Errorf("PushAsync() after Run = %v, want ErrNotRunning", err)
	}
}
