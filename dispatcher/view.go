package dispatcher

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/holdfast-io/holdfast/dispatcher/slots"
)

// Explanation says where a request would go now, and why.
type Explanation struct {
	UID     string `json:"uid"`
	Command string `json:"command,omitempty"`
	// Service is empty when no route takes the command.
	Service string `json:"service,omitempty"`
	// Route is the prefix that took the command.
	Route string `json:"route,omitempty"`
	// Slots is n; the table has this version.
	Slots        int    `json:"slots"`
	TableVersion uint64 `json:"table_version"`
	// Slot is the user's own; -1 when the service has none.
	Slot int `json:"slot"`
	// Holder is who has the slot.
	Holder Candidate `json:"holder"`
	// Substitutes are who would take the user's requests while the holder cannot, in
	// their order; at most 16 are listed.
	Substitutes []Candidate `json:"substitutes,omitempty"`
	// Picked is the id of the instance that a request would go to; empty: nobody, and
	// Refusal says why.
	Picked  string `json:"picked,omitempty"`
	Refusal string `json:"refusal,omitempty"`
	// Outage is what the route does when nobody can be picked: reject, hold or degrade.
	Outage string `json:"outage,omitempty"`
}

// Candidate is one slot and who holds it.
type Candidate struct {
	Slot     int    `json:"slot"`
	Instance string `json:"instance,omitempty"` // empty: vacant
	Address  string `json:"address,omitempty"`
	Breaker  string `json:"breaker,omitempty"` // closed, trial, open or off
	Draining bool   `json:"draining,omitempty"`
	Usable   bool   `json:"usable"` // a request may go there now
}

// InstanceView is what the dispatcher knows of one instance.
type InstanceView struct {
	Service     string `json:"service"`
	ID          string `json:"id"`
	Address     string `json:"address"`
	Zone        string `json:"zone,omitempty"`
	Slot        int    `json:"slot"` // -1: none
	Incarnation int64  `json:"incarnation"`
	Up          bool   `json:"up"` // it answered its last heartbeat
	Draining    bool   `json:"draining"`
	Breaker     string `json:"breaker"` // closed, trial, open or off
	// BreakerOpened counts how often it opened.
	BreakerOpened int64 `json:"breaker_opened"`
	// Limiter is off, or how many requests could be taken at once now.
	Limiter string `json:"limiter"`
	// PerSecond and ErrorsPerSecond are packets over the breaker's window;
	// ErrorRatio is their quotient.
	PerSecond       float64 `json:"per_second"`
	ErrorsPerSecond float64 `json:"errors_per_second"`
	ErrorRatio      float64 `json:"error_ratio"`
	// CallMS is the moving average of what a call takes, in milliseconds.
	CallMS      float64 `json:"call_ms"`
	Queued      int64   `json:"queued"`       // packets that wait to be sent
	QueuedBytes int64   `json:"queued_bytes"` // their payloads
	Outstanding int64   `json:"outstanding"`  // packets that it works on, deferred ones included
}

// substitutesShown bounds Explanation.Substitutes.
const substitutesShown = 16

// Explain tells where a request of uid would go now. It changes nothing and may
// be called from any goroutine. An empty command is explained for the login
// service.
func (d *Dispatcher) Explain(uid, command string) Explanation {
	e := Explanation{UID: uid, Command: command, Slot: -1}
	s := d.logins.svc
	if command != "" {
		to := d.routes.Load().match(command)
		if to.service == nil {
			e.Refusal = string(ReasonNoRoute)
			return e
		}
		s, e.Route, e.Outage = to.service, to.policy.cfg.Prefix, orDefault(to.policy.cfg.Outage, OutageReject)
	}
	e.Service = s.cfg.Name
	hash, t := slots.Hash(uid), s.table.Load()
	e.Slots, e.TableVersion = len(t.slots), t.version
	e.Slot = s.cfg.Hash.Pick(hash, len(t.slots))
	if inst, _, why := s.pick(hash, 0); why == noReason {
		e.Picked = inst.ID
	} else {
		e.Refusal = string(why)
	}
	if e.Slot < 0 {
		return e
	}
	e.Holder = t.candidate(e.Slot)
	c := slots.MakeCandidates(hash, e.Slot, len(t.slots), t.incarnation(e.Slot))
	for at, ok := c.Next(); ok && len(e.Substitutes) < substitutesShown; at, ok = c.Next() {
		e.Substitutes = append(e.Substitutes, t.candidate(at))
	}
	return e
}

func (t *table) candidate(slot int) Candidate {
	c := Candidate{Slot: slot}
	if i := t.slots[slot]; i != nil {
		c.Instance, c.Address, c.Breaker = i.ID, i.Address, i.breaker.state()
		c.Draining, c.Usable = i.draining.Load(), i.usable()
	}
	return c
}

// Instances lists the instances of all services, by service as configured and then
// by slot; those without a slot come last.
func (d *Dispatcher) Instances() []InstanceView {
	out := []InstanceView{}
	for _, s := range d.services() {
		from := len(out)
		for _, i := range s.table.Load().all {
			out = append(out, i.view())
		}
		slices.SortStableFunc(out[from:], func(a, b InstanceView) int {
			return cmp.Compare(uint(a.Slot), uint(b.Slot)) // no slot is -1, so the highest
		})
	}
	return out
}

func (i *instance) view() InstanceView {
	t, span, call := i.meter.total(i.d.now())
	seconds := max(span.Seconds(), 1)
	v := InstanceView{
		Service: i.svc.cfg.Name, ID: i.ID, Address: i.Address, Zone: i.Zone, Slot: i.Slot,
		Incarnation: i.seen.Load(), Up: i.up.Load(), Draining: i.draining.Load(),
		Breaker: i.breaker.state(), BreakerOpened: i.breaker.opens.Load(), Limiter: "off",
		PerSecond: float64(t.ok+t.failed) / seconds, ErrorsPerSecond: float64(t.failed) / seconds,
		CallMS: float64(call) / float64(time.Millisecond),
		Queued: i.load.waiting.Load(), QueuedBytes: i.load.bytes.Load(), Outstanding: i.load.open.Load(),
	}
	if all := t.ok + t.failed; all > 0 {
		v.ErrorRatio = float64(t.failed) / float64(all)
	}
	if l := i.limiter.Load(); l != nil {
		v.Limiter = fmt.Sprintf("%.0f of %d", max(0, l.tokens(time.Now())), l.rate.Burst())
	}
	return v
}
