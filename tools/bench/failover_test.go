package bench

import (
	"strings"
	"testing"

	"github.com/holdfast-io/holdfast/tools/bench/load"
)

func failoverReport() *FailoverReport {
	round := func(rate, p99 float64) EchoRound { return EchoRound{Subject: Holdfast, Rate: rate, P99: p99} }
	return &FailoverReport{
		Rate: 5000, Frozen: 5, Warmup: "1s", Duration: "2s", Recovery: "3s",
		Pairs: []CostPair{
			{CostLoad: costLoads[0], On: round(96, 1), Off: round(100, 1)},
			{CostLoad: costLoads[0], On: round(98, 1), Off: round(100, 1)},
			{CostLoad: costLoads[0], On: round(100, 1), Off: round(100, 1)},
			{CostLoad: costLoads[1], On: round(50, 1), Off: round(100, 1)},
		},
		Rounds: []FrozenRound{{Before: round(5000, 1000), After: round(5000, 1500)}},
	}
}

// TestFailoverReport checks that ratios are taken within a pair, and loads apart.
func TestFailoverReport(t *testing.T) {
	r := failoverReport()
	if got := r.Cost(costLoads[0]); got != (Spread{Median: 0.98, Min: 0.96, Max: 1, Rounds: 3}) {
		t.Errorf("Cost = %+v, want a median of 0.98 over 3 pairs", got)
	}
	if got := r.Latency().Median; got != 1.5 {
		t.Errorf("Latency = %v, want 1.5", got)
	}
	var text strings.Builder
	if err := WriteText(&text, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"0.980 (0.960 to 1.000)", "0.500", "one of 5 instances frozen at 5000 requests/s", "p99 after of before: 1.50"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, &text)
		}
	}
}

// TestFailoverFailed checks what may go wrong while an instance is frozen, and
// what may not.
func TestFailoverFailed(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*FailoverReport)
		want  bool
	}{
		{"nothing", func(*FailoverReport) {}, false},
		{"requests caught by the frozen one", func(r *FailoverReport) { r.Rounds[0].After.Errors = map[string]int64{"status_UNKNOWN": 9} }, false},
		{"no answer while one is frozen", func(r *FailoverReport) { r.Rounds[0].After.Errors = map[string]int64{load.KindUnanswered: 1} }, true},
		{"an error before", func(r *FailoverReport) { r.Rounds[0].Before.Errors = map[string]int64{"status_UNKNOWN": 1} }, true},
		{"an error in a pair", func(r *FailoverReport) { r.Pairs[3].Off.Errors = map[string]int64{"eof": 1} }, true},
	}
	for _, tt := range tests {
		r := failoverReport()
		tt.spoil(r)
		if got := r.Failed(); got != tt.want {
			t.Errorf("%s: Failed = %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestFailoverOptionsValidate(t *testing.T) {
	if err := DefaultFailoverOptions().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	err := FailoverOptions{Frozen: 1}.Validate()
	for _, want := range []string{"rate", "pairs: 0", "frozen: 1", "duration"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("FailoverOptions: %v lacks %s", err, want)
		}
	}
}
