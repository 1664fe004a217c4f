package poll

import (
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Config bounds what one client may cost. Zero values are not defaults: start
// from DefaultConfig.
type Config struct {
	// PollWait is how long a GET without frames is held. WELCOME tells it.
	PollWait time.Duration
	// Heartbeat is the silence on a stream after which a comment is sent.
	Heartbeat time.Duration
	// RequestTimeout bounds wait_ms: every request is answered within it.
	RequestTimeout time.Duration
	// FrameBytesMax bounds the body of a call.
	FrameBytesMax int
	// OutboundBytesMax bounds what waits for a client and has not been sent once,
	// and what one answer carries. What has been sent and is kept until the client
	// names it is bounded by the session, which keeps it too.
	OutboundBytesMax int
	// ReplyBytesMax is what replies may wait beyond that, and what replies that
	// have been sent may be kept.
	ReplyBytesMax int
	// FramesPerCall bounds the frames of one POST.
	FramesPerCall int
}

// DefaultConfig goes with a window of 64 and frames of 64 KiB.
func DefaultConfig() Config {
	return Config{
		PollWait:         15 * time.Second,
		Heartbeat:        25 * time.Second,
		RequestTimeout:   10 * time.Second,
		FrameBytesMax:    64 << 10,
		OutboundBytesMax: 1 << 20,
		ReplyBytesMax:    4 << 20,
		FramesPerCall:    256,
	}
}

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	var errs []error
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"PollWait", c.PollWait}, {"Heartbeat", c.Heartbeat}, {"RequestTimeout", c.RequestTimeout}} {
		if d.value < 100*time.Millisecond || d.value > 10*time.Minute {
			errs = append(errs, fmt.Errorf("%s: %v, want 100ms to 10m", d.name, d.value))
		}
	}
	if c.FrameBytesMax < 1024 || c.FrameBytesMax > wire.FrameBytesMax {
		errs = append(errs, fmt.Errorf("FrameBytesMax: %d, want 1024 to %d", c.FrameBytesMax, wire.FrameBytesMax))
	}
	if c.OutboundBytesMax < c.FrameBytesMax {
		errs = append(errs, fmt.Errorf("OutboundBytesMax: %d, want at least FrameBytesMax (%d)", c.OutboundBytesMax, c.FrameBytesMax))
	}
	if c.ReplyBytesMax < 0 {
		errs = append(errs, fmt.Errorf("ReplyBytesMax: %d, want 0 or more", c.ReplyBytesMax))
	}
	if c.FramesPerCall < 1 {
		errs = append(errs, fmt.Errorf("FramesPerCall: %d, want at least 1", c.FramesPerCall))
	}
	return errors.Join(errs...)
}
