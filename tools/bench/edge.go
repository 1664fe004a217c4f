package bench

import (
	"context"
	"fmt"
)

// edge is what a session may cost on each transport, as docs/benchmarks.md
// states it.
var edge = []struct {
	transport string
	bytesMax  float64 // resident in the gateway
	ofTCP     float64 // echoes, the least share of TCP's; 0: not measured
}{
	{"tcp", 6 << 10, 0},
	{"ws", 7 << 10, 0.85},
	{"poll", 7 << 10, 0},
	{"sse", 7 << 10, 0},
	{"tls", 25 << 10, 0.5},
}

// named is what a transport is called in reports.
func named(transport string) string {
	if transport == "tcp" {
		return Holdfast
	}
	return over(transport)
}

func edgeGoals(r *AllReport) (goals []Goal) {
	for _, e := range edge {
		of := r.Idle.Of(named(e.transport))
		goals = append(goals,
			newGoal("resident bytes of a session, "+e.transport+", idle", "%.0f", of.PerIdle, e.bytesMax, true),
			newGoal("resident bytes of a session, "+e.transport+", idle after one message", "%.0f", of.PerEchoed, e.bytesMax, true))
	}
	for _, e := range edge {
		if e.ofTCP > 0 {
			goals = append(goals,
				newGoal(e.transport+" echo, 1,000 connections x 1 in flight: share of tcp", "%.2f", r.Many.Of(over(e.transport)).OfTCP, e.ofTCP, false),
				newGoal(e.transport+" echo, 100 connections x 10 in flight: share of tcp", "%.2f", r.Deep.Of(over(e.transport)).OfTCP, e.ofTCP, false))
		}
	}
	return goals
}

// memory measures a fresh gateway for each transport in each round. The last
// round also reads what heartbeats cost.
func (o AllOptions) memory(ctx context.Context, r *AllReport) error {
	for n := range o.Rounds {
		for _, e := range edge {
			fmt.Fprintf(o.Progress, "%s idle: %s, round %d\n", clock(), e.transport, n+1)
			report, err := o.idle(ctx, e.transport, n == o.Rounds-1)
			if err != nil {
				return err
			}
			if r.Idle == nil {
				r.Idle = report
			} else {
				r.Idle.add(report.Rounds...)
			}
		}
	}
	return nil
}

func (o AllOptions) idle(ctx context.Context, transport string, beats bool) (*IdleReport, error) {
	stack, err := StartStack(ctx, o.StackOptions)
	if err != nil {
		return nil, err
	}
	defer stack.Stop()
	one := o.Idle
	one.Server, one.Baseline = stack.Server.on(transport), transport == "tcp"
	if !beats {
		one.Beats = 0
	}
	report, err := Idle(ctx, one)
	return report, o.because(stack, "idle, "+transport, err)
}
