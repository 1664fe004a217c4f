package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/holdfast-io/holdfast/tools/bench/proc"
)

// Report is what every measurement gives.
type Report interface {
	// Failed tells whether anything went wrong under load, so that the figures
	// are not to be trusted.
	Failed() bool
	// tables are the report for people.
	tables() []table
	machine() proc.Machine
}

// table is a heading, a row of column names, and rows.
type table struct {
	title   string
	columns []string
	rows    [][]string
	notes   []string
}

// WriteText writes r for people.
func WriteText(w io.Writer, r Report) error {
	var b strings.Builder
	fmt.Fprintln(&b, machineLine(r.machine()))
	for _, t := range r.tables() {
		fmt.Fprintf(&b, "\n%s\n", t.title)
		widths := make([]int, len(t.columns))
		for _, row := range append([][]string{t.columns}, t.rows...) {
			for i, cell := range row {
				widths[i] = max(widths[i], len(cell))
			}
		}
		for _, row := range append([][]string{t.columns}, t.rows...) {
			for i, cell := range row {
				fmt.Fprintf(&b, "  %-*s", widths[i], cell)
			}
			fmt.Fprintln(&b)
		}
		for _, n := range t.notes {
			fmt.Fprintln(&b, "  "+n)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteJSON writes r for programs.
func WriteJSON(w io.Writer, r Report) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteMarkdown writes r's tables, without the machine.
func WriteMarkdown(w io.Writer, r Report) error {
	var b strings.Builder
	for _, t := range r.tables() {
		fmt.Fprintf(&b, "\n### %s\n\n", t.title)
		fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(t.columns, " | "), strings.Repeat("---|", len(t.columns)))
		for _, row := range t.rows {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		}
		for _, n := range t.notes {
			fmt.Fprintf(&b, "\n%s\n", n)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func machineLine(m proc.Machine) string {
	parts := []string{fmt.Sprintf("%d cores", m.Cores)}
	if m.CPU != "" {
		parts = append(parts, m.CPU)
	}
	parts = append(parts, fmt.Sprintf("%d MB", m.MemoryMB), "Linux "+m.Kernel, m.Arch, m.Go)
	for _, path := range slices.Sorted(maps.Keys(m.Modules)) {
		parts = append(parts, path[strings.LastIndex(path, "/")+1:]+" "+m.Modules[path])
	}
	return strings.Join(parts, ", ")
}

// errorText is how a report shows what went wrong.
func errorText(errs map[string]int64) string {
	if len(errs) == 0 {
		return "none"
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(errs)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, errs[k]))
	}
	return strings.Join(parts, ", ")
}

func (r *EchoReport) machine() proc.Machine { return r.Machine }

func (r *EchoReport) tables() []table {
	loop := "closed loop"
	if r.Separate {
		loop += ", a write for each"
	}
	if r.OpenRate > 0 {
		loop = fmt.Sprintf("open loop at %.0f/s", r.OpenRate)
	}
	t := table{
		title: fmt.Sprintf("echo: %d connections x %d in flight, %d bytes, %s, %s after %s of warm-up",
			r.Conns, r.Inflight, r.Size, loop, r.Duration, r.Warmup),
		columns: []string{"server", "requests/s", "p50 us", "p99 us", "p99.9 us", "CPU us/request", "loader us", "heap objects", "errors"},
	}
	ratios := table{
		title:   "the same, divided by bare netpoll's",
		columns: []string{"server", "requests/s", "p50", "p99", "CPU/request"},
	}
	ours := table{title: "rates divided by that on TCP", columns: []string{"server", "requests/s"}}
	for _, s := range r.Summary {
		if s.Subject != Holdfast && s.OfTCP.Known() {
			ours.rows = append(ours.rows, []string{s.Subject, s.OfTCP.Text("%.2f")})
		}
		t.rows = append(t.rows, []string{s.Subject, s.Rate.Text("%.0f"), s.P50.Text("%.0f"), s.P99.Text("%.0f"), s.P999.Text("%.0f"),
			cpuText(s), s.LoaderCPU.Text("%.2f"), s.HeapObjects.Text("%.2f"), errorText(s.Errors)})
		t.notes = append(t.notes, s.doubts()...)
		if s.Subject != Netpoll && s.OfNetpoll.Rate.Known() {
			ratios.rows = append(ratios.rows, []string{s.Subject, s.OfNetpoll.Rate.Text("%.2f"), s.OfNetpoll.P50.Text("%.2f"),
				s.OfNetpoll.P99.Text("%.2f"), s.OfNetpoll.CPU.Text("%.2f")})
		}
	}
	tables := []table{t}
	if len(ratios.rows) > 0 {
		tables = append(tables, ratios)
	}
	if len(ours.rows) > 0 {
		tables = append(tables, ours)
	}
	return tables
}

// othersMax is how many processors other programs may use before a report
// says so: at a tenth they begin to show in rates.
const othersMax = 0.1

// doubts are reasons not to trust a summary.
func (s EchoSummary) doubts() (notes []string) {
	if s.ServerCPU.Known() && s.LoaderCPU.Median > s.ServerCPU.Median {
		notes = append(notes, fmt.Sprintf("note: against %s the loader used more CPU than the server", s.Subject))
	}
	if s.Late.Median > s.P50.Median/2 {
		notes = append(notes, fmt.Sprintf("note: against %s the loader itself was late by %.0f us (p99), which is in the latencies", s.Subject, s.Late.Median))
	}
	return append(notes, othersNote(s.Subject, s.Others)...)
}

func othersNote(subject string, others Spread) []string {
	if others.Max <= othersMax {
		return nil
	}
	return []string{fmt.Sprintf("note: beside %s other programs used %s processors: measure on a calm machine", subject, others.Text("%.1f"))}
}

// cpuText shows the sum and, where there are several processes, the parts.
func cpuText(s EchoSummary) string {
	text := s.ServerCPU.Text("%.2f")
	if len(s.CPU) < 2 {
		return text
	}
	var parts []string
	for _, role := range slices.Sorted(maps.Keys(s.CPU)) {
		parts = append(parts, fmt.Sprintf("%s %.2f", role, s.CPU[role].Median))
	}
	return text + ": " + strings.Join(parts, ", ")
}

func (r *IdleReport) machine() proc.Machine { return r.Machine }

func (r *IdleReport) tables() []table {
	t := table{
		title:   fmt.Sprintf("idle: resident bytes a connection, slope from %d to %d connections", r.Low, r.High),
		columns: []string{"server", "idle", "after one message", "CPU us a heartbeat", "errors"},
	}
	for _, s := range r.Summary {
		t.rows = append(t.rows, []string{s.Subject, s.PerIdle.Text("%.0f"), s.PerEchoed.Text("%.0f"), s.PerBeat.Text("%.1f"), errorText(s.Errors)})
	}
	mb := func(n int64) float64 { return float64(n) / (1 << 20) }
	for _, x := range r.Rounds {
		settled := ""
		if !x.Calm {
			settled = "; not settled"
		}
		t.notes = append(t.notes, fmt.Sprintf("%s: %.1f MB with none, %.1f with %d, %.1f with %d%s", x.Subject,
			mb(x.Empty), mb(x.LowEchoed), r.Low, mb(x.HighEchoed), r.High, settled))
	}
	return []table{t}
}

func (r *ConnectReport) machine() proc.Machine { return r.Machine }

func (r *ConnectReport) tables() []table {
	t := table{
		title:   fmt.Sprintf("connect: new sessions a second, %d at once, %s", r.Parallel, r.Duration),
		columns: []string{"server", "sessions/s", "of netpoll", "p50 us", "p99 us", "CPU us/session", "loader us", "errors"},
	}
	for _, s := range r.Summary {
		t.rows = append(t.rows, []string{s.Subject, s.Rate.Text("%.0f"), s.OfNetpoll.Text("%.2f"), s.P50.Text("%.0f"),
			s.P99.Text("%.0f"), s.ServerCPU.Text("%.1f"), s.LoaderCPU.Text("%.1f"), errorText(s.Errors)})
		t.notes = append(t.notes, othersNote(s.Subject, s.Others)...)
	}
	return []table{t}
}
