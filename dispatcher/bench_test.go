package dispatcher

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
	hf "github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// echoCaller answers at once, so that a benchmark sees the dispatcher alone.
type echoCaller struct{ incarnation int64 }

func (e *echoCaller) Forward(_ *call, req *hf.ForwardRequest) (*hf.ForwardReply, error) {
	replies := make([]hf.Reply, len(req.Packets))
	reply := &hf.ForwardReply{Replies: make([]*hf.Reply, len(replies)), Incarnation: e.incarnation}
	for i := range replies {
		replies[i].Payload = req.Packets[i].Payload
		reply.Replies[i] = &replies[i]
	}
	return reply, nil
}

func (e *echoCaller) Connect(*call, *hf.ConnectRequest) (*hf.ConnectReply, error) { return nil, nil }
func (e *echoCaller) Events(*call, *hf.EventsRequest) (*hf.EventsReply, error)    { return nil, nil }
func (e *echoCaller) Heartbeat(*call, *hf.HeartbeatRequest) (*hf.HeartbeatReply, error) {
	return &hf.HeartbeatReply{Incarnation: e.incarnation}, nil
}
func (e *echoCaller) dropIdle() {}
func (e *echoCaller) close()    {}

// loop is a set of sessions that each keep some requests in flight: a sink sends
// the next request when it has an answer.
type loop struct {
	left atomic.Int64 // requests that are still to be sent
	open atomic.Int64 // answers that are still to come
	done chan struct{}
}

type loopSink struct {
	*loop
	lanes *Lanes
	id    atomic.Uint32
	owed  atomic.Int32 // answers since the last flush
}

var (
	benchCommand = []byte("msg.send")
	benchPayload = make([]byte, 64)
)

func (s *loopSink) send() {
	if s.left.Add(-1) >= 0 {
		s.lanes.Submit(s.id.Add(1), benchCommand, benchPayload)
	}
}

func (s *loopSink) Reply(uint32, uint8, []byte) { s.owed.Add(1) }
func (s *loopSink) Refuse(_ uint32, _ uint8, reason, _ string, _ time.Duration) {
	panic("refused: " + reason)
}

func (s *loopSink) Flush() {
	n := s.owed.Swap(0)
	for range n {
		s.send()
	}
	if s.open.Add(int64(-n)) == 0 {
		close(s.done)
	}
}

// newLoop makes sessions that are to send n requests altogether.
func newLoop(d *Dispatcher, n, sessions int) (*loop, []*loopSink) {
	l := &loop{done: make(chan struct{})}
	l.left.Store(int64(n))
	l.open.Store(int64(n))
	var sinks []*loopSink
	for i := range sessions {
		s := &loopSink{loop: l}
		s.lanes = d.Open(Origin{Session: fmt.Sprintf("session-%014d", i), UID: fmt.Sprint("u", i), Device: Device{ID: "device"}}, testService, s)
		sinks = append(sinks, s)
	}
	return l, sinks
}

// drive sends b.N requests over sessions x inflight. It does not use b.Loop: the
// requests send each other.
func drive(b *testing.B, d *Dispatcher, sessions, inflight int) {
	b.ReportAllocs()
	l, sinks := newLoop(d, b.N, sessions)
	b.ResetTimer()
	before := cpuTime()
	for _, s := range sinks {
		for range inflight {
			s.send()
		}
	}
	<-l.done
	b.StopTimer()
	b.ReportMetric(float64(cpuTime()-before)/float64(b.N), "cpu-ns/op")
	for _, s := range sinks {
		s.lanes.End("done")
	}
}

func cpuTime() time.Duration {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		return 0
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

var benchShapes = []struct{ sessions, inflight int }{{1, 1}, {1000, 1}, {100, 10}}

// BenchmarkDispatch is the dispatcher's own cost of a request, from Submit to the
// sink, without encoding and network: without breaker and limits, with the breaker, and
// with all of them.
func BenchmarkDispatch(b *testing.B) {
	for _, shape := range benchShapes {
		b.Run(fmt.Sprintf("%dx%d", shape.sessions, shape.inflight), func(b *testing.B) {
			drive(b, runEcho(b, testConfig()), shape.sessions, shape.inflight)
		})
		b.Run(fmt.Sprintf("%dx%d/guarded", shape.sessions, shape.inflight), func(b *testing.B) {
			cfg := failoverConfig()
			cfg.Services[0].InstanceRate = 1e9
			cfg.Routes[0].Rate, cfg.Routes[0].Concurrency = 1e9, 1e6
			drive(b, runEcho(b, cfg), shape.sessions, shape.inflight)
		})
		b.Run(fmt.Sprintf("%dx%d/breaker", shape.sessions, shape.inflight), func(b *testing.B) {
			drive(b, runEcho(b, failoverConfig()), shape.sessions, shape.inflight)
		})
	}
}

// runEcho runs a dispatcher with an instance that is an echoCaller, until the test
// ends.
func runEcho(t testing.TB, cfg Config) *Dispatcher {
	disc, err := discovery.NewStatic([]discovery.Instance{{ID: "a", Service: testService, Address: "h:1"}})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Services[0].CallsInFlight = 2
	d, err := New(cfg, Self{Gateway: "gw:1"}, disc, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	d.dial = func(string, string, ServiceConfig) (caller, error) { return &echoCaller{1}, nil }
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- d.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ran })
	eventually(t, "the instance is known", func() bool { return d.theInstance() != nil })
	return d
}

// TestRequestAllocatesItsPayload holds the hot path to one object a request, the
// copy of the payload. Batches and replies cost some more, shared by many.
func TestRequestAllocatesItsPayload(t *testing.T) {
	const n, sessions = 100_000, 200
	d := runEcho(t, testConfig())
	l, sinks := newLoop(d, n, sessions)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, s := range sinks {
		s.send()
	}
	<-l.done
	runtime.ReadMemStats(&after)
	if got := float64(after.Mallocs-before.Mallocs) / n; got > 1.5 {
		t.Errorf("%.2f objects a request, want 1 and little more", got)
	}
}

// BenchmarkKitex is the whole way over a unix socket to a backend in another
// process. cpu-ns/op is what this side spends.
func BenchmarkKitex(b *testing.B) {
	for _, shape := range benchShapes {
		for _, calls := range []int{1, 2, 4} {
			b.Run(fmt.Sprintf("%dx%d/calls=%d", shape.sessions, shape.inflight, calls), func(b *testing.B) {
				address := freeAddress(b, "unix")
				process := spawn(b, address)
				cfg := realConfig()
				cfg.Services[0].CallsInFlight = calls
				d := runReal(b, cfg, address)
				drive(b, d, shape.sessions, shape.inflight)
				_ = process.Kill() // each run has its own
			})
		}
	}
}
