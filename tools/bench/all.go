package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/holdfast-io/holdfast/tools/bench/proc"
)

// AllOptions is what All is to do.
type AllOptions struct {
	StackOptions
	// Warmup and Duration are of each measurement of a round.
	Warmup, Duration time.Duration
	Rounds           int
	// OpenRate is the rate of the open loop, in requests a second.
	OpenRate float64
	Idle     IdleOptions
	// Progress is told what is measured next.
	Progress io.Writer
}

// DefaultAllOptions measures what docs/benchmarks.md states, in about
// twenty minutes. It lacks a certificate for TLS.
func DefaultAllOptions() AllOptions {
	idle := DefaultIdleOptions()
	idle.Beats = 26 * time.Second // a second more than the default heartbeat
	return AllOptions{
		StackOptions: StackOptions{GatewayConfig: "configs/gateway.bench.yaml", EchoConfig: "configs/echo.bench.yaml"},
		Warmup:       2 * time.Second, Duration: 5 * time.Second, Rounds: 3, OpenRate: 10_000,
		Idle: idle, Progress: io.Discard,
	}
}

// Validate reports every setting that cannot work.
func (o AllOptions) Validate() error {
	probe := EchoOptions{Server: Server{Endpoint: "127.0.0.1:1"}, Conns: 1, Inflight: 1, Size: 64, Rate: o.OpenRate,
		Warmup: o.Warmup, Duration: o.Duration, Rounds: o.Rounds}
	idle := o.Idle
	idle.Server, idle.Baseline = probe.Server, true
	idle.Processes = []Process{{Role: "gateway", PID: 1}} // All fills it in
	var certificate error
	if o.Certificate == "" || o.Key == "" {
		certificate = errors.New("certificate: none, so TLS cannot be measured")
	}
	return errors.Join(probe.Validate(), idle.Validate(), certificate)
}

// AllReport is what All found out.
type AllReport struct {
	Machine proc.Machine   `json:"machine"`
	Date    string         `json:"date"`
	Goals   []Goal         `json:"goals"`
	Many    *EchoReport    `json:"echo_1000x1"`
	Deep    *EchoReport    `json:"echo_100x10"`
	Open    *EchoReport    `json:"echo_open"`
	Idle    *IdleReport    `json:"idle"`
	Connect *ConnectReport `json:"connect"`
}

// Goal is a figure that the project has set itself a limit for.
type Goal struct {
	Name  string `json:"name"`
	Value Spread `json:"value"`
	// Limit is the least allowed, or the most where AtMost is set.
	Limit  float64 `json:"limit"`
	AtMost bool    `json:"at_most,omitempty"`
	Met    bool    `json:"met"`
	verb   string
}

func newGoal(name, verb string, value Spread, limit float64, atMost bool) Goal {
	met := value.Known() && (atMost && value.Median <= limit || !atMost && value.Median >= limit)
	return Goal{Name: name, Value: value, Limit: limit, AtMost: atMost, Met: met, verb: verb}
}

// Failed tells whether anything went wrong under load.
func (r *AllReport) Failed() bool {
	for _, x := range r.parts() {
		if x.Failed() {
			return true
		}
	}
	return false
}

// Missed tells whether a goal was not reached.
func (r *AllReport) Missed() bool {
	for _, g := range r.Goals {
		if !g.Met {
			return true
		}
	}
	return false
}

func (r *AllReport) parts() []Report {
	return []Report{r.Many, r.Deep, r.Open, r.Connect, r.Idle}
}

func (r *AllReport) machine() proc.Machine { return r.Machine }

func (r *AllReport) tables() []table {
	goals := table{title: "goals", columns: []string{"figure", "measured", "goal", "reached"}}
	for _, g := range r.Goals {
		sign := "at least "
		if g.AtMost {
			sign = "at most "
		}
		goals.rows = append(goals.rows, []string{g.Name, g.Value.Text(g.verb), sign + fmt.Sprintf(g.verb, g.Limit), yesNo(g.Met)})
	}
	all := []table{goals}
	for _, x := range r.parts() {
		all = append(all, x.tables()...)
	}
	return all
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// All starts gateway and backend as processes of their own and measures them
// beside the baselines. It blocks for some minutes.
func All(ctx context.Context, o AllOptions) (*AllReport, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	r := &AllReport{Machine: proc.DescribeMachine(), Date: time.Now().UTC().Format(time.RFC3339)}
	if err := o.speed(ctx, r); err != nil {
		return nil, err
	}
	if err := o.memory(ctx, r); err != nil {
		return nil, err
	}
	r.Goals = append([]Goal{
		newGoal("echo, 1,000 connections x 1 in flight: share of bare netpoll", "%.2f", r.Many.Of(Holdfast).OfNetpoll.Rate, 0.62, false),
		newGoal("echo, 100 connections x 10 in flight: share of bare netpoll", "%.2f", r.Deep.Of(Holdfast).OfNetpoll.Rate, 0.45, false),
		newGoal("heap objects in the gateway an echo, 1,000 x 1", "%.2f", r.Many.Of(Holdfast).HeapObjects, 6, true),
	}, edgeGoals(r)...)
	return r, nil
}

// speed measures everything that one gateway can serve one after the other.
func (o AllOptions) speed(ctx context.Context, r *AllReport) error {
	stack, err := StartStack(ctx, o.StackOptions)
	if err != nil {
		return err
	}
	defer stack.Stop()
	for _, m := range []struct {
		into            **EchoReport
		conns, inflight int
		rate            float64
		beside          []string
	}{
		{&r.Many, 1000, 1, 0, []string{"ws", "tls"}},
		{&r.Deep, 100, 10, 0, []string{"ws", "tls"}},
		{&r.Open, 1000, 16, o.OpenRate, nil},
	} {
		fmt.Fprintf(o.Progress, "%s echo: %d connections x %d, rate %.0f (0: closed loop)\n", clock(), m.conns, m.inflight, m.rate)
		*m.into, err = Echo(ctx, EchoOptions{Server: stack.Server, Conns: m.conns, Inflight: m.inflight, Size: 64, Rate: m.rate,
			Warmup: o.Warmup, Duration: o.Duration, Rounds: o.Rounds, Baseline: true, Beside: m.beside})
		if err != nil {
			return o.because(stack, "echo", err)
		}
	}
	fmt.Fprintln(o.Progress, clock(), "connect")
	r.Connect, err = Connect(ctx, ConnectOptions{Server: stack.Server, Warmup: o.Warmup, Duration: o.Duration, Rounds: o.Rounds, Baseline: true})
	return o.because(stack, "connect", err)
}

func clock() string { return time.Now().Format(time.TimeOnly) }

// because adds to an error that one of the processes has died, which explains
// it.
func (o AllOptions) because(stack *Stack, what string, err error) error {
	if err == nil {
		return nil
	}
	if died := stack.Err(); died != nil {
		return fmt.Errorf("%s: %w (%w)", what, err, died)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Write puts bench.json and bench.md into a folder, which it makes.
func (r *AllReport) Write(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for name, write := range map[string]func(io.Writer) error{
		"bench.json": func(w io.Writer) error { return WriteJSON(w, r) },
		"bench.md": func(w io.Writer) error {
			if _, err := fmt.Fprintf(w, "Measured %s on %s.\n", r.Date, machineLine(r.Machine)); err != nil {
				return err
			}
			return WriteMarkdown(w, r)
		},
	} {
		if err := writeFile(filepath.Join(folder, name), write); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		_ = f.Close() // the first error is the one to tell
		return fmt.Errorf("%s: %w", path, err)
	}
	return f.Close()
}
