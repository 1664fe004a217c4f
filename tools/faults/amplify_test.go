package faults

import (
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/tools/faults/check"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// The promise about retries (P16): at most so many attempts for each request, and
// so many a second besides.
const (
	attemptsARequest = 1.1
	attemptsASecond  = 10
)

// TestRetriesDoNotAmplify has all five instances fail every call of an idempotent
// route, so that the gateway would like to try each request again.
func TestRetriesDoNotAmplify(t *testing.T) {
	needs(t, "gateway", "retry_budget")
	const users, rate = 1000, 1500
	lasts := 5 * time.Second
	if testenv.Soak() {
		lasts = time.Minute
	}
	for _, tt := range []struct{ name, service string }{
		{"breakers on", "      timeout: 200ms\n"},
		// Without breakers every request reaches an instance, so the budget alone holds.
		{"breakers off", "      timeout: 200ms\n      breaker: {enabled: false}\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := deploy(t, options{bare: true, service: tt.service})
			for _, i := range d.instances {
				i.obey("throw")
			}
			f := connect(t, d.endpoint, users)
			begun := clock()
			f.load(rate, lasts, idemRun)
			requests := f.requests()
			took := (clock() - begun).Seconds()
			got := d.record()
			d.judge(requests, got.runs)
			most := attemptsARequest*float64(len(requests)) + attemptsASecond*took
			t.Logf("%d requests in %.1f s, %d attempts at the instances (%.3f a request), at most %.0f allowed; answers: %v",
				len(requests), took, got.arrivals, float64(got.arrivals)/float64(len(requests)), most,
				check.Failures(requests, check.Span{To: 1 << 62}))
			if float64(got.arrivals) > most {
				t.Errorf("%d attempts, want at most %.0f", got.arrivals, most)
			}
			if len(requests) < int(rate*lasts.Seconds()/2) {
				t.Errorf("only %d requests were sent: this shows little", len(requests))
			}
			if got.arrivals == 0 {
				t.Error("nothing reached an instance: this shows nothing")
			}
		})
	}
}
