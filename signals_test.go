package main

import (
	"os"
	"syscall"
	"testing"
)

// TestSecondSignalExits sends this process two signals: the first ends the
// context and nothing else, the second asks to exit at once.
func TestSecondSignalExits(t *testing.T) {
	exits := make(chan int, 1)
	said := &text{more: make(chan struct{}, 1)}
	ctx, stop := withSignals(t.Context(), said, func(code int) { exits <- code })
	defer stop()
	kill(t, syscall.SIGTERM)
	<-ctx.Done()
	if sig, ok := stoppedBy(ctx); !ok || sig != syscall.SIGTERM {
		t.Errorf("stoppedBy = %v, %v, want SIGTERM", sig, ok)
	}
	if len(exits) != 0 || said.String() != "" {
		t.Errorf("the first signal exits or says %q", said)
	}
	kill(t, syscall.SIGINT)
	if code := <-exits; code != 130 {
		t.Errorf("exit code %d after SIGINT, want 130", code)
	}
	if want := "holdfast: SIGINT again, exiting at once\n"; said.String() != want {
		t.Errorf("said %q, want %q", said, want)
	}
}

func kill(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), sig); err != nil {
		t.Fatal(err)
	}
}
