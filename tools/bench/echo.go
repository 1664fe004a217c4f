package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/holdfast-io/holdfast/tools/bench/load"
	"github.com/holdfast-io/holdfast/tools/bench/proc"
)

// EchoOptions is what Echo is to do.
type EchoOptions struct {
	Server
	Conns, Inflight, Size int
	// Rate is 0 for the closed loop, else requests a second in all.
	Rate float64
	// Separate: see load.Plan (closed loop).
	Separate         bool
	Warmup, Duration time.Duration
	Rounds           int
	// Beside are further transports of the endpoint, measured in the same rounds.
	Beside []string
	// Baseline also measures the bare servers, in the same rounds.
	Baseline bool
}

// Validate reports every setting that cannot work.
func (o EchoOptions) Validate() error {
	return errors.Join(o.Server.validate(o.Baseline), atLeast("conns", o.Conns, 1), atLeast("rounds", o.Rounds, 1),
		o.plan().Validate(), validateBeside(o.Beside))
}

func (o EchoOptions) plan() load.Plan {
	return load.Plan{Inflight: o.Inflight, Size: o.Size, Rate: o.Rate, Separate: o.Separate,
		Window: load.Window{Warmup: o.Warmup, Duration: o.Duration}}
}

// EchoRound is one subject's part of one round.
type EchoRound struct {
	Subject string  `json:"subject"`
	Round   int     `json:"round"`
	Conns   int     `json:"conns"`
	Rate    float64 `json:"rate"`
	P50     float64 `json:"p50_us"`
	P99     float64 `json:"p99_us"`
	P999    float64 `json:"p999_us"`
	// Late is the 99th percentile of how far the loader itself was behind its
	// plan (open loop).
	Late   float64          `json:"loader_late_p99_us"`
	Errors map[string]int64 `json:"errors,omitempty"`
	cost
}

// EchoSummary is one subject over all rounds.
type EchoSummary struct {
	Subject string `json:"subject"`
	Rate    Spread `json:"rate"`
	// OfNetpoll is beside the bare netpoll server of the same round.
	OfNetpoll EchoRatios `json:"of_netpoll"`
	// OfTCP is the rate beside our own on TCP in the same round.
	OfTCP       Spread            `json:"rate_of_tcp"`
	P50         Spread            `json:"p50_us"`
	P99         Spread            `json:"p99_us"`
	P999        Spread            `json:"p999_us"`
	CPU         map[string]Spread `json:"cpu_us"`
	ServerCPU   Spread            `json:"server_cpu_us"`
	LoaderCPU   Spread            `json:"loader_cpu_us"`
	HeapObjects Spread            `json:"heap_objects"`
	Late        Spread            `json:"loader_late_p99_us"`
	Others      Spread            `json:"others_cpus"`
	Errors      map[string]int64  `json:"errors,omitempty"`
}

// EchoRatios are figures divided by those of the bare netpoll server. CPU is
// of the subject's first process, for ours the gateway alone.
type EchoRatios struct {
	Rate Spread `json:"rate"`
	P50  Spread `json:"p50"`
	P99  Spread `json:"p99"`
	CPU  Spread `json:"cpu"`
}

// EchoReport is what Echo found out.
type EchoReport struct {
	Machine  proc.Machine  `json:"machine"`
	Conns    int           `json:"conns"`
	Inflight int           `json:"inflight"`
	Size     int           `json:"size"`
	OpenRate float64       `json:"open_rate,omitempty"` // 0: closed loop
	Separate bool          `json:"separate_writes,omitempty"`
	Warmup   string        `json:"warmup"`
	Duration string        `json:"duration"`
	Rounds   []EchoRound   `json:"rounds"`
	Summary  []EchoSummary `json:"summary"`
}

// Failed tells whether anything went wrong under load.
func (r *EchoReport) Failed() bool {
	for _, s := range r.Summary {
		if len(s.Errors) > 0 {
			return true
		}
	}
	return false
}

// Of returns the summary of one subject.
func (r *EchoReport) Of(name string) EchoSummary {
	for _, s := range r.Summary {
		if s.Subject == name {
			return s
		}
	}
	return EchoSummary{Subject: name}
}

// Echo measures and blocks for all rounds. What fails under load is in the
// report; an error means that there is none.
func Echo(ctx context.Context, o EchoOptions) (*EchoReport, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	subjects, stop, err := withBaselines(ctx, o.Server, o.Baseline, Netpoll, Goroutines)
	if err != nil {
		return nil, err
	}
	defer stop()
	if o.Endpoint != "" { // right behind TCP, which they are divided by
		at := slices.IndexFunc(subjects, func(s subject) bool { return s.name == Holdfast })
		subjects = slices.Insert(subjects, at+1, o.Server.beside(o.Beside)...)
	}
	r := &EchoReport{Machine: proc.DescribeMachine(), Conns: o.Conns, Inflight: o.Inflight, Size: o.Size,
		OpenRate: o.Rate, Separate: o.Separate, Warmup: o.Warmup.String(), Duration: o.Duration.String()}
	for n := range o.Rounds {
		for _, s := range subjects {
			round, err := s.echo(ctx, o)
			if err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", s.name, n+1, err)
			}
			round.Round = n + 1
			r.Rounds = append(r.Rounds, round)
		}
	}
	for _, s := range subjects {
		r.Summary = append(r.Summary, summarizeEcho(s.name, r.Rounds))
	}
	return r, nil
}

// echo measures one subject once: connect, load, leave.
func (s subject) echo(ctx context.Context, o EchoOptions) (EchoRound, error) {
	fleet, err := load.NewFleet(s.config())
	if err != nil {
		return EchoRound{}, err
	}
	defer fleet.Close()
	connected, err := fleet.Connect(ctx, o.Conns)
	if err != nil {
		return EchoRound{}, err
	}
	m := &meter{server: s.Server}
	plan := o.plan()
	plan.Measured = m.at(ctx)
	t, err := fleet.Echo(ctx, plan)
	if err != nil {
		return EchoRound{}, err
	}
	conns := fleet.Open()
	left, err := fleet.Leave(ctx)
	if err := errors.Join(err, m.err); err != nil {
		return EchoRound{}, err
	}
	errs := addCounts(maps.Clone(t.Errors), connected.Errors, left.Errors)
	return EchoRound{Subject: s.name, Conns: conns, Rate: t.Rate(), P50: us(t, 50), P99: us(t, 99), P999: us(t, 99.9),
		Late: float64(t.Lateness(99)) / float64(time.Microsecond), Errors: errs, cost: m.per(t.Done)}, nil
}

func us(t *load.Tally, percentile float64) float64 {
	return float64(t.Percentile(percentile)) / float64(time.Microsecond)
}

// addCounts adds the others to sum; an empty result is nil.
func addCounts(sum map[string]int64, others ...map[string]int64) map[string]int64 {
	if sum == nil {
		sum = map[string]int64{}
	}
	for _, o := range others {
		for k, n := range o {
			sum[k] += n
		}
	}
	if len(sum) == 0 {
		return nil
	}
	return sum
}

func summarizeEcho(name string, rounds []EchoRound) EchoSummary {
	netpoll, tcp := map[int]EchoRound{}, map[int]EchoRound{}
	var own []EchoRound
	for _, r := range rounds {
		if r.Subject == Netpoll {
			netpoll[r.Round] = r
		}
		if r.Subject == Holdfast {
			tcp[r.Round] = r
		}
		if r.Subject == name {
			own = append(own, r)
		}
	}
	figure := func(f func(EchoRound) float64) Spread {
		return gather(own, func(r EchoRound) (float64, bool) { return f(r), true })
	}
	known := func(f func(EchoRound) float64) Spread {
		return gather(own, func(r EchoRound) (float64, bool) { return f(r), f(r) > 0 })
	}
	ratio := func(f func(EchoRound) float64) Spread {
		return gather(own, func(r EchoRound) (float64, bool) {
			base := f(netpoll[r.Round])
			return f(r) / base, base > 0 && f(r) > 0
		})
	}
	rate := func(r EchoRound) float64 { return r.Rate }
	p50 := func(r EchoRound) float64 { return r.P50 }
	p99 := func(r EchoRound) float64 { return r.P99 }
	s := EchoSummary{
		Subject: name, Rate: figure(rate), P50: figure(p50), P99: figure(p99),
		P999: figure(func(r EchoRound) float64 { return r.P999 }),
		OfNetpoll: EchoRatios{Rate: ratio(rate), P50: ratio(p50), P99: ratio(p99),
			CPU: ratio(func(r EchoRound) float64 { return r.First })},
		OfTCP: gather(own, func(r EchoRound) (float64, bool) {
			base := tcp[r.Round].Rate
			return r.Rate / max(base, 1), base > 0 && r.Subject != Netpoll && r.Subject != Goroutines
		}),
		ServerCPU:   known(func(r EchoRound) float64 { return r.Server }),
		LoaderCPU:   figure(func(r EchoRound) float64 { return r.Loader }),
		HeapObjects: known(func(r EchoRound) float64 { return r.HeapObjects }),
		Late:        known(func(r EchoRound) float64 { return r.Late }),
		Others:      figure(func(r EchoRound) float64 { return r.Others }),
		CPU:         map[string]Spread{},
	}
	for _, r := range own {
		s.Errors = addCounts(s.Errors, r.Errors)
		for role := range r.CPU {
			s.CPU[role] = figure(func(r EchoRound) float64 { return r.CPU[role] })
		}
	}
	return s
}
