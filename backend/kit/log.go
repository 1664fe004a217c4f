package kit

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"golang.org/x/time/rate"
)

// limitedLog is for messages that a client can cause at will: a few, then one a
// second. The metrics count them all.
type limitedLog struct {
	log    *slog.Logger
	errors rate.Sometimes
	panics rate.Sometimes
}

func newLimitedLog(log *slog.Logger) *limitedLog {
	return &limitedLog{
		log:    log,
		errors: rate.Sometimes{First: 10, Interval: time.Second},
		panics: rate.Sometimes{First: 10, Interval: time.Second},
	}
}

func (l *limitedLog) warn(msg string, args ...any) {
	l.errors.Do(func() { l.log.Warn(msg, args...) })
}

// panicked logs what recover returned, with the stack. It is called from the
// deferred function. A nil value means that the handler ended its goroutine.
func (l *limitedLog) panicked(msg string, v any, args ...any) {
	l.panics.Do(func() {
		if v == nil {
			v = "runtime.Goexit was called"
		}
		l.log.With("panic", fmt.Sprint(v), "stack", string(debug.Stack())).Error(msg, args...)
	})
}
