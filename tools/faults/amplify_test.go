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
	savedUp          = 2 // seconds
)

// TestRetriesDoNotAmplify has all five instances fail every request to an
// idempotent route, so that the gateway would like to try each one again. Where
// breakers are off every request reaches an instance, and the budget alone holds.
func TestRetriesDoNotAmplify(t *testing.T) {
	const users, rate = 1000, 1500
	lasts := 4 * time.Second
	if testenv.Soak() {
		lasts = time.Minute
	}
	const noBreakers = "  breaker: {enabled: false}\n"
	for _, tt := range []struct{ name, mode, dispatcher string }{
		{"calls fail", "throw", noBreakers},
		{"calls time out", "slow 400ms", noBreakers},
		{"packets are refused", "refuse", noBreakers},
		{"calls time out, breakers on", "slow 400ms", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := deploy(t, options{bare: true, service: "      timeout: 200ms\n", dispatcher: tt.dispatcher})
			for _, i := range d.instances {
				i.obey(tt.mode)
			}
			f := connect(t, d.endpoint, users)
			begun := clock()
			f.load(rate, lasts, idemRun)
			requests := f.requests()
			took := (clock() - begun).Seconds()
			got := d.record()
			d.judge(requests, got.runs)
			// What this gateway has saved up before, a second's worth, comes on top, and as
			// much again since took is the time of the traffic only.
			most := attemptsARequest*float64(len(requests)) + attemptsASecond*(took+savedUp)
			testenv.Figure(t, "P16", "%d requests in %.1f s, %d attempts at the instances (%.3f a request), at most %.0f allowed; answers: %v",
				len(requests), took, got.arrivals, float64(got.arrivals)/float64(len(requests)), most,
				check.Failures(requests, check.Span{To: 1 << 62}))
			if float64(got.arrivals) > most {
				t.Errorf("%d attempts, want at most %.0f", got.arrivals, most)
			}
			if len(requests) < int(rate*lasts.Seconds()/2) || got.arrivals == 0 {
				t.Errorf("%d requests were sent, %d arrived: this shows little", len(requests), got.arrivals)
			}
		})
	}
}
