package faults

import (
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/tools/faults/check"
)

// TestCalm checks the tests' own means: without a fault every request succeeds,
// and the record is complete.
func TestCalm(t *testing.T) {
	d := deploy(t, options{})
	f := connect(t, d.endpoint, 100)
	f.load(1000, time.Second, recRun, idemRun)
	requests, got := f.requests(), d.record()
	d.judge(requests, got.runs)
	share, sent := check.Success(requests, check.Span{To: 1 << 62})
	if share != 1 || len(got.runs) != sent || sent < 500 {
		t.Errorf("%d requests sent, %v of them succeeded, %d runs; want all of at least 500", sent, share, len(got.runs))
	}
}
