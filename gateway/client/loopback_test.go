package client_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/client"
)

// TestLoopbackUnderCuts runs many callers over real sockets while the connections
// are cut under them: each request ends with its own reply or as unknown, and
// the client is back each time.
func TestLoopbackUnderCuts(t *testing.T) {
	gateway := startTiny()
	defer gateway.stop()
	c, err := client.Dial(t.Context(), client.Config{
		Endpoints: []string{gateway.addr()},
		Backoff:   client.Backoff{Base: 2 * time.Millisecond, Max: 10 * time.Millisecond},
		OnPush:    client.Discard,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const callers, each = 16, 200
	var answered atomic.Int64
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			payload := bytes.Repeat([]byte{byte(i)}, 10+i*300)
			for range each {
				switch got, err := c.Request(ctx, "echo.push", payload); {
				case err == nil && bytes.Equal(got, payload):
					if answered.Add(1)%500 == 0 {
						gateway.cut()
					}
				case !errors.Is(err, client.ErrOutcomeUnknown) || ctx.Err() != nil:
					t.Errorf("Request = %d bytes, %v, want its own payload or an unknown outcome", len(got), err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := answered.Load(); n < callers*each/2 {
		t.Errorf("%d of %d answered", n, callers*each)
	}
}
