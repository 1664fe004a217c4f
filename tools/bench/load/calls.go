package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// callsParallel bounds the short calls that are made at a time beside those
	// that wait.
	callsParallel = 64
	// callTimeout bounds each of them, and the wait for a reply.
	callTimeout = 30 * time.Second
)

// Calls is a set of clients of long poll or SSE, each with a call that waits. It
// measures what waiting costs the gateway, not how fast calls are, so a client
// is a goroutine here. It is for one goroutine at a time; Close gives everything
// back.
type Calls struct {
	cfg Config
	via transport
	ctx context.Context // ends with Close, which is when every client ends
	end context.CancelFunc
	wg  sync.WaitGroup

	clients []*caller

	mu    sync.Mutex // guards the following
	tally *Tally     // of the phase that runs
	open  int
}

// NewCalls makes a set without clients.
func NewCalls(cfg Config) (*Calls, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	via, err := transportOf(cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	if !via.calls {
		return nil, fmt.Errorf("endpoint %q: want one of %v", cfg.Endpoint, CallTransports)
	}
	f := &Calls{cfg: cfg, via: via, tally: NewTally()}
	f.ctx, f.end = context.WithCancel(context.Background())
	return f, nil
}

// Connect logs clients in until there are total of them, each with a call that
// waits, and blocks until each has come or failed.
func (f *Calls) Connect(ctx context.Context, total int) (*Tally, error) {
	started := time.Now()
	t, err := f.phase(ctx, f.cfg.Parallel, total-len(f.clients), func(ctx context.Context, _ int) error {
		began := time.Now()
		f.mu.Lock()
		c := &caller{set: f, index: len(f.clients)}
		f.clients = append(f.clients, c)
		f.mu.Unlock()
		if err := c.open(ctx); err != nil {
			f.fail(err)
			return nil
		}
		f.record(began)
		f.mu.Lock()
		f.open++
		f.mu.Unlock()
		f.wg.Go(c.wait)
		return nil
	})
	t.Elapsed = time.Since(started)
	if err == nil && f.Open() == 0 && total > 0 {
		err = fmt.Errorf("connect %s: none of %d clients logged in: %v", f.cfg.Endpoint, total, t.Errors)
	}
	return t, err
}

// Open returns how many clients are logged in.
func (f *Calls) Open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open
}

// EchoOnce sends one request of size bytes for every client that has sent none,
// on a connection of its own, and blocks until all replies have come by the calls
// that wait, or were given up.
func (f *Calls) EchoOnce(ctx context.Context, size int) (*Tally, error) {
	return f.phase(ctx, callsParallel, len(f.clients), func(ctx context.Context, i int) error {
		c := f.clients[i]
		if c.session == "" || c.asked {
			return nil
		}
		c.asked = true
		began := time.Now()
		if err := c.echo(ctx, size); err != nil {
			f.fail(err)
			return nil
		}
		f.record(began)
		return nil
	})
}

// Hold keeps the calls waiting until ctx is done. That is no error.
func (f *Calls) Hold(ctx context.Context) (*Tally, error) {
	return f.phase(context.WithoutCancel(ctx), 1, 1, func(context.Context, int) error {
		<-ctx.Done()
		return nil
	})
}

// Leave ends all sessions in an orderly way.
func (f *Calls) Leave(ctx context.Context) (*Tally, error) {
	t, err := f.phase(ctx, callsParallel, len(f.clients), func(ctx context.Context, i int) error {
		if err := f.clients[i].leave(ctx); err != nil {
			f.fail(err)
		}
		return nil
	})
	f.clients = nil
	return t, err
}

// Close releases whatever is still open and waits for its goroutines.
func (f *Calls) Close() {
	f.end()
	f.wg.Wait()
	f.clients = nil
}

// phase calls do for 0 to n-1, some of them at a time, and returns what has been
// counted meanwhile, in every case.
func (f *Calls) phase(ctx context.Context, parallel, n int, do func(context.Context, int) error) (*Tally, error) {
	f.mu.Lock()
	f.tally = NewTally()
	f.mu.Unlock()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i := 0; i < n && gctx.Err() == nil; i++ {
		g.Go(func() error { return do(gctx, i) })
	}
	err := errors.Join(g.Wait(), ctx.Err())
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tally
	f.tally = NewTally()
	return t, err
}

func (f *Calls) record(since time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tally.Done++
	f.tally.record(int64(time.Since(since)))
}

// callError is a failure of one client, by its kind.
type callError struct {
	kind string
	err  error
}

func (e *callError) Error() string { return e.kind + ": " + e.err.Error() }
func (e *callError) Unwrap() error { return e.err }

func (f *Calls) fail(err error) {
	kind := KindReset
	var known *callError
	if errors.As(err, &known) {
		kind = known.kind
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tally.fail(kind)
}

// beat counts an answer without a frame or a comment, which are what keeps calls
// alive.
func (f *Calls) beat() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tally.Pings++
}
