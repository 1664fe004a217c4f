package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/holdfast-io/holdfast/tools/bench/load"
	"github.com/holdfast-io/holdfast/tools/bench/proc"
)

// FailoverOptions is what Failover is to do.
type FailoverOptions struct {
	StackOptions
	// On and Off are KEY=VALUE of the gateway's configuration with breakers and
	// limits, which no load here reaches, and without.
	On, Off []string
	// Warmup and Duration are of each measurement.
	Warmup, Duration time.Duration
	// Pairs is how many times On and Off are measured in turn.
	Pairs int
	// Rate is what flows, in requests a second, while one of Frozen instances is
	// frozen; Rounds how often that is done.
	Rate           float64
	Frozen, Rounds int
	// Recovery is what the gateway is given to get over the frozen instance.
	Recovery time.Duration
	Progress io.Writer
}

// What is switched on and off. The limits are far above what a load reaches: they
// count, and refuse nothing.
var (
	breakersOn = []string{
		"dispatcher.breaker.enabled=true", "dispatcher.services.0.instance_rate=100000000",
		"dispatcher.routes.0.rate=100000000", "dispatcher.routes.0.concurrency=1000000",
	}
	breakersOff = []string{"dispatcher.breaker.enabled=false"}
)

// DefaultFailoverOptions measures what docs/benchmarks.md states, in about five
// minutes.
func DefaultFailoverOptions() FailoverOptions {
	return FailoverOptions{
		StackOptions: StackOptions{GatewayConfig: "configs/gateway.bench.yaml", EchoConfig: "configs/echo.bench.yaml"},
		On:           breakersOn, Off: breakersOff,
		Warmup: 2 * time.Second, Duration: 5 * time.Second, Pairs: 5,
		Rate: 5000, Frozen: 5, Rounds: 3, Recovery: 3 * time.Second, Progress: io.Discard,
	}
}

// Validate reports every setting that cannot work.
func (o FailoverOptions) Validate() error {
	probe := EchoOptions{Server: Server{Endpoint: "127.0.0.1:1"}, Conns: 1, Inflight: 1, Size: 64, Rate: o.Rate,
		Warmup: o.Warmup, Duration: o.Duration, Rounds: o.Rounds}
	var errs []error
	if o.Rate <= 0 {
		errs = append(errs, fmt.Errorf("rate: %v, want more than 0", o.Rate))
	}
	return errors.Join(append(errs, probe.Validate(), atLeast("pairs", o.Pairs, 1), atLeast("frozen", o.Frozen, 2))...)
}

// The loads under which On and Off are compared: those of the echo figures.
var costLoads = []CostLoad{{Conns: 1000, Inflight: 1}, {Conns: 100, Inflight: 10}}

// CostLoad is a closed loop.
type CostLoad struct {
	Conns    int `json:"conns"`
	Inflight int `json:"inflight"`
}

// CostPair is one pair of measurements, one after the other.
type CostPair struct {
	CostLoad
	On  EchoRound `json:"on"`
	Off EchoRound `json:"off"`
}

// FrozenRound is one time of freezing an instance.
type FrozenRound struct {
	Before EchoRound `json:"before"`
	// After is from Recovery after the freeze on. Its errors are those of the
	// recovery too: requests that the instance took with it.
	After EchoRound `json:"after"`
}

// FailoverReport is what Failover found out.
type FailoverReport struct {
	Machine  proc.Machine  `json:"machine"`
	Load     string        `json:"load_average"` // when it began
	Warmup   string        `json:"warmup"`
	Duration string        `json:"duration"`
	Recovery string        `json:"recovery"`
	Rate     float64       `json:"open_rate"`
	Frozen   int           `json:"frozen_of"`
	Pairs    []CostPair    `json:"pairs"`
	Rounds   []FrozenRound `json:"rounds"`
}

// Cost is the rate with breakers and limits divided by that without, a pair's
// each.
func (r *FailoverReport) Cost(l CostLoad) Spread {
	return gather(r.Pairs, func(p CostPair) (float64, bool) {
		return p.On.Rate / p.Off.Rate, p.CostLoad == l && p.Off.Rate > 0
	})
}

// Latency is the p99 after the freeze divided by that before, a round's each.
func (r *FailoverReport) Latency() Spread {
	return gather(r.Rounds, func(x FrozenRound) (float64, bool) { return x.After.P99 / x.Before.P99, x.Before.P99 > 0 })
}

// Failed tells whether anything went wrong that the frozen instance does not
// explain.
func (r *FailoverReport) Failed() bool {
	for _, p := range r.Pairs {
		if len(p.On.Errors)+len(p.Off.Errors) > 0 {
			return true
		}
	}
	for _, x := range r.Rounds {
		if len(x.Before.Errors) > 0 {
			return true
		}
		for kind := range x.After.Errors {
			if !slices.Contains(caughtKinds, kind) {
				return true
			}
		}
	}
	return false
}

// caughtKinds is what a client is told of a request that a frozen instance has.
var caughtKinds = []string{"status_UNKNOWN", "status_DEADLINE_EXCEEDED", "status_UNAVAILABLE"}

// Failover measures what breakers, limits and failover cost, and what becomes of
// the latency when an instance freezes. It starts all processes itself and
// blocks for some minutes.
func Failover(ctx context.Context, o FailoverOptions) (*FailoverReport, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	average, err := proc.LoadAverage()
	if err != nil {
		return nil, err
	}
	r := &FailoverReport{Machine: proc.DescribeMachine(), Load: average, Warmup: o.Warmup.String(), Duration: o.Duration.String(),
		Recovery: o.Recovery.String(), Rate: o.Rate, Frozen: o.Frozen}
	if err := o.cost(ctx, r); err != nil {
		return nil, err
	}
	return r, o.freeze(ctx, r)
}

// cost measures On and Off in turn, by two gateways of which one is idle.
func (o FailoverOptions) cost(ctx context.Context, r *FailoverReport) error {
	on, err := o.start(ctx, o.On, 1)
	if err != nil {
		return err
	}
	defer on.Stop()
	off, err := o.start(ctx, o.Off, 1)
	if err != nil {
		return err
	}
	defer off.Stop()
	for n := range o.Pairs {
		for _, l := range costLoads {
			fmt.Fprintf(o.Progress, "%s cost: pair %d, %d connections x %d\n", clock(), n+1, l.Conns, l.Inflight)
			plan := EchoOptions{Conns: l.Conns, Inflight: l.Inflight, Size: 64, Warmup: o.Warmup, Duration: o.Duration}
			pair := CostPair{CostLoad: l}
			first, second := &pair.On, &pair.Off
			stacks := []*Stack{on, off}
			if n%2 == 1 { // who goes first takes turns
				first, second = second, first
				slices.Reverse(stacks)
			}
			for i, into := range []*EchoRound{first, second} {
				s := subject{name: Holdfast, Server: stacks[i].Server}
				if *into, err = s.echo(ctx, plan); err != nil {
					return fmt.Errorf("cost: %w", err)
				}
			}
			r.Pairs = append(r.Pairs, pair)
		}
	}
	return nil
}

func (o FailoverOptions) start(ctx context.Context, pairs []string, instances int) (*Stack, error) {
	s := o.StackOptions
	s.Set = append(slices.Clone(s.Set), pairs...)
	s.Instances = instances
	return StartStack(ctx, s)
}

// freeze measures each round with processes of its own.
func (o FailoverOptions) freeze(ctx context.Context, r *FailoverReport) error {
	for n := range o.Rounds {
		fmt.Fprintf(o.Progress, "%s frozen: round %d\n", clock(), n+1)
		round, err := o.freezeOnce(ctx)
		if err != nil {
			return fmt.Errorf("frozen: %w", err)
		}
		r.Rounds = append(r.Rounds, round)
	}
	return nil
}

func (o FailoverOptions) freezeOnce(ctx context.Context) (FrozenRound, error) {
	stack, err := o.start(ctx, o.On, o.Frozen)
	if err != nil {
		return FrozenRound{}, err
	}
	defer stack.Stop()
	victim := stack.backends[o.Frozen/2]
	defer victim.Thaw() // or it could not end in order
	s := subject{name: Holdfast, Server: stack.Server}
	fleet, err := load.NewFleet(s.config())
	if err != nil {
		return FrozenRound{}, err
	}
	defer fleet.Close()
	if t, err := fleet.Connect(ctx, 1000); err != nil || t.Failures() > 0 {
		return FrozenRound{}, errors.Join(err, fmt.Errorf("connect: %v", t.Errors))
	}
	var round FrozenRound
	plan := load.Plan{Inflight: 16, Size: 64, Rate: o.Rate, Window: load.Window{Warmup: o.Warmup, Duration: o.Duration}}
	if round.Before, err = s.open(ctx, fleet, plan); err != nil {
		return round, err
	}
	if err := victim.Freeze(); err != nil {
		return round, err
	}
	plan.Warmup = o.Recovery
	round.After, err = s.open(ctx, fleet, plan)
	return round, err
}

// open loads a fleet that is connected.
func (s subject) open(ctx context.Context, fleet *load.Fleet, plan load.Plan) (EchoRound, error) {
	m := &meter{server: s.Server}
	plan.Measured = m.at(ctx)
	t, err := fleet.Echo(ctx, plan)
	if err := errors.Join(err, m.err); err != nil {
		return EchoRound{}, err
	}
	return EchoRound{Subject: s.name, Conns: fleet.Open(), Rate: t.Rate(), P50: us(t, 50), P99: us(t, 99), P999: us(t, 99.9),
		Late: float64(t.Lateness(99)) / float64(time.Microsecond), Errors: addCounts(t.Errors), cost: m.per(t.Done)}, nil
}
