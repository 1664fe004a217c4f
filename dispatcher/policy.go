package dispatcher

import (
	"sync/atomic"
	"time"

	"github.com/holdfast-io/holdfast/dispatcher/lane"
)

// policy is what a route allows, and what counts against it. Packets hold the one
// that they came in by, so a reload disturbs none.
type policy struct {
	// Static.
	cfg     RouteConfig
	hold    HoldConfig
	limiter *limiter // nil: no limit
	bounded bool     // cfg.Concurrency is a bound
	payload []byte   // of the canned reply

	open      atomic.Int64 // unanswered requests; counted where bounded
	held      atomic.Int64 // requests that wait for an instance
	heldBytes atomic.Int64
}

func newPolicy(cfg RouteConfig) *policy {
	p := &policy{
		cfg:     cfg,
		hold:    cfg.Hold.withDefaults(),
		limiter: newLimiter(cfg.Rate, cfg.Burst),
		bounded: cfg.Concurrency > 0,
		payload: []byte(cfg.Degrade.Payload),
	}
	return p
}

// policyOf returns the policy of a packet's route.
func policyOf(c *lane.Command) *policy {
	if c == nil {
		return nil
	}
	p, _ := c.Owner.(*policy)
	return p
}

// admit counts a request, or says why it may not come in. done must follow.
func (p *policy) admit(now time.Time) Reason {
	if p.bounded && p.open.Add(1) > int64(p.cfg.Concurrency) {
		p.open.Add(-1)
		return ReasonRouteBusy
	}
	if p.limiter != nil && !p.limiter.allow(now) {
		p.done()
		return ReasonRouteRate
	}
	return noReason
}

// done is called when a request that was admitted has its answer. p may be nil.
func (p *policy) done() {
	if p != nil && p.bounded {
		p.open.Add(-1)
	}
}

// degrades tells whether a request that was refused for why gets the canned reply.
func (p *policy) degrades(why Reason) bool {
	return p != nil && p.cfg.Outage == OutageDegrade && refusals[why].outage
}

// holds tells whether requests wait while nobody can be picked for why.
func (p *policy) holds(why Reason) bool {
	return p != nil && p.cfg.Outage == OutageHold && refusals[why].outage
}

// takeHeld counts a request that is to wait for an instance. It reports false when
// the route holds as much as it may.
func (p *policy) takeHeld(bytes int) bool {
	count, size := p.held.Add(1), p.heldBytes.Add(int64(bytes))
	if count > int64(p.hold.Count) || size > int64(p.hold.Bytes) {
		p.dropHeld(bytes)
		return false
	}
	return true
}

func (p *policy) dropHeld(bytes int) {
	p.held.Add(-1)
	p.heldBytes.Add(int64(-bytes))
}
