package load

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/tools/bench/bare"
)

// newTestFleet connects n connections, all of which must open.
func newTestFleet(t *testing.T, cfg Config, n int) *Fleet {
	t.Helper()
	f, err := NewFleet(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	if n == 0 {
		return f
	}
	tally, err := f.Connect(t.Context(), n)
	if err != nil || len(tally.Errors) > 0 || f.Open() != n || tally.Done != int64(n) {
		t.Fatalf("Connect(%d) = %d open, %d counted, errors %v, %v", n, f.Open(), tally.Done, tally.Errors, err)
	}
	return f
}

// short has no warm-up, so that even a machine that stalls for a while
// answers something within the measured time.
var short = Window{Duration: 250 * time.Millisecond}

func shortPlan() Plan { return Plan{Inflight: 4, Size: 64, Window: short} }

// leave ends the fleet and checks that it went in order.
func leave(t *testing.T, f *Fleet) {
	t.Helper()
	tally, err := f.Leave(t.Context())
	if err != nil || len(tally.Errors) > 0 || f.Open() != 0 {
		t.Errorf("Leave = %d open, errors %v, %v", f.Open(), tally.Errors, err)
	}
}

func TestClosedLoop(t *testing.T) {
	for _, threads := range []int{1, 2} {
		for _, size := range []int{0, 1, 9, 64, 20_000} {
			t.Run(fmt.Sprintf("%d threads, %d bytes", threads, size), func(t *testing.T) {
				g := newFakeGateway(t)
				cfg := DefaultConfig(g.addr())
				cfg.Threads = threads
				f := newTestFleet(t, cfg, 11)
				p := shortPlan()
				p.Size = size
				var steps []bool
				p.Measured = func(begins bool) { steps = append(steps, begins) }
				tally, err := f.Echo(t.Context(), p)
				if err != nil {
					t.Fatal(err)
				}
				if tally.Done == 0 || len(tally.Errors) > 0 || tally.latency.TotalCount() != tally.Done {
					t.Errorf("done %d, latencies %d, errors %v", tally.Done, tally.latency.TotalCount(), tally.Errors)
				}
				if tally.Elapsed != p.Duration || tally.Rate() <= 0 {
					t.Errorf("elapsed %v, rate %v", tally.Elapsed, tally.Rate())
				}
				if !slices.Equal(steps, []bool{true, false}) {
					t.Errorf("Measured calls %v, want its begin and its end", steps)
				}
				leave(t, f)
				if n := g.counted(&g.closes); n != 11 {
					t.Errorf("the gateway saw %d CLOSE, want 11", n)
				}
			})
		}
	}
}

// TestOpenLoopSendsAsPlanned checks the count: what was due in the measured
// time is what was measured, though nothing keeps an exact pace.
func TestOpenLoopSendsAsPlanned(t *testing.T) {
	g := newFakeGateway(t)
	for _, threads := range []int{1, 3} {
		cfg := DefaultConfig(g.addr())
		cfg.Threads = threads
		f := newTestFleet(t, cfg, 10)
		p := shortPlan()
		p.Rate = 2000
		tally, err := f.Echo(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		want := int64(p.Rate * p.Duration.Seconds())
		if d := tally.Done - want; d < -int64(threads) || d > int64(threads) || len(tally.Errors) > 0 {
			t.Errorf("%d threads: done %d, want %d; errors %v", threads, tally.Done, want, tally.Errors)
		}
		leave(t, f)
	}
}

// TestOpenLoopChargesAStall holds all answers back for a while. Each request
// that was due meanwhile must show it, those that were never sent in that
// time too, since the connection's places were taken.
func TestOpenLoopChargesAStall(t *testing.T) {
	const stall = 300 * time.Millisecond
	stalled := false
	g := newFakeGateway(t, answering(func(f wire.Frame) []wire.Frame { // under the gateway's lock: all wait
		if !stalled {
			stalled = true
			time.Sleep(stall)
		}
		return echoAnswer(f)
	}))
	f := newTestFleet(t, DefaultConfig(g.addr()), 2)
	tally, err := f.Echo(t.Context(), Plan{Inflight: 1, Size: 16, Rate: 1000, Window: Window{Duration: 2 * stall}})
	if err != nil || len(tally.Errors) > 0 {
		t.Fatalf("errors %v, %v", tally.Errors, err)
	}
	if tally.Done != 600 {
		t.Errorf("done %d, want 600: all that was due", tally.Done)
	}
	// Of 600 requests 300 were due during the stall, half of which waited for
	// longer than half of it. A loader that only timed what it sent would
	// know two slow ones.
	slow := int64(0)
	for _, bar := range tally.latency.Distribution() {
		if bar.From >= int64(stall/2) {
			slow += bar.Count
		}
	}
	if slow < 100 {
		t.Errorf("%d requests of at least %v, want at least 100", slow, stall/2)
	}
}

func TestEchoOnceAndHold(t *testing.T) {
	g := newFakeGateway(t)
	f := newTestFleet(t, DefaultConfig(g.addr()), 600)
	if tally, err := f.EchoOnce(t.Context(), 32); err != nil || tally.Done != 600 || len(tally.Errors) > 0 {
		t.Fatalf("EchoOnce = %+v, %v", tally, err)
	}
	if tally, err := f.Connect(t.Context(), 700); err != nil || tally.Done != 100 || f.Open() != 700 {
		t.Fatalf("Connect(700) = done %d, open %d, %v", tally.Done, f.Open(), err)
	}
	if tally, err := f.EchoOnce(t.Context(), 32); err != nil || tally.Done != 100 {
		t.Fatalf("second EchoOnce = done %d, %v; want those that had sent none", tally.Done, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if tally, err := f.Hold(ctx); err != nil || len(tally.Errors) > 0 || f.Open() != 700 {
		t.Errorf("Hold = errors %v, open %d, %v", tally.Errors, f.Open(), err)
	}
	leave(t, f)
}

func TestAnswersPingsAndPushes(t *testing.T) {
	g := newFakeGateway(t, answering(func(f wire.Frame) []wire.Frame {
		return append([]wire.Frame{
			{Type: wire.TypePing, Payload: []byte("now")},
			{Type: wire.TypePush, Seq: 1, Command: []byte("echo.pushed")},
		}, echoAnswer(f)...)
	}))
	f := newTestFleet(t, DefaultConfig(g.addr()), 1)
	tally, err := f.EchoOnce(t.Context(), 8)
	if err != nil || tally.Pings != 1 || tally.Pushes != 1 || tally.Done != 1 {
		t.Errorf("EchoOnce = %+v, %v", tally, err)
	}
	leave(t, f) // CLOSE follows the PONG, so that is counted now
	if n := g.counted(&g.pongs); n != 1 {
		t.Errorf("%d PONG, want 1", n)
	}
}

func TestTokens(t *testing.T) {
	g := newFakeGateway(t)
	cfg := DefaultConfig(g.addr())
	cfg.Threads = 2
	cfg.Tokens = func(i int) (string, error) { return fmt.Sprint("token-", i), nil }
	newTestFleet(t, cfg, 7)
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range 7 {
		if n := g.tokens[fmt.Sprint("token-", i)]; n != 1 {
			t.Errorf("token %d came %d times, want 1", i, n)
		}
	}
}

// TestErrors walks through what can go wrong, by the name it is counted under.
func TestErrors(t *testing.T) {
	reply := func(status wire.Status, payload string) func(wire.Frame) []wire.Frame {
		return func(f wire.Frame) []wire.Frame {
			return []wire.Frame{{Type: wire.TypeReply, ID: f.ID, Status: status, Payload: []byte(payload)}}
		}
	}
	tests := []struct {
		kind   string
		answer func(wire.Frame) []wire.Frame
	}{
		{"status_UNAVAILABLE", reply(wire.StatusUnavailable, "{}")},
		{KindPayload, reply(wire.StatusOK, "12345678")},
		{KindPayload, reply(wire.StatusOK, "too long a payload")},
		{KindUnknownID, func(f wire.Frame) []wire.Frame {
			f.ID += 7
			// The request itself is never answered; the CLOSE keeps the phase from waiting for that.
			return append(echoAnswer(f), wire.Frame{Type: wire.TypeClose, Code: wire.CloseNormal})
		}},
		{KindFrame, func(wire.Frame) []wire.Frame { return []wire.Frame{{Type: wire.TypeAck, Seq: 1}} }},
		{"close_SLOW_CONSUMER", func(wire.Frame) []wire.Frame {
			return []wire.Frame{{Type: wire.TypeClose, Code: wire.CloseSlowConsumer}}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.kind, func(t *testing.T) {
			var asked bool
			g := newFakeGateway(t, answering(func(f wire.Frame) []wire.Frame { // only the first goes wrong
				if asked {
					return echoAnswer(f)
				}
				asked = true
				return tt.answer(f)
			}))
			f := newTestFleet(t, DefaultConfig(g.addr()), 1)
			p := shortPlan()
			p.Inflight, p.Size = 1, 8
			tally, err := f.Echo(t.Context(), p)
			if err != nil || tally.Errors[tt.kind] != 1 {
				t.Errorf("errors %v, %v; want one %s", tally.Errors, err, tt.kind)
			}
		})
	}
}

func TestRefusedAtHello(t *testing.T) {
	g := newFakeGateway(t, func(g *fakeGateway) {
		g.judge = func(wire.Hello) *wire.Frame {
			return &wire.Frame{Type: wire.TypeClose, Code: wire.CloseUnauthenticated}
		}
	})
	f, err := NewFleet(DefaultConfig(g.addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tally, err := f.Connect(t.Context(), 3)
	if err == nil || !strings.Contains(err.Error(), "UNAUTHENTICATED") || tally.Errors["close_UNAUTHENTICATED"] != 3 {
		t.Errorf("Connect = %v, %v", tally.Errors, err)
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	f, err := NewFleet(DefaultConfig(l.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if tally, err := f.Connect(t.Context(), 2); err == nil || tally.Errors[KindConnect] != 2 {
		t.Errorf("Connect = %v, %v; want two failures and an error", tally.Errors, err)
	}
}

func TestConnectTimeout(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts in the kernel and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := DefaultConfig(l.Addr().String())
	cfg.Timeout = 50 * time.Millisecond
	f, err := NewFleet(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if tally, err := f.Connect(t.Context(), 2); err == nil || tally.Errors[KindTimeout] != 2 {
		t.Errorf("Connect = %v, %v; want two time-outs", tally.Errors, err)
	}
}

func TestPlanBeyondTheGateway(t *testing.T) {
	g := newFakeGateway(t, func(g *fakeGateway) { g.welcome.Window, g.welcome.MaxFrame = 8, 1024 })
	f := newTestFleet(t, DefaultConfig(g.addr()), 1)
	p := shortPlan()
	p.Inflight, p.Size = 9, 64
	if _, err := f.Echo(t.Context(), p); err == nil || !strings.Contains(err.Error(), "window of 8") {
		t.Errorf("Echo with 9 in flight = %v", err)
	}
	p.Inflight, p.Size = 8, 1024
	if _, err := f.Echo(t.Context(), p); err == nil || !strings.Contains(err.Error(), "takes 1024") {
		t.Errorf("Echo of 1024 bytes = %v", err)
	}
}

func TestRawAgainstGoroutines(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- bare.Goroutines(ctx, l) }()
	cfg := DefaultConfig(l.Addr().String())
	cfg.Mode = Raw
	for _, size := range []int{0, 64, 30_000} {
		f := newTestFleet(t, cfg, 5)
		p := shortPlan()
		p.Size = size
		tally, err := f.Echo(t.Context(), p)
		if err != nil || tally.Done == 0 || len(tally.Errors) > 0 {
			t.Errorf("%d bytes: %+v, %v", size, tally, err)
		}
		leave(t, f)
	}
	f := newTestFleet(t, cfg, 0)
	if tally, err := f.Churn(t.Context(), short); err != nil || tally.Done == 0 || len(tally.Errors) > 0 {
		t.Errorf("Churn: %+v, %v", tally, err)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestChurn(t *testing.T) {
	g := newFakeGateway(t)
	cfg := DefaultConfig(g.addr())
	cfg.Parallel = 20
	f := newTestFleet(t, cfg, 0)
	tally, err := f.Churn(t.Context(), short)
	if err != nil || tally.Done == 0 || len(tally.Errors) > 0 || f.Open() != 0 {
		t.Errorf("Churn: done %d, errors %v, open %d, %v", tally.Done, tally.Errors, f.Open(), err)
	}
}

func TestConfigValidate(t *testing.T) {
	cfg := Config{Endpoint: "nowhere", Threads: 0, Parallel: -1, Sources: 0}
	err := cfg.Validate()
	for _, want := range []string{"endpoint", "threads", "parallel", "timeout", "sources"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate() = %v, lacks %s", err, want)
		}
	}
	if err := DefaultConfig("tcp://127.0.0.1:7000").Validate(); err != nil {
		t.Errorf("DefaultConfig: %v", err)
	}
}
