package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

func newRunContext(base context.Context, d time.Duration) *runContext {
	return &runContext{base: base, deadline: time.Now().Add(d)}
}

// wantErr checks Err, and Done when asked to.
func wantErr(t *testing.T, what string, ctx context.Context, want error, done bool) {
	t.Helper()
	if err := ctx.Err(); !errors.Is(err, want) {
		t.Errorf("%s: Err() = %v, want %v", what, err, want)
	}
	if !done {
		return
	}
	select {
	case <-ctx.Done():
		if want == nil {
			t.Errorf("%s: done", what)
		}
	default:
		if want != nil {
			t.Errorf("%s: not done", what)
		}
	}
}

// TestRunContext: whether its Done was asked for makes no difference.
func TestRunContext(t *testing.T) {
	for _, asked := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			base, cancel := context.WithCancel(context.Background())
			ctx := newRunContext(base, time.Second)
			wantErr(t, "running", ctx, nil, asked)
			pass(time.Second)
			wantErr(t, "past its deadline", ctx, context.DeadlineExceeded, asked)

			ctx = newRunContext(base, time.Second)
			wantErr(t, "running", ctx, nil, asked)
			ctx.finish()
			wantErr(t, "after the handler", ctx, context.Canceled, true)
			ctx.finish()

			ctx = newRunContext(base, time.Second)
			wantErr(t, "running", ctx, nil, asked)
			cancel()
			synctest.Wait()
			wantErr(t, "after Close", ctx, context.Canceled, true)
			ctx.finish()
		})
	}
}

// TestContextsMadeFromIt end with it, and cost no goroutine.
func TestContextsMadeFromIt(t *testing.T) {
	ctx := newRunContext(context.Background(), time.Hour)
	before := runtime.NumGoroutine()
	var children []context.Context
	for range 100 {
		child, cancel := context.WithCancel(ctx)
		defer cancel()
		children = append(children, child)
	}
	if n := runtime.NumGoroutine() - before; n > 10 { // others' goroutines may come and go
		t.Errorf("100 contexts cost %d goroutines", n)
	}
	ctx.finish()
	for _, child := range children {
		wantErr(t, "child", child, context.Canceled, true)
	}
}

func TestRunContextFromManyGoroutines(t *testing.T) {
	for range 100 {
		ctx := newRunContext(context.Background(), time.Hour)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { <-ctx.Done() })
		}
		ctx.finish()
		all.Wait()
		wantErr(t, "in the end", ctx, context.Canceled, true)
	}
}

// TestForwardHardlyAllocates: a few objects a batch, not a packet. What decoding
// the request allocates is not the engine's.
func TestForwardHardlyAllocates(t *testing.T) {
	const size, runs = 128, 50
	e := New(testConfig(), echo, func(*holdfast.Packet, Answer) {})
	defer e.Close(t.Context())
	batches := make(chan []*holdfast.Packet, runs+1) // made before: the engine owns what it was given
	for seq := range int64(runs + 1) {
		packets := make([]*holdfast.Packet, size)
		for i := range packets {
			packets[i] = &holdfast.Packet{Session: fmt.Sprint("s", i), Seq: seq + 1, Command: "echo.say", Gateway: "gw"}
		}
		batches <- packets
	}
	perBatch := testing.AllocsPerRun(runs, func() { e.Forward(<-batches) })
	if perBatch > size/4 { // 4 when all is quiet; late timers and a collection of the pool add a few
		t.Errorf("Forward allocates %v objects for %d packets", perBatch, size)
	}
}
