package admission

import (
	"log/slog"
	"math"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// retryMax bounds what a client is asked to wait: longer than that the
// protocol's own back-off serves better.
const (
	retryMax      = 30 * time.Second
	retryMaxUnits = int64(retryMax/time.Millisecond) * unitsPerMilli
)

// Gate decides who may come in. Its methods may be called from any goroutine.
type Gate struct {
	// static after New
	now         func() int64 // ms
	log         *slog.Logger
	descriptors func() int64 // how many connections the process may have
	memory      memorySource
	metrics     *metrics
	notes       notes
	addresses   *table[addressKey]
	users       *table[string]

	policy atomic.Pointer[policy]
	open   atomic.Int64 // accepted and not released
	level  atomic.Int32 // the Level that memory has reached
	// Buckets of all clients, and the lines in which they wait for them.
	accepts, acceptLine, handshakes, handshakeLine bucket

	mu      sync.Mutex // guards the following; held while a reload compiles
	onLevel []func(Level)
}

// New returns a gate that is open to those whom cfg admits. now is a clock in
// milliseconds that never goes back, such as the timer wheel's; it may be as
// coarse as 100 ms. Memory is not watched before Run.
func New(cfg Config, now func() int64, log *slog.Logger, reg prometheus.Registerer) (*Gate, error) {
	return newGate(cfg, now, log, reg, system{descriptorsForClients, procMemory{root: "/"}, idleMax})
}

// system is what a gate asks of its surroundings; tests have their own.
type system struct {
	descriptors func() int64
	memory      memorySource
	idleMax     int
}

func newGate(cfg Config, now func() int64, log *slog.Logger, reg prometheus.Registerer, sys system) (*Gate, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	g := &Gate{
		now: now, log: log.With("component", "admission"), descriptors: sys.descriptors, memory: sys.memory,
		addresses: newTable[addressKey](sys.idleMax), users: newTable[string](sys.idleMax),
	}
	g.policy.Store(newPolicy(cfg, g.descriptors(), nil))
	g.metrics = newMetrics(reg, g)
	g.notes.metrics = g.metrics
	return g, nil
}

// Reload puts cfg into force, or returns why it cannot and changes nothing. What
// is counted stays counted: a lowered limit closes nobody, and refuses until
// enough have left.
func (g *Gate) Reload(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.policy.Store(newPolicy(cfg, g.descriptors(), g.policy.Load().slots))
	return nil
}

// units is the time in the units of buckets.
func (g *Gate) units() int64 { return g.now() * unitsPerMilli }

// Accept judges a socket that was accepted and whose client is not known yet. If
// it is let in, Released must follow once, when its descriptor is closed, also
// if Enter refuses.
func (g *Gate) Accept() (Refusal, bool) {
	p := g.policy.Load()
	if g.shedding(p, LevelRefuseAccepts, netip.Addr{}) {
		return g.refusal(ReasonMemory, 0), false
	}
	// Counted first and judged after: of two who come at once for the last place
	// one may not be let in by mistake.
	n := g.open.Add(1)
	for _, c := range [...]*count{&p.descriptors, &p.connections} {
		if n > c.max && g.refuses(c.reason, c.dryRun, netip.Addr{}, "") {
			g.open.Add(-1)
			return g.refusal(c.reason, 0), false
		}
	}
	now := g.units()
	if g.accepts.take(p.accepts.gcra, now) > 0 && g.refuses(ReasonAccepts, p.accepts.dryRun, netip.Addr{}, "") {
		g.open.Add(-1)
		return g.refusal(ReasonAccepts, g.acceptLine.queue(p.accepts.gcra, now, retryMaxUnits)), false
	}
	return Refusal{}, true
}

// Released is the pair of an Accept that let in.
func (g *Gate) Released() {
	if g.open.Add(-1) < 0 {
		g.open.Add(1)
		g.unpaired("Released")
	}
}

// Enter judges the client's address. If it is let in, Leave must follow once
// with the same address. An invalid address (a unix socket, a balancer's own
// check) is let in and not counted.
//
// A connection is judged so once. Its place in the rate of all goes to somebody
// else when its address is refused, so that one address that floods does not
// keep the others out.
func (g *Gate) Enter(addr netip.Addr) (Refusal, bool) {
	refusal, ok := g.EnterForwarded(addr)
	if !ok {
		g.accepts.give(g.policy.Load().accepts.gcra)
	}
	return refusal, ok
}

// EnterForwarded is Enter for one of several clients that share a connection
// which was let in already, as behind a trusted HTTP proxy. Leave is its pair.
func (g *Gate) EnterForwarded(addr netip.Addr) (Refusal, bool) {
	if !addr.IsValid() {
		return Refusal{}, true
	}
	if r, ok := g.Listed(addr); !ok {
		return r, false
	}
	p := g.policy.Load()
	if reason, wait := g.enter(p, addr, p.allow.Contains(addr)); reason != Admitted {
		return g.refusal(reason, wait), false
	}
	return Refusal{}, true
}

// Listed judges an address by the lists alone, as for one of many calls that
// come on a proxy's connection. An invalid address passes.
func (g *Gate) Listed(addr netip.Addr) (Refusal, bool) {
	p := g.policy.Load()
	if addr.IsValid() && p.deny.Contains(addr) && !p.allow.Contains(addr) && g.refuses(ReasonDenied, p.denyDryRun, addr, "") {
		return g.refusal(ReasonDenied, 0), false
	}
	return Refusal{}, true
}

// enter counts a connection of addr, or says why not and, where its bucket is
// empty, for how many units.
func (g *Gate) enter(p *policy, addr netip.Addr, allowed bool) (Reason, int64) {
	key, now := keyOf(addr), g.units()
	s := g.addresses.lock(key)
	defer s.mu.Unlock()
	if allowed {
		g.addresses.enter(s, key)
		return Admitted, 0
	}
	if int64(s.open(key)) >= p.perAddress.max &&
		g.refuses(ReasonAddressConnections, p.perAddress.dryRun, addr, "") {
		return ReasonAddressConnections, 0
	}
	if wait := g.charge(p, s, key, addressAccepts, addr, now); wait > 0 {
		return ReasonAddressAccepts, wait
	}
	g.addresses.enter(s, key)
	return Admitted, 0
}

// charge takes a token of an address, or tells how long until there is one. s
// is locked.
func (g *Gate) charge(p *policy, s *shard[addressKey], key addressKey, place int, addr netip.Addr, now int64) int64 {
	l := &p.address[place]
	if !l.enabled() {
		return 0
	}
	tat := g.addresses.find(s, key, p.address, now).bucket(place)
	next, wait := l.judge(*tat, now, 1)
	*tat = next
	if wait > 0 && g.refuses(l.reason, l.dryRun, addr, "") {
		return wait
	}
	return 0
}

// Leave is the pair of an Enter that let in.
func (g *Gate) Leave(addr netip.Addr) {
	if addr.IsValid() && !g.addresses.leave(keyOf(addr), g.policy.Load().address, g.units()) {
		g.unpaired("Leave")
	}
}

// Handshake judges a HELLO, fresh or resuming.
func (g *Gate) Handshake(addr netip.Addr) (Refusal, bool) {
	p := g.policy.Load()
	if g.shedding(p, LevelRefuseHandshakes, addr) {
		return g.refusal(ReasonMemory, 0), false
	}
	now := g.units()
	// The address first: one that floods takes nothing from the others' rate.
	if addr.IsValid() && !p.allow.Contains(addr) {
		key := keyOf(addr)
		s := g.addresses.lock(key)
		wait := g.charge(p, s, key, addressHandshakes, addr, now)
		s.mu.Unlock()
		if wait > 0 {
			return g.refusal(ReasonAddressHandshakes, wait), false
		}
	}
	if g.handshakes.take(p.handshakes.gcra, now) > 0 && g.refuses(ReasonHandshakes, p.handshakes.dryRun, addr, "") {
		return g.refusal(ReasonHandshakes, g.handshakeLine.queue(p.handshakes.gcra, now, retryMaxUnits)), false
	}
	return Refusal{}, true
}

// User judges a connection whose user is known. If it is let in, UserLeft must
// follow once, when the connection is gone.
func (g *Gate) User(uid string) (Refusal, bool) {
	p := g.policy.Load()
	s := g.users.lock(uid)
	defer s.mu.Unlock()
	if int64(s.open(uid)) >= p.perUser.max && g.refuses(ReasonUserConnections, p.perUser.dryRun, netip.Addr{}, uid) {
		return g.refusal(ReasonUserConnections, 0), false
	}
	g.users.enter(s, uid)
	return Refusal{}, true
}

// UserLeft is the pair of a User that let in.
func (g *Gate) UserLeft(uid string) {
	if !g.users.leave(uid, g.policy.Load().user, g.units()) {
		g.unpaired("UserLeft")
	}
}

// Slow is the policy for transient pushes of command.
func (g *Gate) Slow(command []byte) Slow {
	return g.policy.Load().classOf(command).slow
}

// CutSessionsMax is how many cut sessions may be kept; math.MaxInt where there
// is no bound, or only a dry run of one.
func (g *Gate) CutSessionsMax() int {
	if c := g.policy.Load().cutSessions; !c.dryRun && c.max < math.MaxInt {
		return int(c.max)
	}
	return math.MaxInt
}

// CutSession is told, each time a session was cut, how many there are then. It
// counts, and tells whether the oldest must end.
func (g *Gate) CutSession(cut int) (endOldest bool) {
	c := g.policy.Load().cutSessions
	return int64(cut) > c.max && g.refuses(ReasonCutSessions, c.dryRun, netip.Addr{}, "")
}

// refuses counts a refusal and tells whether it is meant.
func (g *Gate) refuses(r Reason, dryRun bool, addr netip.Addr, uid string) bool {
	g.notes.add(r, dryRun, addr, uid)
	return !dryRun
}

// refusal is what the client is told; units is what its bucket asks it to wait.
func (g *Gate) refusal(r Reason, units int64) Refusal {
	rule := &rules[r]
	out := Refusal{Code: rule.code, Reason: r, Message: rule.message}
	if rule.wait > 0 {
		wait := max(inTime(units), rule.wait)
		out.RetryAfter = min(wait, retryMax) + rand.N(rule.wait)
	}
	return out
}

// inTime rounds a wait in units up to a time that a client can be told.
func inTime(units int64) time.Duration {
	return time.Duration((units+unitsPerMilli-1)/unitsPerMilli) * time.Millisecond
}

// unpaired says that a call had no partner. The count stays right, so this is a
// fault of the caller's that would go unnoticed otherwise.
func (g *Gate) unpaired(call string) { g.log.Error("admission call without its pair", "call", call) }
