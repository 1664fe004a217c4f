package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Fleet is a set of client connections and the loops that drive them. It is
// for one goroutine at a time; Close gives everything back.
type Fleet struct {
	cfg   Config
	epoch time.Time
	loops []*loop
}

// NewFleet makes a fleet without connections.
func NewFleet(cfg Config) (*Fleet, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if via, _ := transportOf(cfg.Endpoint); via.calls { // Validate has judged the rest
		return nil, fmt.Errorf("endpoint %q: want one of %v", cfg.Endpoint, Transports)
	}
	f := &Fleet{cfg: cfg, epoch: time.Now()}
	for i := range cfg.Threads {
		l, err := newLoop(cfg, i, f.epoch)
		if err != nil {
			f.Close()
			return nil, err
		}
		f.loops = append(f.loops, l)
	}
	return f, nil
}

// Connect opens connections until the fleet has total of them, WELCOME
// received, and blocks until each has come or failed. A connection that
// cannot be opened is counted in the Tally; only when none can, it is an
// error.
func (f *Fleet) Connect(ctx context.Context, total int) (*Tally, error) {
	f.grow(total)
	started := time.Now()
	t, err := f.run(ctx, func(l *loop) phase {
		l.span = span{until: l.now() + int64(time.Hour)}
		return &connectPhase{parallel: f.cfg.Parallel / f.cfg.Threads}
	})
	t.Elapsed = time.Since(started)
	if err == nil && f.Open() == 0 && total > 0 {
		err = fmt.Errorf("connect %s: none of %d connections opened: %v", f.cfg.Endpoint, total, t.Errors)
	}
	return t, err
}

// grow gives the loops slots for total connections, one each in turn.
func (f *Fleet) grow(total int) {
	for i, l := range f.loops {
		want := (total + f.cfg.Threads - 1 - i) / f.cfg.Threads
		for len(l.conns) < want {
			l.conns = append(l.conns, conn{fd: -1})
		}
	}
}

// Open returns how many connections are open.
func (f *Fleet) Open() (n int) {
	for _, l := range f.loops {
		n += l.open
	}
	return n
}

// Echo loads all open connections as p says and blocks for its warm-up, its
// duration and at most a few seconds more for the last answers.
func (f *Fleet) Echo(ctx context.Context, p Plan) (*Tally, error) {
	if err := errors.Join(p.Validate(), f.allow(p)); err != nil {
		return nil, err
	}
	begin := f.now()
	from := begin + int64(p.Warmup)
	until := from + int64(p.Duration)
	conns := f.slots()
	return f.measure(ctx, p.Window, func(l *loop) phase {
		l.setSize(p.Size)
		l.span = span{from: from, until: until, byDue: p.Rate > 0}
		if p.Rate == 0 {
			return &closedPhase{inflight: p.Inflight, separate: p.Separate, until: until, giveUp: until + int64(drainTime)}
		}
		// Loops start one request apart, so that together they keep to the rate from the first on.
		start := begin + int64(float64(l.number)*1e9/p.Rate)
		return &openPhase{inflight: p.Inflight, until: until, giveUp: until + int64(drainTime),
			plan: newSchedule(start, p.Rate*float64(len(l.conns))/float64(conns), len(l.conns))}
	})
}

// measure runs a phase that has a window, and its watch beside it.
func (f *Fleet) measure(ctx context.Context, w Window, start func(*loop) phase) (*Tally, error) {
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() { w.watch(done) })
	t, err := f.run(ctx, start)
	close(done)
	watch.Wait()
	t.Elapsed = w.Duration
	return t, err
}

// EchoOnce sends one request of size bytes on every connection that has sent
// none, and blocks until all are answered or given up.
func (f *Fleet) EchoOnce(ctx context.Context, size int) (*Tally, error) {
	p := Plan{Inflight: 1, Size: size, Window: Window{Duration: 1}}
	if err := errors.Join(p.Validate(), f.allow(p)); err != nil {
		return nil, err
	}
	return f.run(ctx, func(l *loop) phase {
		l.setSize(size)
		l.span = span{until: l.now() + int64(time.Hour)}
		return &oncePhase{giveUp: l.now() + int64(30*time.Second)}
	})
}

// Hold keeps the connections alive, answering PINGs, until ctx is done. That
// is no error.
func (f *Fleet) Hold(ctx context.Context) (*Tally, error) {
	t, err := f.run(ctx, func(*loop) phase { return holdPhase{} })
	if ctx.Err() != nil {
		err = nil
	}
	return t, err
}

// Churn opens and ends sessions, Parallel at a time, and blocks for the
// window and the end of the last ones. The fleet must have no connections of
// its own.
func (f *Fleet) Churn(ctx context.Context, w Window) (*Tally, error) {
	if err := w.Validate(); err != nil {
		return nil, err
	}
	f.grow(f.cfg.Parallel)
	from := f.now() + int64(w.Warmup)
	until := from + int64(w.Duration)
	return f.measure(ctx, w, func(l *loop) phase {
		l.span = span{from: from, until: until}
		return &churnPhase{until: until, giveUp: until + int64(f.cfg.Timeout)}
	})
}

// Leave ends all connections in an orderly way, within a few seconds.
func (f *Fleet) Leave(ctx context.Context) (*Tally, error) {
	return f.run(ctx, func(*loop) phase { return &leavePhase{} })
}

// Close releases whatever is still open, without a word to the peers.
func (f *Fleet) Close() {
	for _, l := range f.loops {
		l.tally = NewTally()
		l.releaseAll()
		l.poll.close()
	}
	f.loops = nil
}

// run lets every loop go through its phase and returns what they counted, in
// every case.
func (f *Fleet) run(ctx context.Context, start func(*loop) phase) (*Tally, error) {
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range f.loops {
		l.tally = NewTally()
		for i := range l.conns {
			l.conns[i].due, l.conns[i].issued = 0, 0
		}
		p := start(l)
		g.Go(func() error { return l.run(ctx, p) })
	}
	err := g.Wait()
	sum := NewTally()
	for _, l := range f.loops {
		sum.Add(l.tally)
		l.span = span{}
	}
	return sum, err
}

// allow checks p against what every gateway said in WELCOME.
func (f *Fleet) allow(p Plan) error {
	for _, l := range f.loops {
		for i := range l.conns {
			if c := &l.conns[i]; c.state == stateOpen {
				if err := p.fits(c.window, c.frameMax); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (f *Fleet) slots() (n int) {
	for _, l := range f.loops {
		n += len(l.conns)
	}
	return n
}

func (f *Fleet) now() int64 { return int64(time.Since(f.epoch)) }
