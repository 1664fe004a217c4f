package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-io/holdfast/backend/logic/keys"
	"github.com/holdfast-io/holdfast/gateway/transport/secure"
	"github.com/holdfast-io/holdfast/tools/bench"
)

// benchTokenTTL outlives every benchmark.
const benchTokenTTL = 24 * time.Hour

// newBenchCommand measures a gateway, or starts one and measures it.
func newBenchCommand() *cobra.Command {
	return group("bench", "Measure a gateway",
		newBenchAll(), newBenchEcho(), newBenchIdle(), newBenchConnect(), newBenchFailover(),
		newBenchServe(bench.Netpoll), newBenchServe(bench.Goroutines))
}

// benchFlags are what the measurements have in common.
type benchFlags struct {
	endpoint, token, data, admin string
	pids                         []string
	threads                      int
	baseline, json               bool
	errs                         io.Writer
}

func addBenchFlags(cmd *cobra.Command) *benchFlags {
	b := &benchFlags{errs: cmd.ErrOrStderr()}
	f := cmd.Flags()
	f.StringVar(&b.endpoint, "endpoint", "127.0.0.1:7000", "the gateway's listener, with a scheme for another transport than tcp: tls, ws, wss; idle knows poll, polls, sse and sses too; empty with --baseline: only the bare servers")
	f.StringVar(&b.token, "token", "", "the token that every connection presents; empty for none")
	f.StringVar(&b.data, "data", "", "a data folder; connection N presents a token for user bench-N made with its key")
	f.StringSliceVar(&b.pids, "pid", nil, "ROLE=PID of server processes whose CPU time or memory is read; a bare PID is the gateway's")
	f.IntVar(&b.threads, "threads", 1, "threads of the load generator")
	f.BoolVar(&b.baseline, "baseline", false, "also measure bare servers, in turn with the gateway")
	f.BoolVar(&b.json, "json", false, "print the report as JSON")
	cmd.MarkFlagsMutuallyExclusive("token", "data")
	return b
}

// server turns the flags into what to measure.
func (b *benchFlags) server() (bench.Server, error) {
	s := bench.Server{Endpoint: b.endpoint, Admin: b.admin, Threads: b.threads}
	for _, text := range b.pids {
		role, number, ok := strings.Cut(text, "=")
		if !ok {
			role, number = "gateway", text
		}
		pid, err := strconv.Atoi(number)
		if err != nil || pid < 1 || role == "" {
			return s, usagef("--pid %q: want PID or ROLE=PID", text)
		}
		s.Processes = append(s.Processes, bench.Process{Role: role, PID: pid})
	}
	var err error
	s.Tokens, err = b.tokens()
	return s, err
}

// tokens is nil where no token was asked for.
func (b *benchFlags) tokens() (bench.TokenSource, error) {
	switch {
	case b.token != "":
		return func(int) (string, error) { return b.token, nil }, nil
	case b.data != "":
		folder, err := keys.OpenFolder(b.data, slog.New(slog.NewTextHandler(b.errs, nil)))
		if err != nil {
			return nil, err
		}
		return func(i int) (string, error) { return folder.Sign(fmt.Sprintf("bench-%d", i+1), benchTokenTTL) }, nil
	}
	return nil, nil
}

// measure runs one measurement and prints its report. Errors under load are
// in the report and make the command fail.
func (b *benchFlags) measure(cmd *cobra.Command, options interface{ Validate() error },
	run func(ctx context.Context) (bench.Report, error)) error {
	if err := options.Validate(); err != nil {
		return usagef("%s: %v", cmd.CommandPath(), strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	r, err := run(cmd.Context())
	if err != nil {
		return err
	}
	write := bench.WriteText
	if b.json {
		write = bench.WriteJSON
	}
	if err := write(cmd.OutOrStdout(), r); err != nil {
		return err
	}
	if r.Failed() {
		return errors.New("bench: there were errors under load, see the report")
	}
	return nil
}

func newBenchEcho() *cobra.Command {
	var o bench.EchoOptions
	cmd := &cobra.Command{
		Use:   "echo",
		Short: "Requests to the echo backend and back: rate, latency, CPU time",
		Long: `Requests echo.say through the gateway to its echo backend and back.

Without --rate every connection keeps --inflight requests unanswered (closed loop),
which finds the highest rate. With --rate requests are due at even times whatever
the answers do (open loop), and a latency counts from when its request was due.

--baseline starts a bare netpoll echo server and one with a goroutine for every
connection, and measures all three in turn, --rounds times.`,
		Example: "  holdfast bench echo --endpoint 127.0.0.1:7000 --conns 1000 --duration 5s --baseline",
		Args:    cobra.NoArgs,
	}
	b := addBenchFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&b.admin, "admin", "", "the gateway's admin address; its heap objects are then counted")
	f.IntVar(&o.Conns, "conns", 100, "connections")
	f.IntVar(&o.Inflight, "inflight", 1, "requests that a connection has unanswered, at most")
	f.IntVar(&o.Size, "size", 64, "bytes of payload")
	f.Float64Var(&o.Rate, "rate", 0, "requests a second in all (open loop); 0: as many as are answered (closed loop)")
	f.StringSliceVar(&o.Beside, "beside", nil, "further transports of that listener, measured in the same rounds: ws, tls, wss")
	f.BoolVar(&o.Separate, "separate-writes", false, "write each request by itself, not those that follow the answers of one read together")
	f.DurationVar(&o.Warmup, "warmup", time.Second, "load before anything is measured")
	f.DurationVar(&o.Duration, "duration", 5*time.Second, "measured time of a round")
	rounds := f.Int("rounds", 0, "rounds; 0: 3 with --baseline, else 1")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var err error
		if o.Server, err = b.server(); err != nil {
			return err
		}
		o.Baseline, o.Rounds = b.baseline, roundsOr(*rounds, b.baseline)
		return b.measure(cmd, o, func(ctx context.Context) (bench.Report, error) { return bench.Echo(ctx, o) })
	}
	return cmd
}

// roundsOr is the default of --rounds.
func roundsOr(rounds int, baseline bool) int {
	switch {
	case rounds != 0:
		return rounds
	case baseline:
		return 3
	}
	return 1
}

func newBenchIdle() *cobra.Command {
	o := bench.DefaultIdleOptions()
	cmd := &cobra.Command{
		Use:   "idle --pid PID",
		Short: "Resident memory of a session",
		Long: `The resident memory that a server needs for a session: the slope between --low and
--conns connections, without a message and after one each. Measure a server that
has just been started: memory left over from earlier connections hides what new
ones need. What the kernel holds for the sockets is not counted.`,
		Example: "  holdfast bench idle --endpoint 127.0.0.1:7000 --pid $(pidof holdfast) --conns 18000",
		Args:    cobra.NoArgs,
	}
	b := addBenchFlags(cmd)
	f := cmd.Flags()
	f.IntVar(&o.High, "conns", o.High, "connections in the end")
	f.IntVar(&o.Low, "low", o.Low, "connections at the lower end of the slope")
	f.IntVar(&o.Size, "size", o.Size, "bytes of payload of the one message")
	f.DurationVar(&o.Beats, "beats", 0, "then read the CPU time of keeping the connections alive for this long; longer than a heartbeat")
	f.DurationVar(&o.Calm.Longest, "settle", o.Calm.Longest, "longest wait for the memory to settle, at each step")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var err error
		if o.Server, err = b.server(); err != nil {
			return err
		}
		o.Baseline = b.baseline
		return b.measure(cmd, o, func(ctx context.Context) (bench.Report, error) { return bench.Idle(ctx, o) })
	}
	return cmd
}

func newBenchConnect() *cobra.Command {
	var o bench.ConnectOptions
	cmd := &cobra.Command{
		Use:     "connect",
		Short:   "New sessions a second: connect, HELLO, WELCOME, CLOSE",
		Example: "  holdfast bench connect --endpoint 127.0.0.1:7000 --baseline",
		Args:    cobra.NoArgs,
	}
	b := addBenchFlags(cmd)
	f := cmd.Flags()
	parallel := f.Int("parallel", 200, "sessions being opened at any time")
	f.DurationVar(&o.Warmup, "warmup", time.Second, "load before anything is measured")
	f.DurationVar(&o.Duration, "duration", 5*time.Second, "measured time of a round")
	rounds := f.Int("rounds", 0, "rounds; 0: 3 with --baseline, else 1")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var err error
		if o.Server, err = b.server(); err != nil {
			return err
		}
		o.Server.Parallel = *parallel
		o.Baseline, o.Rounds = b.baseline, roundsOr(*rounds, b.baseline)
		return b.measure(cmd, o, func(ctx context.Context) (bench.Report, error) { return bench.Connect(ctx, o) })
	}
	return cmd
}

// newBenchAll needs no gateway: it starts one.
func newBenchAll() *cobra.Command {
	o := bench.DefaultAllOptions()
	cmd := &cobra.Command{
		Use:   "all",
		Short: "Start a gateway and an echo backend and measure what docs/benchmarks.md states",
		Args:  cobra.NoArgs,
	}
	b := &benchFlags{}
	f := cmd.Flags()
	f.StringVar(&o.GatewayConfig, "gateway-config", o.GatewayConfig, "configuration of the gateway; addresses are overridden")
	f.StringVar(&o.EchoConfig, "echo-config", o.EchoConfig, "configuration of the backend; addresses are overridden")
	f.DurationVar(&o.Warmup, "warmup", o.Warmup, "load before anything is measured, in each measurement")
	f.DurationVar(&o.Duration, "duration", o.Duration, "measured time of each measurement")
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "rounds")
	f.IntVar(&o.Idle.High, "conns", o.Idle.High, "connections at the upper end of the memory slope")
	f.IntVar(&o.Idle.Low, "low", o.Idle.Low, "connections at the lower end of the memory slope")
	f.BoolVar(&b.json, "json", false, "print the report as JSON")
	out := f.String("out", "", "folder for bench.json and bench.md")
	check := f.Bool("check", false, "fail when a goal is missed")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.Progress = cmd.ErrOrStderr()
		dir, err := os.MkdirTemp("", "holdfast-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if err := addBenchCertificate(&o, dir); err != nil {
			return err
		}
		missed := false
		err = b.measure(cmd, o, func(ctx context.Context) (bench.Report, error) {
			r, err := bench.All(ctx, o)
			if err != nil {
				return nil, err
			}
			missed = r.Missed()
			if *out != "" {
				err = r.Write(*out)
			}
			return r, err
		})
		if err == nil && *check && missed {
			return errors.New("bench: a goal was missed, see the report")
		}
		return err
	}
	return cmd
}

// addBenchCertificate lets the gateway that is measured speak TLS.
func addBenchCertificate(o *bench.AllOptions, dir string) error {
	c, err := secure.SelfSigned(dir, []string{"127.0.0.1"})
	o.Certificate, o.Key = c.Cert, c.Key
	return err
}

// newBenchServe is one of the servers that --baseline starts.
func newBenchServe(name string) *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use: "serve-" + name, Short: "A bare echo server, for comparison", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return bench.ServeBare(cmd.Context(), name, listen, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "TCP address")
	return cmd
}
