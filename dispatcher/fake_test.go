package dispatcher

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
	hf "github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// fakeBackend is an instance without a network: what a test does with it, it does
// in a synctest bubble, where time costs nothing.
type fakeBackend struct {
	mu          sync.Mutex
	incarnation int64
	down        bool                       // dials are refused
	broken      bool                       // calls are sent and then the connection breaks
	gate        chan struct{}              // Forward waits here while it is not nil
	answer      func(*hf.Packet) *hf.Reply // nil: the payload comes back
	mangle      func(*hf.ForwardReply) *hf.ForwardReply
	connect     func(*hf.ConnectItem) *hf.ConnectResult_
	heartbeat   hf.HeartbeatReply // what else it says
	batches     [][]hf.Packet
	logins      [][]string // tokens of each call
	told        []*hf.Event
	beats       int
	slowBeat    time.Duration // what a heartbeat takes
	slow        time.Duration // what a Forward takes
	drops       int
	calls       int // under way
	maxCalls    int
}

func (b *fakeBackend) with(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

// enter does what every call does first.
func (b *fakeBackend) enter(c *call) error {
	if b.down {
		return &os.SyscallError{Syscall: "connect", Err: syscall.ECONNREFUSED}
	}
	c.stage, c.peer = stageSent, b.incarnation
	if b.broken {
		return syscall.ECONNRESET
	}
	return nil
}

func (b *fakeBackend) Forward(c *call, req *hf.ForwardRequest) (*hf.ForwardReply, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.enter(c); err != nil {
		return nil, err
	}
	var batch []hf.Packet
	for _, p := range req.Packets {
		batch = append(batch, *p)
	}
	b.batches = append(b.batches, batch)
	b.calls++
	b.maxCalls = max(b.maxCalls, b.calls)
	defer func() { b.calls-- }()
	if gate := b.gate; gate != nil {
		b.mu.Unlock()
		select {
		case <-gate:
			b.mu.Lock()
		case <-time.After(time.Until(c.deadline)):
			b.mu.Lock()
			return nil, os.ErrDeadlineExceeded
		}
		if b.broken || b.down {
			return nil, syscall.ECONNRESET
		}
	}
	if b.slow > 0 {
		b.mu.Unlock()
		time.Sleep(b.slow)
		b.mu.Lock()
	}
	reply := &hf.ForwardReply{Incarnation: b.incarnation}
	for i := range batch {
		r := &hf.Reply{Payload: batch[i].Payload}
		if b.answer != nil {
			r = b.answer(&batch[i])
		}
		reply.Replies = append(reply.Replies, r)
	}
	if b.mangle != nil {
		reply = b.mangle(reply)
	}
	return reply, nil
}

func (b *fakeBackend) Connect(c *call, req *hf.ConnectRequest) (*hf.ConnectReply, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.enter(c); err != nil {
		return nil, err
	}
	var tokens []string
	reply := &hf.ConnectReply{Incarnation: b.incarnation}
	for _, item := range req.Items {
		tokens = append(tokens, item.Token)
		r := &hf.ConnectResult_{Uid: item.Token}
		if b.connect != nil {
			r = b.connect(item)
		}
		reply.Results = append(reply.Results, r)
	}
	b.logins = append(b.logins, tokens)
	if gate := b.gate; gate != nil {
		b.mu.Unlock()
		select {
		case <-gate:
		case <-time.After(time.Until(c.deadline)):
			b.mu.Lock()
			return nil, os.ErrDeadlineExceeded
		}
		b.mu.Lock()
	}
	return reply, nil
}

func (b *fakeBackend) Events(c *call, req *hf.EventsRequest) (*hf.EventsReply, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.enter(c); err != nil {
		return nil, err
	}
	b.told = append(b.told, req.Events...)
	return &hf.EventsReply{Incarnation: b.incarnation}, nil
}

func (b *fakeBackend) Heartbeat(c *call, _ *hf.HeartbeatRequest) (*hf.HeartbeatReply, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.enter(c); err != nil {
		return nil, err
	}
	b.beats++
	b.mu.Unlock()
	time.Sleep(b.slowBeat)
	b.mu.Lock()
	reply := b.heartbeat
	reply.Incarnation, reply.TimeMs = b.incarnation, time.Now().UnixMilli()
	b.heartbeat.Resync = false // asked for once
	return &reply, nil
}

func (b *fakeBackend) dropIdle() { b.with(func() { b.drops++ }) }
func (b *fakeBackend) close()    {}

// restart makes the backend another process.
func (b *fakeBackend) restart() { b.with(func() { b.incarnation++; b.down, b.broken = false, false }) }

// packets returns everything that was forwarded, in order.
func (b *fakeBackend) packets() []hf.Packet {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Concat(b.batches...)
}

// heartbeats returns how many were answered.
func (b *fakeBackend) heartbeats() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.beats
}

// sizes returns how many packets each batch had.
func (b *fakeBackend) sizes() (out []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, batch := range b.batches {
		out = append(out, len(batch))
	}
	return out
}

// defers makes the backend put off every answer.
func defers(*hf.Packet) *hf.Reply { return &hf.Reply{Deferred: true} }

// told is one thing that a sink heard.
type told struct {
	id         uint32
	status     uint8
	reason     string // "" where the backend answered
	payload    string
	retryAfter time.Duration
	at         time.Time
}

// fakeSink remembers what it was told, and fails the test when it is told twice.
type fakeSink struct {
	t       testing.TB
	mu      sync.Mutex
	told    []told
	open    int // answers since the last Flush
	flushes int
}

func (s *fakeSink) add(x told) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.told, func(o told) bool { return o.id == x.id }) {
		s.t.Errorf("request %d was answered twice, last with %+v", x.id, x)
	}
	x.at = time.Now()
	s.told = append(s.told, x)
	s.open++
}

func (s *fakeSink) Reply(id uint32, status uint8, payload []byte) {
	s.add(told{id: id, status: status, payload: string(payload)})
}

func (s *fakeSink) Refuse(id uint32, status uint8, reason, _ string, retryAfter time.Duration) {
	s.add(told{id: id, status: status, reason: reason, retryAfter: retryAfter})
}

func (s *fakeSink) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = 0
	s.flushes++
}

func (s *fakeSink) all() []told {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open != 0 {
		s.t.Errorf("%d answers were not flushed", s.open)
	}
	return slices.Clone(s.told)
}

// of returns what the sink was told of id.
func (s *fakeSink) of(id uint32) told {
	s.t.Helper()
	for _, x := range s.all() {
		if x.id == id {
			return x
		}
	}
	s.t.Fatalf("request %d was not answered", id)
	return told{}
}

func (s *fakeSink) waits(ids ...uint32) {
	s.t.Helper()
	for _, x := range s.all() {
		if slices.Contains(ids, x.id) {
			s.t.Fatalf("request %d was answered too early: %+v", x.id, x)
		}
	}
}

// world is a dispatcher with fake backends, running in a synctest bubble.
type world struct {
	t        *testing.T
	d        *Dispatcher
	disc     *discovery.Memory
	backends map[string]*fakeBackend // by address
	mu       sync.Mutex              // guards backends
	reg      *prometheus.Registry
	cancel   context.CancelFunc
	ran      chan error
}

const testService = "logic"

// testConfig is one service, with one call in flight so that batches are easy to
// predict, and no breaker: its tests switch it on.
func testConfig() Config {
	cfg := DefaultConfig()
	cfg.Services = []ServiceConfig{{Name: testService, CallsInFlight: 1}}
	cfg.Routes = []RouteConfig{{Prefix: "msg.", Service: testService}}
	cfg.Login.Service = testService
	cfg.Breaker.Enabled = false
	return cfg
}

// inWorld runs a test with instances in a bubble. The dispatcher has seen them, and
// they have answered a heartbeat.
func inWorld(t *testing.T, cfg Config, instances int, test func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, cfg)
		for i := range instances {
			w.join(testService, i)
		}
		w.start()
		test(t, w)
		w.cancel()
		if err := <-w.ran; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

func newWorld(t *testing.T, cfg Config) *world {
	w := &world{t: t, disc: discovery.NewMemory(), backends: map[string]*fakeBackend{}, ran: make(chan error, 1), reg: prometheus.NewRegistry()}
	d, err := New(cfg, Self{Gateway: "gw:1", Name: "gw", Epoch: 7}, w.disc, slog.New(slog.DiscardHandler), w.reg)
	if err != nil {
		t.Fatal(err)
	}
	d.dial = func(_, address string, _ ServiceConfig) (caller, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.backends[address], nil
	}
	w.d = d
	return w
}

func (w *world) start() {
	ctx, cancel := context.WithCancel(w.t.Context())
	w.cancel = cancel
	go func() { w.ran <- w.d.Run(ctx) }()
	synctest.Wait()
}

// join adds an instance for slot and returns its backend.
func (w *world) join(service string, slot int) *fakeBackend {
	return w.joinAs(service, slot, &fakeBackend{incarnation: int64(1000 * (slot + 1))})
}

func (w *world) joinAs(service string, slot int, b *fakeBackend) *fakeBackend {
	address := fmt.Sprintf("%s.test:%d", service, 7000+slot)
	w.mu.Lock()
	w.backends[address] = b
	w.mu.Unlock()
	if _, err := w.disc.Register(discovery.Instance{ID: fmt.Sprint("i", slot), Service: service, Slot: slot, Address: address}); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
	return b
}

// backend returns the one of slot.
func (w *world) backend(slot int) *fakeBackend {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.backends[fmt.Sprintf("%s.test:%d", testService, 7000+slot)]
}

// open makes a session of uid.
func (w *world) open(uid string) (*Lanes, *fakeSink) {
	s := &fakeSink{t: w.t}
	l := w.d.Open(Origin{Session: "s-" + uid, UID: uid, Device: Device{ID: "d-" + uid}, Transport: "tcp"}, testService, s)
	return l, s
}

// submit sends requests with payloads that name them.
func submit(l *Lanes, ids ...uint32) {
	for _, id := range ids {
		l.Submit(id, []byte("msg.send"), fmt.Appendf(nil, "%s/%d", l.id.uid, id))
	}
}

// uidOn returns a user whose slot of n is slot.
func uidOn(slot, n int) string {
	for i := 0; ; i++ {
		if uid := fmt.Sprint("u", i); slotOf(uid, n) == slot {
			return uid
		}
	}
}
