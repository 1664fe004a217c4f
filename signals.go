package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// stopSignal is the cause of a context that a signal ended.
type stopSignal struct{ syscall.Signal }

func (s stopSignal) Error() string { return "stopped by " + signalName(s.Signal) }

// withSignals returns a context that ends at the first SIGINT or SIGTERM. The
// second one does not wait for anything: it calls exit with 128 + its number.
// The returned func gives the signals back and ends the goroutine.
func withSignals(parent context.Context, errs io.Writer, exit func(int)) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	// Two places, so that a second signal is not lost while the first is handled.
	got := make(chan os.Signal, 2)
	signal.Notify(got, syscall.SIGINT, syscall.SIGTERM)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case s := <-got:
				sig := s.(syscall.Signal)
				if n > 0 {
					fmt.Fprintf(errs, "holdfast: %s again, exiting at once\n", signalName(sig))
					exit(exitCode(sig))
					return
				}
				cancel(stopSignal{sig})
			}
		}
	}()
	return ctx, func() {
		signal.Stop(got)
		close(done)
		<-ended
		cancel(nil)
	}
}

// stoppedBy returns the signal that ended ctx, if one did.
func stoppedBy(ctx context.Context) (syscall.Signal, bool) {
	var s stopSignal
	if errors.As(context.Cause(ctx), &s) {
		return s.Signal, true
	}
	return 0, false
}

func exitCode(sig syscall.Signal) int { return 128 + int(sig) }

func signalName(sig syscall.Signal) string {
	switch sig {
	case syscall.SIGINT:
		return "SIGINT"
	case syscall.SIGTERM:
		return "SIGTERM"
	}
	return sig.String()
}
