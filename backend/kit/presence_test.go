package kit_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/backend/kit/kittest"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// record collects what a backend hears of sessions and gateways.
type record struct {
	mu   sync.Mutex
	what []string
	fail error
}

func (r *record) add(what string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.what = append(r.what, what)
	return r.fail
}

func (r *record) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.what)
}

func startPresence(t *testing.T, r *record, change func(*kit.Config)) *kit.Server {
	t.Helper()
	cfg := kittest.Config("im")
	if change != nil {
		change(&cfg)
	}
	srv, _ := kittest.Start(t, cfg, kit.Backend{
		Connect: connectAny,
		Events: func(_ context.Context, events []kit.Event) error {
			for _, e := range events {
				if e.Reason == "panic" {
					panic("as asked")
				}
				if err := r.add(string(e.Kind) + " " + e.Session.UID); err != nil {
					return err
				}
			}
			return nil
		},
		GatewaySeen: func(_ context.Context, g kit.Gateway) bool { return r.add("seen") != nil },
		GatewayLost: func(_ context.Context, g kit.Gateway) { _ = r.add("lost") },
	})
	return srv
}

// TestResync: a restarted backend learns who is online.
func TestResync(t *testing.T) {
	r := &record{}
	srv := startPresence(t, r, nil)
	gw := kittest.NewGateway(t, srv.Addr(), kittest.Options{Service: "im"})
	alice := gw.Login(t, "alice", kit.Device{})
	hb := gw.Heartbeat(t)
	if !hb.Resync || !hb.Events || hb.Incarnation != srv.Incarnation() || hb.Incarnation == 0 || hb.TimeMs == 0 {
		t.Errorf("first Heartbeat = %+v", hb)
	}
	if err := gw.Event(t, holdfast.EventKind_PRESENT, alice); err != nil {
		t.Fatal(err)
	}
	if hb := gw.Heartbeat(t); hb.Resync {
		t.Error("resync is asked again after the announcement")
	}
	srv.Resync()
	if hb := gw.Heartbeat(t); !hb.Resync {
		t.Error("Resync() does not ask")
	}
	if all := srv.Gateways(); len(all) != 1 || all[0].Address != gw.Address() || all[0].Epoch != gw.Epoch() || all[0].Sessions != 1 {
		t.Errorf("Gateways() = %+v", all)
	}
	if got := r.list(); !slices.Equal(got, []string{"seen", "present alice", "seen", "seen"}) {
		t.Errorf("the backend heard %q", got)
	}
}

// TestBackendAsksForResync when its own presence is lost.
func TestBackendAsksForResync(t *testing.T) {
	r := &record{fail: errors.New("presence is gone")}
	srv := startPresence(t, r, nil)
	gw := kittest.NewGateway(t, srv.Addr(), kittest.Options{Service: "im"})
	for range 10 { // beyond what the kit asks by itself
		if hb := gw.Heartbeat(t); !hb.Resync {
			t.Fatal("GatewaySeen asks, Heartbeat does not")
		}
	}
}

func TestEventsThatFailComeAgain(t *testing.T) {
	r := &record{fail: errors.New("not now")}
	srv := startPresence(t, r, nil)
	gw := kittest.NewGateway(t, srv.Addr(), kittest.Options{Service: "im"})
	alice := gw.Login(t, "alice", kit.Device{})
	if err := gw.Event(t, holdfast.EventKind_ENDED, alice); err == nil {
		t.Error("Events() = nil though the backend failed")
	}
	if err := gw.Event(t, 99, alice); err == nil {
		t.Error("an event of unknown kind is accepted")
	}
	_, err := gw.Logic.Events(t.Context(), &holdfast.EventsRequest{Events: []*holdfast.Event{{
		Session: &holdfast.Session{Id: "s"}, Kind: holdfast.EventKind_CUT, Reason: "panic",
	}}})
	if err == nil {
		t.Error("Events() = nil though the backend panicked")
	}
}

func TestGatewayThatFallsSilentIsLost(t *testing.T) {
	r := &record{}
	srv := startPresence(t, r, func(c *kit.Config) { c.Gateways.Lease = 200 * time.Millisecond })
	gw := kittest.NewGateway(t, srv.Addr(), kittest.Options{Service: "im"})
	gw.Login(t, "alice", kit.Device{})
	gw.Heartbeat(t)
	eventually(t, "the gateway is lost", func() bool { return slices.Contains(r.list(), "lost") })
	if all := srv.Gateways(); len(all) != 0 {
		t.Errorf("Gateways() = %+v after the loss", all)
	}
	eventually(t, "it is new when it comes back", func() bool { return gw.Heartbeat(t).Resync })
}

func TestGatewayThatComesBackWithAnotherEpoch(t *testing.T) {
	r := &record{}
	srv := startPresence(t, r, nil)
	gw := kittest.NewGateway(t, srv.Addr(), kittest.Options{Service: "im", Epoch: 1})
	gw.Login(t, "alice", kit.Device{})
	gw.Heartbeat(t)
	hung := make(chan error, 1)
	gw.Fail(nil)
	next := func(epoch int64) *holdfast.HeartbeatReply {
		reply, err := gw.Logic.Heartbeat(t.Context(), &holdfast.HeartbeatRequest{Gateway: gw.Address(), Epoch: epoch, Sessions: 1})
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	if !next(2).Resync {
		t.Error("a new epoch is not asked to announce its sessions")
	}
	eventually(t, "the old epoch is lost", func() bool { return slices.Contains(r.list(), "lost") })
	if all := srv.Gateways(); len(all) != 1 || all[0].Epoch != 2 {
		t.Errorf("Gateways() = %+v, want epoch 2", all)
	}
	// Pushes go on to the new process.
	if err := srv.Pusher().PushAsync(gw.Address(), kit.Push{To: kit.ToAll(), Command: "c"}, func(_ kit.Result, err error) { hung <- err }); err != nil {
		t.Fatal(err)
	}
	if err := <-hung; err != nil {
		t.Errorf("push to the new epoch = %v", err)
	}
}
