package bench

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-io/holdfast/tools/bench/proc"
)

func TestSpread(t *testing.T) {
	tests := []struct {
		in   []float64
		want Spread
		text string
	}{
		{nil, Spread{}, "-"},
		{[]float64{7}, Spread{7, 7, 7, 1}, "7.0"},
		{[]float64{9, 1, 5}, Spread{5, 1, 9, 3}, "5.0 (1.0 to 9.0)"},
		{[]float64{4, 1, 2, 9}, Spread{3, 1, 9, 4}, "3.0 (1.0 to 9.0)"},
	}
	for _, tt := range tests {
		got := spreadOf(tt.in)
		if got != tt.want || got.Text("%.1f") != tt.text {
			t.Errorf("spreadOf(%v) = %+v, %q, want %+v, %q", tt.in, got, got.Text("%.1f"), tt.want, tt.text)
		}
	}
}

// TestRatiosAreOfTheSameRound has a machine that halves its speed in the
// second round: the ratio stays, though medians over all rounds would move it.
func TestRatiosAreOfTheSameRound(t *testing.T) {
	rounds := []EchoRound{
		{Subject: Netpoll, Round: 1, Rate: 1000}, {Subject: Holdfast, Round: 1, Rate: 700, Errors: map[string]int64{"eof": 1}},
		{Subject: Netpoll, Round: 2, Rate: 500}, {Subject: Holdfast, Round: 2, Rate: 350, Errors: map[string]int64{"eof": 2}},
		{Subject: Netpoll, Round: 3, Rate: 1000}, {Subject: Holdfast, Round: 3, Rate: 700},
	}
	s := summarizeEcho(Holdfast, rounds)
	if want := (Spread{0.7, 0.7, 0.7, 3}); s.OfNetpoll.Rate != want {
		t.Errorf("OfNetpoll.Rate = %+v, want %+v", s.OfNetpoll.Rate, want)
	}
	if diff := cmp.Diff(map[string]int64{"eof": 3}, s.Errors); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	if s := summarizeEcho(Holdfast, rounds[1:2]); s.OfNetpoll.Rate.Known() {
		t.Errorf("a ratio without a baseline: %+v", s.OfNetpoll.Rate)
	}
	c := summarizeConnect(Holdfast, []ConnectRound{{Subject: Netpoll, Round: 1, Rate: 10}, {Subject: Holdfast, Round: 1, Rate: 5}})
	if c.OfNetpoll.Median != 0.5 {
		t.Errorf("connect: OfNetpoll = %+v, want 0.5", c.OfNetpoll)
	}
}

func TestCostPerExchange(t *testing.T) {
	start := time.Unix(0, 0)
	m := meter{
		server: Server{Processes: []Process{{"gateway", 1}, {"backend", 2}}},
		begin: reading{cpu: map[string]time.Duration{"gateway": time.Second, "backend": 0}, own: time.Second, mallocs: 100, at: start,
			machine: proc.MachineTime{Processes: 10 * time.Second}},
		end: reading{cpu: map[string]time.Duration{"gateway": 3 * time.Second, "backend": time.Second}, own: 2 * time.Second, mallocs: 400,
			at: start.Add(4 * time.Second), machine: proc.MachineTime{Processes: 15 * time.Second, Stolen: time.Second}},
	}
	// Of 5 s of all processes ours used 4, and 1 s was stolen: 2 s in 4 s.
	want := cost{CPU: map[string]float64{"gateway": 20, "backend": 10}, First: 20, Server: 30, Loader: 10, HeapObjects: 0.003, Others: 0.5}
	if diff := cmp.Diff(want, m.per(100_000)); diff != "" {
		t.Errorf("per(100000) (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(cost{}, m.per(0)); diff != "" {
		t.Errorf("per(0) (-want +got):\n%s", diff)
	}
	if notes := othersNote("x", Spread{Max: 0.05}); notes != nil {
		t.Errorf("a calm machine is complained about: %q", notes)
	}
}
