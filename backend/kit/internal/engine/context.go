package engine

import (
	"context"
	"sync/atomic"
	"time"
)

// runContext is a handler's context: a deadline and nothing else. Most handlers
// never ask whether it is done, so the timer behind it is made only for those
// that do; a context of the standard library would cost more than a fast
// handler. It is never reused, since a handler may keep it.
type runContext struct {
	base     context.Context
	deadline time.Time
	inner    atomic.Pointer[innerContext]
}

type innerContext struct {
	ctx    context.Context
	cancel context.CancelFunc
}

// finished stands in for the inner context of a handler that never asked.
var finished = func() *innerContext {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return &innerContext{ctx, cancel}
}()

// Deadline implements context.Context.
func (c *runContext) Deadline() (time.Time, bool) { return c.deadline, true }

// Done implements context.Context.
func (c *runContext) Done() <-chan struct{} { return c.get().ctx.Done() }

// Err implements context.Context.
func (c *runContext) Err() error {
	if in := c.inner.Load(); in != nil {
		return in.ctx.Err()
	}
	if err := c.base.Err(); err != nil {
		return err
	}
	if !time.Now().Before(c.deadline) {
		return context.DeadlineExceeded
	}
	return nil
}

// Value implements context.Context. It carries no values; what it passes on lets
// contexts made from this one end with it without a goroutine.
func (c *runContext) Value(key any) any {
	if in := c.inner.Load(); in != nil {
		return in.ctx.Value(key)
	}
	return nil
}

func (c *runContext) get() *innerContext {
	if in := c.inner.Load(); in != nil {
		return in
	}
	ctx, cancel := context.WithDeadline(c.base, c.deadline)
	in := &innerContext{ctx, cancel}
	if c.inner.CompareAndSwap(nil, in) {
		return in
	}
	cancel()
	return c.inner.Load()
}

// finish ends the context when its handler has returned.
func (c *runContext) finish() {
	if c.inner.Load() == nil && c.inner.CompareAndSwap(nil, finished) {
		return
	}
	c.inner.Load().cancel()
}
