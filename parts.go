package main

import (
	"context"
	"errors"
	"fmt"
)

// part is one component of a process. Its run blocks until ctx is done, then
// drains within bounds of its own and returns.
type part struct {
	name string
	run  func(ctx context.Context) error
}

// runParts starts the parts in their order. When ctx ends, or one part ends by
// itself, it stops them one after the other in the reverse order, each after the
// former has ended: a gateway drains while its backends still serve. It returns
// after all have ended, with the error of the first that failed.
func runParts(ctx context.Context, parts ...part) error {
	type running struct {
		stop  context.CancelFunc
		ended chan struct{}
	}
	// Values such as a signal's cause stay readable, but each part ends in its turn.
	base := context.WithoutCancel(ctx)
	fell := make(chan error, len(parts))
	started := make([]running, len(parts))
	for i, p := range parts {
		pctx, stop := context.WithCancel(base)
		r := running{stop, make(chan struct{})}
		started[i] = r
		go func() {
			defer close(r.ended)
			err := p.run(pctx)
			switch {
			case err != nil:
				fell <- fmt.Errorf("%s: %w", p.name, err)
			case pctx.Err() == nil:
				fell <- fmt.Errorf("%s: ended by itself", p.name)
			}
		}()
	}
	var first error
	select {
	case <-ctx.Done():
	case first = <-fell:
	}
	for i := len(started) - 1; i >= 0; i-- {
		started[i].stop()
		<-started[i].ended
	}
	close(fell)
	for err := range fell {
		if first == nil && !errors.Is(err, context.Canceled) {
			first = err
		}
	}
	return first
}
