package discovery

import (
	"context"
	"sync"
)

// publisher keeps the newest snapshot and wakes those who wait for a newer one.
// Its zero value knows nothing yet.
type publisher struct {
	mu      sync.Mutex
	newest  *Snapshot
	changed chan struct{} // closed at the next publish; nil when nobody waits
}

// publish makes services the newest snapshot. They are the publisher's from now on.
func (p *publisher) publish(services map[string]Service) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := &Snapshot{Version: 1, Services: services}
	if p.newest != nil {
		next.Version = p.newest.Version + 1
	}
	p.newest = next
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// Next implements Discovery.
func (p *publisher) Next(ctx context.Context, after uint64) (*Snapshot, error) {
	for {
		p.mu.Lock()
		if p.newest != nil && p.newest.Version > after {
			defer p.mu.Unlock()
			return p.newest, nil
		}
		if p.changed == nil {
			p.changed = make(chan struct{})
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
