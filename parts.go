package main

import (
	"context"
	"errors"
	"fmt"
	"time"
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
// after all have ended, with the error of the first that failed; or, once
// stopping has taken longer than within says then, with the name of the part that hangs.
func runParts(ctx context.Context, within func() time.Duration, parts ...part) error {
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
	bound := within()
	hardStop := time.NewTimer(bound)
	defer hardStop.Stop()
	for i := len(started) - 1; i >= 0; i-- {
		started[i].stop()
		select {
		case <-started[i].ended:
		case <-hardStop.C:
			for _, r := range started[:i] {
				r.stop() // nobody waits for them, but they may still get something done
			}
			return orElse(first, fmt.Errorf("%s: still at work %v after the stop began", parts[i].name, bound))
		}
	}
	close(fell)
	for err := range fell {
		if first == nil && !errors.Is(err, context.Canceled) {
			first = err
		}
	}
	return first
}

// orElse returns first, or second where there is no first.
func orElse(first, second error) error {
	if first != nil {
		return first
	}
	return second
}
