package load

import (
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// drainTime is how long a phase waits for the answers that are still out when
// its time is over. Well above a gateway's request time-out of 10 s would
// only delay a verdict that is clear after a few seconds.
const drainTime = 5 * time.Second

// Plan says how to load the connections of a fleet with echoes.
type Plan struct {
	// Inflight is how many requests a connection keeps unanswered (closed
	// loop), or may have unanswered (open loop).
	Inflight int
	// Size is the payload in bytes.
	Size int
	// Separate writes each request by itself. Otherwise the requests that
	// follow the answers of one read go out in one write, which costs the
	// loader and the server least and keeps them together from then on.
	Separate bool
	// Rate, when not 0, makes it an open loop of that many requests a second
	// in all, spread evenly over the connections and the milliseconds.
	Rate float64
	Window
}

// Window is when a phase measures.
type Window struct {
	// Warmup comes before the measured Duration.
	Warmup, Duration time.Duration
	// Measured, when set, is called as the measured time begins and as it
	// ends, from a goroutine of the call, for what else is to be read then.
	Measured func(begins bool)
}

// Validate reports a window that cannot be.
func (w Window) Validate() error {
	if w.Warmup < 0 || w.Duration <= 0 {
		return fmt.Errorf("duration: %v after a warm-up of %v, want more than 0", w.Duration, w.Warmup)
	}
	return nil
}

// watch calls Measured at its times; a phase that ends early ends it.
func (w Window) watch(done <-chan struct{}) {
	if w.Measured == nil {
		return
	}
	for _, step := range []struct {
		wait   time.Duration
		begins bool
	}{{w.Warmup, true}, {w.Duration, false}} {
		timer := time.NewTimer(step.wait)
		select {
		case <-timer.C:
		case <-done:
			timer.Stop()
		}
		w.Measured(step.begins)
	}
}

// Validate reports every setting that cannot work.
func (p Plan) Validate() error {
	var errs []error
	if p.Inflight < 1 || p.Inflight > rawWindow {
		errs = append(errs, fmt.Errorf("inflight: %d, want 1 to %d", p.Inflight, rawWindow))
	}
	if n := frameSize(max(p.Size, 0)); p.Size < 0 || n < 0 || n > frameBytesMax+wire.StreamPrefixBytes {
		errs = append(errs, fmt.Errorf("size: %d bytes, want 0 to what fits a frame of %d", p.Size, frameBytesMax))
	}
	if p.Rate < 0 || p.Rate > 1e9 {
		errs = append(errs, fmt.Errorf("rate: %v a second, want 0 (closed loop) to 1e9", p.Rate))
	}
	return errors.Join(append(errs, p.Window.Validate())...)
}

// fits tells whether what the gateways' WELCOMEs allow suffices for p.
func (p Plan) fits(window, frameMax int) error {
	if p.Rate == 0 && p.Inflight > window {
		return fmt.Errorf("inflight %d is more than the gateway's window of %d", p.Inflight, window)
	}
	if n := frameSize(p.Size) - wire.StreamPrefixBytes; n > frameMax {
		return fmt.Errorf("size %d makes frames of %d bytes, the gateway takes %d", p.Size, n, frameMax)
	}
	return nil
}
