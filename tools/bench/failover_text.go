package bench

import (
	"fmt"

	"github.com/holdfast-io/holdfast/tools/bench/proc"
)

func (r *FailoverReport) machine() proc.Machine { return r.Machine }

func (r *FailoverReport) tables() []table { return []table{r.costTable(), r.frozenTable()} }

func (r *FailoverReport) costTable() table {
	t := table{
		title: fmt.Sprintf("cost of breakers, limits and failover: %s after %s of warm-up, on and off in turn; load average %s at the start",
			r.Duration, r.Warmup, r.Load),
		columns: []string{"load", "on, requests/s", "off, requests/s", "on of off", "gateway CPU us on", "off", "errors"},
	}
	for _, l := range costLoads {
		figure := func(f func(CostPair) float64) Spread {
			return gather(r.Pairs, func(p CostPair) (float64, bool) { return f(p), p.CostLoad == l })
		}
		var errs map[string]int64
		for _, p := range r.Pairs {
			if p.CostLoad == l {
				errs = addCounts(errs, p.On.Errors, p.Off.Errors)
			}
		}
		t.rows = append(t.rows, []string{
			fmt.Sprintf("%d x %d", l.Conns, l.Inflight),
			figure(func(p CostPair) float64 { return p.On.Rate }).Text("%.0f"),
			figure(func(p CostPair) float64 { return p.Off.Rate }).Text("%.0f"),
			r.Cost(l).Text("%.3f"),
			figure(func(p CostPair) float64 { return p.On.First }).Text("%.2f"),
			figure(func(p CostPair) float64 { return p.Off.First }).Text("%.2f"),
			errorText(errs),
		})
		t.notes = append(t.notes, othersNote(t.rows[len(t.rows)-1][0], figure(func(p CostPair) float64 { return max(p.On.Others, p.Off.Others) }))...)
	}
	return t
}

func (r *FailoverReport) frozenTable() table {
	t := table{
		title: fmt.Sprintf("one of %d instances frozen at %.0f requests/s (open loop): %s before, and %s from %s after",
			r.Frozen, r.Rate, r.Duration, r.Duration, r.Recovery),
		columns: []string{"", "requests/s", "p50 us", "p99 us", "p99.9 us", "loader late p99 us", "errors"},
	}
	for _, side := range []struct {
		name string
		of   func(FrozenRound) EchoRound
	}{
		{"before", func(x FrozenRound) EchoRound { return x.Before }},
		{"after", func(x FrozenRound) EchoRound { return x.After }},
	} {
		figure := func(f func(EchoRound) float64) Spread {
			return gather(r.Rounds, func(x FrozenRound) (float64, bool) { return f(side.of(x)), true })
		}
		var errs map[string]int64
		for _, x := range r.Rounds {
			errs = addCounts(errs, side.of(x).Errors)
		}
		t.rows = append(t.rows, []string{side.name,
			figure(func(x EchoRound) float64 { return x.Rate }).Text("%.0f"), figure(func(x EchoRound) float64 { return x.P50 }).Text("%.0f"),
			figure(func(x EchoRound) float64 { return x.P99 }).Text("%.0f"), figure(func(x EchoRound) float64 { return x.P999 }).Text("%.0f"),
			figure(func(x EchoRound) float64 { return x.Late }).Text("%.0f"), errorText(errs)})
	}
	t.notes = append(t.notes, "p99 after of before: "+r.Latency().Text("%.2f"))
	return t
}
