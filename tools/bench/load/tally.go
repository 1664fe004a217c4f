package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Kinds of errors. Two more come with a suffix from a closed set: "close_"
// and a close code's name, "status_" and a status's.
const (
	KindConnect    = "connect"         // refused, unreachable, no port left
	KindTimeout    = "connect_timeout" // not open, WELCOME included, in time
	KindTLS        = "tls"             // the handshake failed, or what followed it
	KindUpgrade    = "upgrade"         // the answer is no WebSocket
	KindToken      = "token"           // the token source failed
	KindEOF        = "eof"             // ended by the peer without CLOSE
	KindReset      = "reset"           // a read or write failed
	KindFrame      = "frame"           // what came is not a frame, or none that fits here
	KindPayload    = "payload"         // the echo is not what was sent
	KindUnknownID  = "unknown_id"      // a reply to nothing that was asked
	KindUnanswered = "unanswered"      // no reply before the run ended or the connection did
)

// Latencies are kept from 1 us to 1 min with 3 digits: 0.1 % of the value.
const (
	latencyMin    = int64(time.Microsecond)
	latencyMax    = int64(time.Minute)
	latencyDigits = 3
)

// Tally is what a phase has counted. Rates and latencies are of the measured
// time only, errors of the whole phase: one during the warm-up matters too.
type Tally struct {
	// Done counts completed exchanges: echoes checked, sessions opened.
	Done int64
	// Elapsed is the measured time.
	Elapsed time.Duration
	// latency is in nanoseconds. An exchange that never completed is in it
	// with the time it had waited when the phase ended: a lower bound.
	latency *hdrhistogram.Histogram
	// Errors counts by kind; empty when all went well.
	Errors map[string]int64
	// lateness is how far the loader itself was behind the plan of an open
	// loop, for each request: it was busy or got no CPU. Such a delay is in the
	// latencies too, though the server had no part in it.
	lateness *hdrhistogram.Histogram
	// Pushes and Pings count what the server sent on its own.
	Pushes, Pings int64
}

// NewTally returns an empty Tally.
func NewTally() *Tally {
	return &Tally{
		latency:  hdrhistogram.New(latencyMin, latencyMax, latencyDigits),
		lateness: hdrhistogram.New(latencyMin, latencyMax, latencyDigits),
		Errors:   map[string]int64{},
	}
}

// Rate returns the completed exchanges a second.
func (t *Tally) Rate() float64 {
	if t.Elapsed <= 0 {
		return 0
	}
	return float64(t.Done) / t.Elapsed.Seconds()
}

// Failures returns the sum of all errors.
func (t *Tally) Failures() int64 {
	var n int64
	for _, k := range t.Errors {
		n += k
	}
	return n
}

// Percentile returns a latency; p is 50, 99, 99.9.
func (t *Tally) Percentile(p float64) time.Duration {
	return time.Duration(t.latency.ValueAtPercentile(p))
}

// Lateness returns by how much the loader itself was behind an open loop's
// plan; 0 in a closed loop.
func (t *Tally) Lateness(p float64) time.Duration {
	return time.Duration(t.lateness.ValueAtPercentile(p))
}

// Add puts what u has counted into t. Elapsed becomes the longer one.
func (t *Tally) Add(u *Tally) {
	t.Done += u.Done
	t.Pushes += u.Pushes
	t.Pings += u.Pings
	t.Elapsed = max(t.Elapsed, u.Elapsed)
	t.lateness.Merge(u.lateness)
	t.latency.Merge(u.latency) // same bounds, so nothing is dropped
	for k, n := range u.Errors {
		t.Errors[k] += n
	}
}

// record adds one latency, clamped to what the histogram can hold.
func (t *Tally) record(d int64) {
	_ = t.latency.RecordValue(min(max(d, latencyMin), latencyMax)) // clamped, so it cannot fail
}

func (t *Tally) late(d int64) {
	_ = t.lateness.RecordValue(min(max(d, latencyMin), latencyMax)) // as above
}

func (t *Tally) fail(kind string) { t.Errors[kind]++ }

func closeKind(code wire.CloseCode) string { return "close_" + code.String() }

func statusKind(s wire.Status) string { return "status_" + s.String() }
