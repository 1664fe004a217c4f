package store

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// errWaited is the cause of a wait for the writer's turn that took too long.
var errWaited = errors.New("waited too long for the writer's turn")

// turn lets one writer at a time through and bounds how many wait. SQLite has
// one writer anyway; waiting here instead of in its busy handler is first come,
// first served, bounded, and ends with the caller's context.
type turn struct {
	token   chan struct{} // capacity 1; holding the token is having the turn
	waiting atomic.Int64
	most    int64         // waiting beyond this is refused
	wait    time.Duration // longest wait
}

func newTurn(most int, wait time.Duration) *turn {
	return &turn{token: make(chan struct{}, 1), most: int64(most), wait: wait}
}

// take blocks until it is the caller's turn, for at most t.wait. An error means
// that the caller has no turn. Each take without error needs one give.
func (t *turn) take(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case t.token <- struct{}{}:
		return nil
	default:
	}
	defer t.waiting.Add(-1)
	if t.waiting.Add(1) > t.most {
		return ErrBusy
	}
	timer := time.NewTimer(t.wait)
	defer timer.Stop()
	select {
	case t.token <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return errWaited
	}
}

func (t *turn) give() { <-t.token }
