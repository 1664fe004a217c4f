package store

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestTurnIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTurn(2, time.Minute)
		if err := tn.take(t.Context()); err != nil {
			t.Fatalf("first take = %v", err)
		}
		waits := make(chan error, 2)
		for range 2 {
			go func() { waits <- tn.take(t.Context()) }()
		}
		synctest.Wait()
		if err := tn.take(t.Context()); !errors.Is(err, ErrBusy) {
			t.Errorf("take with 2 waiting = %v, want ErrBusy", err)
		}
		tn.give()
		if err := <-waits; err != nil {
			t.Errorf("take after give = %v", err)
		}
		start := time.Now()
		if err := <-waits; !errors.Is(err, errWaited) || time.Since(start) != time.Minute {
			t.Errorf("take that nobody gives = %v after %v, want errWaited after 1m", err, time.Since(start))
		}
		if n := tn.waiting.Load(); n != 0 {
			t.Errorf("waiting = %d, want 0", n)
		}
	})
}

func TestTurnEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTurn(2, time.Minute)
		if err := tn.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := tn.take(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("take = %v after %v, want DeadlineExceeded after 1s", err, time.Since(start))
		}
	})
}
