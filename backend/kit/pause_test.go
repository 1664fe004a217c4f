package kit_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/backend/kit/kittest"
)

// TestPause: while it is paused a server refuses packets and logins as not
// executed and says so to gateways; afterwards it serves as before.
func TestPause(t *testing.T) {
	srv, gw := start(t, func(_ context.Context, p kit.Packet) ([]byte, error) { return p.Payload, nil }, nil)
	s := gw.Login(t, "alice", kit.Device{})
	run := func(seq int64) (notExecuted bool, reason string) {
		r := gw.Forward(t, s.Packet(seq, "c", "x"))[0]
		return r.NotExecuted, r.Reason
	}
	if refused, why := run(1); refused {
		t.Fatalf("before the pause: refused, %s", why)
	}
	srv.Pause(true)
	if refused, why := run(2); !refused || why != "draining" {
		t.Errorf("paused: refused %v, %q, want as draining", refused, why)
	}
	if _, err := gw.TryLogin("bob", kit.Device{}); err == nil {
		t.Error("a login is judged while paused")
	}
	if !gw.Heartbeat(t).Draining {
		t.Error("Heartbeat does not say draining")
	}
	srv.Pause(false)
	if refused, why := run(2); refused { // the same packet: it has not run
		t.Errorf("after the pause: refused, %s", why)
	}
	if gw.Heartbeat(t).Draining {
		t.Error("Heartbeat says draining after the pause")
	}
	if hb := gw.Heartbeat(t); hb.Incarnation != srv.Incarnation() {
		t.Errorf("Incarnation() = %d, want the heartbeat's, %d", srv.Incarnation(), hb.Incarnation)
	}
}

// TestPauseBeforeRun: an instance that waits for its slot refuses from the start.
func TestPauseBeforeRun(t *testing.T) {
	srv, err := kit.New(kittest.Config("im"), kit.Backend{Connect: connectAny}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	srv.Pause(true)
	kittest.Run(t, srv)
	gw := kittest.NewGateway(t, srv.Addr(), kittest.Options{Service: "im"})
	if !gw.Heartbeat(t).Draining {
		t.Error("Heartbeat does not say draining")
	}
}
