package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-io/holdfast/tools/bench/load"
	"github.com/holdfast-io/holdfast/tools/bench/proc"
)

// ConnectOptions is what Connect is to do. Server.Parallel is how many
// sessions are being opened at any time.
type ConnectOptions struct {
	Server
	Warmup, Duration time.Duration
	Rounds           int
	// Baseline also measures connections to a bare netpoll server: connect,
	// end the stream, wait for its end.
	Baseline bool
}

// Validate reports every setting that cannot work.
func (o ConnectOptions) Validate() error {
	return errors.Join(o.Server.validate(o.Baseline), atLeast("rounds", o.Rounds, 1), o.window().Validate())
}

func (o ConnectOptions) window() load.Window {
	return load.Window{Warmup: o.Warmup, Duration: o.Duration}
}

// ConnectRound is one subject's part of one round.
type ConnectRound struct {
	Subject string           `json:"subject"`
	Round   int              `json:"round"`
	Rate    float64          `json:"rate"`
	P50     float64          `json:"p50_us"`
	P99     float64          `json:"p99_us"`
	Errors  map[string]int64 `json:"errors,omitempty"`
	cost
}

// ConnectSummary is one subject over all rounds.
type ConnectSummary struct {
	Subject   string           `json:"subject"`
	Rate      Spread           `json:"rate"`
	OfNetpoll Spread           `json:"of_netpoll"`
	P50       Spread           `json:"p50_us"`
	P99       Spread           `json:"p99_us"`
	ServerCPU Spread           `json:"server_cpu_us"`
	LoaderCPU Spread           `json:"loader_cpu_us"`
	Others    Spread           `json:"others_cpus"`
	Errors    map[string]int64 `json:"errors,omitempty"`
}

// ConnectReport is what Connect found out.
type ConnectReport struct {
	Machine  proc.Machine     `json:"machine"`
	Parallel int              `json:"parallel"`
	Duration string           `json:"duration"`
	Rounds   []ConnectRound   `json:"rounds"`
	Summary  []ConnectSummary `json:"summary"`
}

// Failed tells whether any connection failed.
func (r *ConnectReport) Failed() bool {
	for _, s := range r.Summary {
		if len(s.Errors) > 0 {
			return true
		}
	}
	return false
}

// Connect measures new sessions a second: connect, HELLO, WELCOME, CLOSE. It
// blocks for all rounds.
func Connect(ctx context.Context, o ConnectOptions) (*ConnectReport, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	subjects, stop, err := withBaselines(ctx, o.Server, o.Baseline, Netpoll)
	if err != nil {
		return nil, err
	}
	defer stop()
	r := &ConnectReport{Machine: proc.DescribeMachine(), Parallel: subjects[0].config().Parallel, Duration: o.Duration.String()}
	for n := range o.Rounds {
		for _, s := range subjects {
			round, err := s.connect(ctx, o)
			if err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", s.name, n+1, err)
			}
			round.Round = n + 1
			r.Rounds = append(r.Rounds, round)
		}
	}
	for _, s := range subjects {
		r.Summary = append(r.Summary, summarizeConnect(s.name, r.Rounds))
	}
	return r, nil
}

func (s subject) connect(ctx context.Context, o ConnectOptions) (ConnectRound, error) {
	fleet, err := load.NewFleet(s.config())
	if err != nil {
		return ConnectRound{}, err
	}
	defer fleet.Close()
	m := &meter{server: s.Server}
	w := o.window()
	w.Measured = m.at(ctx)
	t, err := fleet.Churn(ctx, w)
	if err := errors.Join(err, m.err); err != nil {
		return ConnectRound{}, err
	}
	return ConnectRound{Subject: s.name, Rate: t.Rate(), P50: us(t, 50), P99: us(t, 99),
		Errors: addCounts(t.Errors), cost: m.per(t.Done)}, nil
}

func summarizeConnect(name string, rounds []ConnectRound) ConnectSummary {
	netpoll := map[int]float64{}
	var own []ConnectRound
	for _, r := range rounds {
		if r.Subject == Netpoll {
			netpoll[r.Round] = r.Rate
		}
		if r.Subject == name {
			own = append(own, r)
		}
	}
	figure := func(f func(ConnectRound) float64) Spread {
		return gather(own, func(r ConnectRound) (float64, bool) { return f(r), true })
	}
	s := ConnectSummary{
		Subject:   name,
		Rate:      figure(func(r ConnectRound) float64 { return r.Rate }),
		P50:       figure(func(r ConnectRound) float64 { return r.P50 }),
		P99:       figure(func(r ConnectRound) float64 { return r.P99 }),
		ServerCPU: gather(own, func(r ConnectRound) (float64, bool) { return r.Server, r.Server > 0 }),
		LoaderCPU: figure(func(r ConnectRound) float64 { return r.Loader }),
		Others:    figure(func(r ConnectRound) float64 { return r.Others }),
		OfNetpoll: gather(own, func(r ConnectRound) (float64, bool) {
			base := netpoll[r.Round]
			return r.Rate / max(base, 1), base > 0
		}),
	}
	for _, r := range own {
		s.Errors = addCounts(s.Errors, r.Errors)
	}
	return s
}
