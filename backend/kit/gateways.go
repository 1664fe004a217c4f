package kit

import (
	"sync"
	"time"

	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// resyncAsks is how often a gateway is asked to announce its sessions when no
// announcement follows: it may hold none of this service's, and an answer that
// asks may be lost on its way.
const resyncAsks = 5

// gateways are those whose Heartbeat reaches this process. A gateway is alive for
// a lease after each.
type gateways struct {
	// static
	lease time.Duration
	wants bool          // the backend wants events: their senders must be known
	wake  chan struct{} // tells the owner that lost has grown

	mu        sync.Mutex // guards the following
	byAddress map[string]*gatewayState
	lost      []Gateway // to be told to the backend, in order
}

type gatewayState struct {
	Gateway
	asks   int  // how often resync will still be asked
	told   bool // it knows that this process is draining
	losing bool // the backend is being told of its loss
}

func newGateways(cfg GatewaysConfig, wants bool) *gateways {
	return &gateways{lease: cfg.Lease, wants: wants, wake: make(chan struct{}, 1), byAddress: map[string]*gatewayState{}}
}

// seen renews a gateway's lease and reports whether it is to announce its
// sessions.
func (g *gateways) seen(req *holdfast.HeartbeatRequest, draining bool, now time.Time) (resync, replaced bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	st := g.byAddress[req.Gateway]
	switch {
	case st != nil && st.losing:
		return false, false // its loss is being told; it is new again at the next Heartbeat
	case st != nil && st.Epoch != req.Epoch:
		g.loseLocked(st.Gateway)
		replaced = true
		fallthrough
	case st == nil:
		st = &gatewayState{asks: resyncAsks}
		g.byAddress[req.Gateway] = st
	}
	st.Gateway = Gateway{Address: req.Gateway, Name: req.Name, Epoch: req.Epoch, Sessions: req.Sessions, LastSeen: now}
	st.told = draining
	if !g.wants || req.Sessions == 0 {
		st.asks = 0 // nothing to announce; what begins from now on, Connect sees
	}
	if resync = st.asks > 0; resync {
		st.asks--
	}
	return resync, replaced
}

// announced notes that a gateway does what resync asked of it.
func (g *gateways) announced(address string, epoch int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if st := g.byAddress[address]; st != nil && st.Epoch == epoch {
		st.asks = 0
	}
}

// resync asks every gateway to announce its sessions again.
func (g *gateways) resync() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, st := range g.byAddress {
		st.asks = resyncAsks
	}
}

// heard notes that a gateway has heard of the draining in a reply.
func (g *gateways) heard(address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if st := g.byAddress[address]; st != nil {
		st.told = true
	}
}

// allTold reports whether every living gateway knows of the draining.
func (g *gateways) allTold() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, st := range g.byAddress {
		if !st.told {
			return false
		}
	}
	return true
}

func (g *gateways) loseLocked(lost Gateway) {
	g.lost = append(g.lost, lost)
	select {
	case g.wake <- struct{}{}:
	default: // the owner has been told already
	}
}

// expire takes the gateways that are lost: those whose lease has run out by now,
// and those replaced by another epoch. An expired one stays as losing until
// forget.
func (g *gateways) expire(now time.Time) []Gateway {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, st := range g.byAddress {
		if !st.losing && now.Sub(st.LastSeen) > g.lease {
			st.losing = true
			g.lost = append(g.lost, st.Gateway)
		}
	}
	lost := g.lost
	g.lost = nil
	return lost
}

// forget ends the loss of a gateway, and reports whether its address is free: no
// new epoch lives there.
func (g *gateways) forget(lost Gateway) (free bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	st := g.byAddress[lost.Address]
	if st != nil && st.Epoch == lost.Epoch {
		delete(g.byAddress, lost.Address)
		return true
	}
	return st == nil
}

// alive reports whether a gateway at an address has a lease.
func (g *gateways) alive(address string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	st := g.byAddress[address]
	return st != nil && !st.losing
}

// list returns the living gateways, in no order.
func (g *gateways) list() []Gateway {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]Gateway, 0, len(g.byAddress))
	for _, st := range g.byAddress {
		if !st.losing {
			all = append(all, st.Gateway)
		}
	}
	return all
}
