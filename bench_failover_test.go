package main

import (
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/tools/bench"
)

// TestBenchFailover runs everything that `holdfast bench failover` runs, with real
// processes but for moments only. The figures mean nothing here.
func TestBenchFailover(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes and thousands of connections")
	}
	t.Setenv(asBinary, "1") // this test binary is the gateways and the backends
	o := bench.DefaultFailoverOptions()
	o.Warmup, o.Duration, o.Pairs, o.Rounds = 0, 300*time.Millisecond, 1, 1
	o.Rate, o.Recovery = 200, 100*time.Millisecond // what the slowest machine keeps up with
	o.Progress = t.Output()
	r, err := bench.Failover(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Failed() {
		t.Errorf("errors under load: %+v %+v", r.Pairs, r.Rounds)
	}
	if len(r.Pairs) != 2 || len(r.Rounds) != 1 || r.Rounds[0].After.Rate == 0 || r.Latency().Median == 0 {
		t.Errorf("pairs %+v, rounds %+v, want two loads, one round and their figures", r.Pairs, r.Rounds)
	}
}
