package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// diary notes what happened, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, ", ")
}

// draining returns a part that takes a while to end.
func draining(d *diary, name string, takes time.Duration) part {
	return part{name, func(ctx context.Context) error {
		<-ctx.Done()
		d.note(name + " stops")
		time.Sleep(takes)
		d.note(name + " ended")
		return nil
	}}
}

// TestPartsStopInReverse checks that what was started last ends completely
// before the part it stands on is told.
func TestPartsStopInReverse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := runParts(ctx, within(2*time.Hour), draining(&d, "backend", time.Second), draining(&d, "gateway", time.Hour))
		want := "gateway stops, gateway ended, backend stops, backend ended"
		if err != nil || d.String() != want {
			t.Errorf("runParts = %v, %s, want nil, %s", err, d.String(), want)
		}
	})
}

// TestFailedPartStopsTheOthers checks that nothing runs on beside a dead part,
// and that the error says which it was.
func TestFailedPartStopsTheOthers(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"error", errors.New("address taken"), "bad: address taken"},
		{"returned", nil, "bad: ended by itself"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var d diary
				bad := part{"bad", func(context.Context) error { time.Sleep(time.Second); return tt.err }}
				err := runParts(t.Context(), within(time.Hour), draining(&d, "a", 0), bad, draining(&d, "b", 0))
				if err == nil || err.Error() != tt.want {
					t.Errorf("runParts = %v, want %s", err, tt.want)
				}
				if got := d.String(); got != "b stops, b ended, a stops, a ended" {
					t.Errorf("the others: %s", got)
				}
			})
		})
	}
}

// TestErrorWhileStoppingIsReported checks that a part which cannot end cleanly
// makes the process fail.
func TestErrorWhileStoppingIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		late := part{"store", func(ctx context.Context) error { <-ctx.Done(); return errors.New("disk full") }}
		plain := part{"plain", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		if err := runParts(ctx, within(2*time.Hour), late, plain); err == nil || err.Error() != "store: disk full" {
			t.Errorf("runParts = %v, want store: disk full", err)
		}
	})
}

// TestHardStop checks that a part which does not end cannot hold the process.
func TestHardStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begun := time.Now()
		err := runParts(ctx, within(time.Minute), draining(&d, "backend", 0), draining(&d, "gateway", time.Hour))
		if want := "gateway: still at work 1m0s after the stop began"; err == nil || err.Error() != want {
			t.Errorf("runParts = %v, want %s", err, want)
		}
		if took := time.Since(begun); took != time.Minute {
			t.Errorf("it took %v, want 1m", took)
		}
		time.Sleep(time.Hour) // let the part end
		if got, want := d.String(), "gateway stops, backend stops, backend ended, gateway ended"; got != want {
			t.Errorf("happened: %s, want %s", got, want)
		}
	})
}

func within(d time.Duration) func() time.Duration { return func() time.Duration { return d } }
