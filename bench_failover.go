package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/holdfast-io/holdfast/tools/bench"
)

// newBenchFailover needs no gateway: it starts some.
func newBenchFailover() *cobra.Command {
	o := bench.DefaultFailoverOptions()
	cmd := &cobra.Command{
		Use:   "failover",
		Short: "What breakers, limits and failover cost, and the latency while an instance is frozen",
		Long: `Starts gateways and echo backends of its own and measures two things.

The echo rate of a gateway with breakers and limits (which this load does not reach)
beside that of one without, in turn, --pairs times.

The latency at a fixed rate before one of several instances is frozen (SIGSTOP), and
from --recovery after it. The requests that the frozen instance had are in the
report as errors.`,
		Args: cobra.NoArgs,
	}
	b := &benchFlags{}
	f := cmd.Flags()
	f.StringVar(&o.GatewayConfig, "gateway-config", o.GatewayConfig, "configuration of the gateways; addresses are overridden")
	f.StringVar(&o.EchoConfig, "echo-config", o.EchoConfig, "configuration of the backends; addresses are overridden")
	f.StringArrayVar(&o.On, "on", o.On, "KEY=VALUE of a gateway with breakers and limits")
	f.StringArrayVar(&o.Off, "off", o.Off, "KEY=VALUE of a gateway without")
	f.DurationVar(&o.Warmup, "warmup", o.Warmup, "load before anything is measured, in each measurement")
	f.DurationVar(&o.Duration, "duration", o.Duration, "measured time of each measurement")
	f.IntVar(&o.Pairs, "pairs", o.Pairs, "pairs of measurements with and without")
	f.Float64Var(&o.Rate, "rate", o.Rate, "requests a second while an instance is frozen")
	f.IntVar(&o.Frozen, "instances", o.Frozen, "instances of which one is frozen")
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "how often one is frozen")
	f.DurationVar(&o.Recovery, "recovery", o.Recovery, "time after the freeze that is not measured")
	f.BoolVar(&b.json, "json", false, "print the report as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.Progress = cmd.ErrOrStderr()
		return b.measure(cmd, o, func(ctx context.Context) (bench.Report, error) { return bench.Failover(ctx, o) })
	}
	return cmd
}
