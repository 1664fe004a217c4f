package engine

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// Config bounds an Engine. Every field must be positive.
type Config struct {
	DeferAfter     time.Duration // how long Forward waits for handlers
	HandlerTimeout time.Duration // ends a handler's context
	MaxRunning     int           // handlers running at a time
	MaxWaiting     int           // packets waiting for a handler or an earlier packet
	Sessions       int           // sessions remembered
	Answers        int           // answers kept to be repeated
	Bytes          int           // payload bytes of those answers
	Window         time.Duration // how long sessions and answers are remembered
}

// Handler runs one packet. It must not panic, and should return soon after its
// context is done. The answer's payload belongs to the engine afterwards.
type Handler func(ctx context.Context, p *holdfast.Packet) Answer

// Later takes the answer to a packet that Forward deferred. It must not block, nor
// call Forward.
type Later func(p *holdfast.Packet, a Answer)

// Answer is what became of a packet.
type Answer struct {
	Status  int32
	Payload []byte
	Refused Refusal // set: the handler did not run; Status and Payload are unset
}

// Refusal says why a packet was not run. It is also a metric label.
type Refusal string

// The refusals.
const (
	NotRefused  Refusal = ""
	Draining    Refusal = "draining"      // the process is leaving
	QueueFull   Refusal = "queue_full"    // too much waits already
	PastStartBy Refusal = "past_start_by" // it is too late to begin
)

// Statuses that the engine itself answers with.
const (
	statusUnimplemented = 12
	statusInternal      = 13
	statusDataLoss      = 15
	statuses            = 17
)

// RetryAfter is what a packet refused as QueueFull is told: long enough for a
// queue of short handlers to drain, short enough for a user who waits.
const RetryAfter = time.Second

// shards is a power of two that keeps the locks apart on any machine this runs on.
const shards = 64

// Engine runs packets. Create it with New, have Run run meanwhile, and end it with
// Drain and Close.
type Engine struct {
	// static after New
	cfg    Config
	handle Handler
	later  Later
	seed   maphash.Seed
	base   context.Context // parent of every handler's context; ends with Close
	cancel context.CancelFunc

	clock    clock
	commands commands
	pool     pool
	batches  sync.Pool // *batch, all references gone
	shards   [shards]shard
	watch    chan struct{} // wakes Run: a lane is watched

	active   atomic.Int64 // batches with unfinished packets
	waiting  atomic.Int64 // packets that count against MaxWaiting
	draining atomic.Bool  // new packets are refused
	paused   atomic.Bool  // so they are, until Pause takes it back
	stopped  atomic.Bool  // packets that have not started are refused
	deferred atomic.Uint64
	helped   atomic.Uint64
}

// New returns an Engine. It starts nothing; workers start when packets come.
func New(cfg Config, handle Handler, later Later) *Engine {
	e := &Engine{cfg: cfg, handle: handle, later: later, seed: maphash.MakeSeed(), clock: clock{time.Now()}, watch: make(chan struct{}, 1)}
	e.base, e.cancel = context.WithCancel(context.Background())
	e.pool.init(e, cfg.MaxRunning)
	for i := range e.shards {
		e.shards[i].init(cfg)
	}
	return e
}

// Forward runs packets and returns their replies in the same order, after
// DeferAfter at the latest: what is not done by then is marked deferred and goes
// to Later. The packets belong to the engine afterwards.
func (e *Engine) Forward(packets []*holdfast.Packet) []*holdfast.Reply {
	b := e.newBatch(packets)
	e.admit(b)
	if b.begin() {
		<-b.done
	}
	return b.end()
}

// Drain refuses packets that come from now on and waits until none is left or
// ctx is done. It reports how many batches still have unfinished packets.
func (e *Engine) Drain(ctx context.Context) int {
	e.draining.Store(true)
	tick := time.NewTicker(5 * time.Millisecond) // short beside any drain time, long beside a check
	defer tick.Stop()
	for e.active.Load() > 0 {
		select {
		case <-ctx.Done():
			return int(e.active.Load())
		case <-tick.C:
		}
	}
	return 0
}

// Pause refuses packets that come from now on as draining, or takes them again.
// What is in a lane already goes on.
func (e *Engine) Pause(on bool) { e.paused.Store(on) }

// Close ends the contexts of running handlers, refuses what has not started, and
// waits until ctx is done for the workers to end. It reports how many are left:
// handlers that do not heed their context.
func (e *Engine) Close(ctx context.Context) int {
	e.draining.Store(true)
	e.stopped.Store(true)
	e.cancel()
	return e.pool.close(ctx)
}

// Sweep forgets the sessions and answers that are older than the window. The
// owner calls it every now and then; it holds each lock for a short time only.
func (e *Engine) Sweep() {
	oldest := e.NowMS() - e.cfg.Window.Milliseconds()
	for i := range e.shards {
		e.shards[i].sweep(oldest)
	}
}

// NowMS returns the time by which start_by is judged, in Unix milliseconds.
func (e *Engine) NowMS() int64 { return e.clock.unixMS(e.clock.now()) }

func (e *Engine) shardOf(session string) *shard {
	return &e.shards[maphash.String(e.seed, session)%shards]
}
