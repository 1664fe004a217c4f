package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/holdfast-io/holdfast/tools/bench/load"
	"github.com/holdfast-io/holdfast/tools/bench/proc"
)

// IdleOptions is what Idle is to do. The server needs at least one Process.
type IdleOptions struct {
	Server
	// Low and High are the two counts of connections between which the slope
	// is taken, so that what the process needs anyway does not count.
	Low, High int
	// Size of the one message, in bytes.
	Size int
	Calm proc.Calm
	// Beats is how long the server's CPU time is then read while the connections
	// do nothing but keep alive; 0: not at all. Longer than the server's heartbeat
	// each connection has its turn.
	Beats time.Duration
	// Baseline also measures a fresh bare netpoll server.
	Baseline bool
}

// DefaultIdleOptions has everything but the server. 18,000 connections fit
// the usual limit of 20,000 descriptors a process, the lower count is beyond
// what a process allocates at its start.
func DefaultIdleOptions() IdleOptions {
	return IdleOptions{Low: 5_000, High: 18_000, Size: 64, Calm: proc.DefaultCalm()}
}

// Validate reports every setting that cannot work.
func (o IdleOptions) Validate() error {
	errs := []error{o.Server.validate(o.Baseline), atLeast("low", o.Low, 1), atLeast("conns", o.High, o.Low+1)}
	if len(o.Processes) == 0 && o.Endpoint != "" {
		errs = append(errs, errors.New("pid: no process to measure"))
	}
	return errors.Join(errs...)
}

// IdleRound is one server's memory, in bytes resident. Readings are in the
// order in which they are taken; the last two are with High connections, of
// which the first Low have sent their message at the third already.
type IdleRound struct {
	Subject    string  `json:"subject"`
	Empty      int64   `json:"empty_bytes"`
	LowIdle    int64   `json:"low_idle_bytes"`
	LowEchoed  int64   `json:"low_echoed_bytes"`
	HighIdle   int64   `json:"high_idle_bytes"`
	HighEchoed int64   `json:"high_echoed_bytes"`
	Calm       bool    `json:"calm"` // every reading had settled
	PerIdle    float64 `json:"per_idle_conn_bytes"`
	PerEchoed  float64 `json:"per_echoed_conn_bytes"`
	// Beats were counted while PerBeat, CPU microseconds for each, was read.
	Beats   int64            `json:"beats,omitempty"`
	PerBeat float64          `json:"cpu_us_per_beat,omitempty"`
	Errors  map[string]int64 `json:"errors,omitempty"`
}

// IdleSummary is one server over all rounds.
type IdleSummary struct {
	Subject   string           `json:"subject"`
	PerIdle   Spread           `json:"per_idle_conn_bytes"`
	PerEchoed Spread           `json:"per_echoed_conn_bytes"`
	PerBeat   Spread           `json:"cpu_us_per_beat"`
	Errors    map[string]int64 `json:"errors,omitempty"`
}

// IdleReport is what Idle found out.
type IdleReport struct {
	Machine proc.Machine  `json:"machine"`
	Low     int           `json:"low_conns"`
	High    int           `json:"high_conns"`
	Rounds  []IdleRound   `json:"rounds"`
	Summary []IdleSummary `json:"summary"`
}

// Of returns the summary of one subject.
func (r *IdleReport) Of(name string) IdleSummary {
	for _, s := range r.Summary {
		if s.Subject == name {
			return s
		}
	}
	return IdleSummary{Subject: name}
}

// add takes the rounds of another server life into r.
func (r *IdleReport) add(rounds ...IdleRound) {
	r.Rounds = append(r.Rounds, rounds...)
	r.Summary = nil
	for _, x := range r.Rounds {
		if r.Of(x.Subject).PerIdle.Known() {
			continue
		}
		s := IdleSummary{Subject: x.Subject}
		same := func(f func(IdleRound) float64) Spread {
			return gather(r.Rounds, func(y IdleRound) (float64, bool) { return f(y), y.Subject == x.Subject })
		}
		s.PerIdle = same(func(y IdleRound) float64 { return y.PerIdle })
		s.PerEchoed = same(func(y IdleRound) float64 { return y.PerEchoed })
		s.PerBeat = gather(r.Rounds, func(y IdleRound) (float64, bool) { return y.PerBeat, y.Subject == x.Subject && y.Beats > 0 })
		for _, y := range r.Rounds {
			if y.Subject == x.Subject {
				s.Errors = addCounts(s.Errors, y.Errors)
			}
		}
		r.Summary = append(r.Summary, s)
	}
}

// Failed tells whether any connection failed.
func (r *IdleReport) Failed() bool {
	for _, x := range r.Rounds {
		if len(x.Errors) > 0 {
			return true
		}
	}
	return false
}

// Idle measures once and blocks for about half a minute a server. The memory
// that earlier connections have left behind in the server's heap would hide
// what new ones need, so measure a server that has just been started.
func Idle(ctx context.Context, o IdleOptions) (*IdleReport, error) {
	if err := errors.Join(o.Validate(), proc.CheckDescriptors(o.High)); err != nil {
		return nil, err
	}
	subjects, stop, err := withBaselines(ctx, o.Server, o.Baseline, Netpoll)
	if err != nil {
		return nil, err
	}
	defer stop()
	r := &IdleReport{Machine: proc.DescribeMachine(), Low: o.Low, High: o.High}
	for _, s := range subjects {
		round, err := s.idle(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		r.add(round)
	}
	return r, nil
}

// crowd is what both a Fleet and Calls do.
type crowd interface {
	Connect(ctx context.Context, total int) (*load.Tally, error)
	EchoOnce(ctx context.Context, size int) (*load.Tally, error)
	Hold(ctx context.Context) (*load.Tally, error)
	Leave(ctx context.Context) (*load.Tally, error)
	Close()
}

func (s subject) crowd() (crowd, error) {
	scheme, _, ok := strings.Cut(s.Endpoint, "://")
	if ok && slices.Contains(load.CallTransports, scheme) {
		return load.NewCalls(s.config())
	}
	return load.NewFleet(s.config())
}

func (s subject) idle(ctx context.Context, o IdleOptions) (IdleRound, error) {
	fleet, err := s.crowd()
	if err != nil {
		return IdleRound{}, err
	}
	defer fleet.Close()
	m := &settler{fleet: fleet, pid: s.Processes[0].PID, calm: o.Calm, steady: true, sum: load.NewTally()}
	r := IdleRound{Subject: s.name}
	connect := func(n int) func(context.Context) (*load.Tally, error) {
		return func(ctx context.Context) (*load.Tally, error) { return fleet.Connect(ctx, n) }
	}
	once := func(ctx context.Context) (*load.Tally, error) { return fleet.EchoOnce(ctx, o.Size) }
	for _, step := range []struct {
		into *int64
		do   func(context.Context) (*load.Tally, error)
	}{
		{&r.Empty, fleet.Leave}, // nobody is there yet
		{&r.LowIdle, connect(o.Low)},
		{&r.LowEchoed, once},
		{&r.HighIdle, connect(o.High)},
		{&r.HighEchoed, once},
	} {
		if *step.into, err = m.after(ctx, step.do); err != nil {
			return IdleRound{}, err
		}
	}
	if !s.raw {
		if err := m.beats(ctx, o.Beats, &r); err != nil {
			return IdleRound{}, err
		}
	}
	more := float64(o.High - o.Low)
	r.PerIdle = float64(r.HighIdle-r.LowEchoed) / more
	r.PerEchoed = float64(r.HighEchoed-r.LowEchoed) / more
	left, err := fleet.Leave(ctx)
	r.Calm, r.Errors = m.steady, addCounts(m.sum.Errors, left.Errors)
	return r, err
}

// settler reads the memory of a server after each step of a fleet.
type settler struct {
	fleet  crowd
	pid    int
	calm   proc.Calm
	steady bool
	sum    *load.Tally
}

// beats reads what it costs to keep the connections alive for d.
func (m *settler) beats(ctx context.Context, d time.Duration, r *IdleRound) error {
	if d <= 0 {
		return nil
	}
	before, err := proc.CPUTime(m.pid)
	if err != nil {
		return err
	}
	hctx, release := context.WithTimeout(ctx, d)
	defer release()
	held, err := m.fleet.Hold(hctx)
	m.sum.Add(held)
	if err := errors.Join(err, ctx.Err()); err != nil {
		return err
	}
	after, err := proc.CPUTime(m.pid)
	if err != nil {
		return err
	}
	r.Beats = held.Pings
	r.PerBeat = float64(after-before) / float64(time.Microsecond) / float64(max(held.Pings, 1))
	return nil
}

// after does a step and then waits, keeping the connections alive, until the
// server's memory has settled.
func (m *settler) after(ctx context.Context, step func(context.Context) (*load.Tally, error)) (int64, error) {
	t, err := step(ctx)
	if t != nil {
		m.sum.Add(t)
	}
	if err != nil {
		return 0, err
	}
	hctx, release := context.WithCancel(ctx)
	defer release()
	var bytes int64
	var g errgroup.Group
	g.Go(func() error {
		defer release()
		var calm bool
		var err error
		bytes, calm, err = m.calm.Settle(hctx, m.pid)
		m.steady = m.steady && calm
		return err
	})
	held, err := m.fleet.Hold(hctx)
	release()
	m.sum.Add(held)
	return bytes, errors.Join(g.Wait(), err)
}
