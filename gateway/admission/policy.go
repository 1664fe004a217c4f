package admission

import "math"

// limit is a rate that is in force.
type limit struct {
	gcra
	reason Reason
	dryRun bool
}

// count is a bound that is in force.
type count struct {
	max    int64 // math.MaxInt64: none
	reason Reason
	dryRun bool
}

// Places of buckets in entries.
const (
	addressAccepts    = 0
	addressHandshakes = 1
	userRequests      = 0
	userBytes         = 1
	classBuckets      = 2 // the first of two for each slot of a class
)

// policy is a configuration made ready to judge by. It is immutable and
// replaced whole.
type policy struct {
	descriptors, connections, perAddress, perUser, cutSessions count
	accepts, handshakes, sessionRequests, sessionBytes         limit

	address []limit // by place in an address's entry
	user    []limit // by place in a user's entry
	// userLimited tells whether any of user's limits is enabled but those of classes.
	userLimited bool

	allow, deny *Ranges
	denyDryRun  bool
	memory      MemoryConfig
	classes     *classMatcher
	class       []class // by the matcher's index
	slots       map[string]int
}

// class is a Class that is in force.
type class struct {
	place   int // of its bucket for requests in a user's entry; that for bytes follows
	limited bool
	slow    Slow
}

// frameBytesMax is what one request may have in bytes at most, and so what a
// bucket of bytes may be charged at once.
const frameBytesMax = 1<<24 - 1

// newPolicy compiles cfg, which is valid. descriptors is what the process may
// open for clients. slots are the places that classes have had so far: a class
// keeps its own, so that what its users have used stays counted.
func newPolicy(cfg Config, descriptors int64, slots map[string]int) *policy {
	p := &policy{
		descriptors:     count{max: descriptors, reason: ReasonDescriptors},
		connections:     newCount(cfg.Connections, ReasonConnections),
		perAddress:      newCount(cfg.ConnectionsPerAddress, ReasonAddressConnections),
		perUser:         newCount(cfg.ConnectionsPerUser, ReasonUserConnections),
		cutSessions:     newCount(cfg.CutSessions, ReasonCutSessions),
		accepts:         newLimit(cfg.Accepts, 1, ReasonAccepts),
		handshakes:      newLimit(cfg.Handshakes, 1, ReasonHandshakes),
		sessionRequests: newLimit(cfg.SessionRequests, 1, ReasonSessionRequests),
		sessionBytes:    newLimit(cfg.SessionBytes, frameBytesMax, ReasonSessionBytes),
		address: []limit{
			addressAccepts:    newLimit(cfg.AcceptsPerAddress, 1, ReasonAddressAccepts),
			addressHandshakes: newLimit(cfg.HandshakesPerAddress, 1, ReasonAddressHandshakes),
		},
		user: []limit{
			userRequests: newLimit(cfg.UserRequests, 1, ReasonUserRequests),
			userBytes:    newLimit(cfg.UserBytes, frameBytesMax, ReasonUserBytes),
		},
		denyDryRun: cfg.ListsDryRun,
		memory:     cfg.Memory,
		classes:    newClassMatcher(cfg.Classes),
		slots:      classSlots(cfg.Classes, slots),
	}
	p.userLimited = p.user[userRequests].enabled() || p.user[userBytes].enabled()
	// Both lists were parsed by Validate.
	p.allow, _ = ParseRanges(cfg.Allow)
	p.deny, _ = ParseRanges(cfg.Deny)
	for _, c := range cfg.Classes {
		p.addClass(c)
	}
	return p
}

// openMax is how many connections may be open.
func (p *policy) openMax() int64 {
	if p.connections.dryRun {
		return p.descriptors.max
	}
	return min(p.descriptors.max, p.connections.max)
}

func (p *policy) addClass(c Class) {
	place := classBuckets + 2*p.slots[c.Name]
	for len(p.user) < place+2 {
		p.user = append(p.user, limit{})
	}
	p.user[place] = newLimit(c.Requests, 1, ReasonClassRequests)
	p.user[place+1] = newLimit(c.Bytes, frameBytesMax, ReasonClassBytes)
	slow, _ := parseSlow(c.Slow) // Validate has
	p.class = append(p.class, class{
		place: place, limited: p.user[place].enabled() || p.user[place+1].enabled(), slow: slow,
	})
}

// classSlots gives each class a number: the one it had, else one that is free.
// There are never more than classesMax numbers.
func classSlots(classes []Class, had map[string]int) map[string]int {
	slots, taken := make(map[string]int), make(map[int]bool)
	for _, c := range classes {
		if slot, ok := had[c.Name]; ok {
			slots[c.Name], taken[slot] = slot, true
		}
	}
	next := 0
	for _, c := range classes {
		if _, ok := slots[c.Name]; ok {
			continue
		}
		for taken[next] {
			next++
		}
		slots[c.Name], taken[next] = next, true
	}
	return slots
}

func newLimit(r Rate, largest int, reason Reason) limit {
	l := limit{reason: reason, dryRun: r.DryRun}
	if r.PerSecond > 0 {
		l.gcra = newGCRA(r.PerSecond, r.burst(), largest)
	}
	return l
}

func newCount(c Count, reason Reason) count {
	n := count{max: math.MaxInt64, reason: reason, dryRun: c.DryRun}
	if c.Max > 0 {
		n.max = int64(c.Max)
	}
	return n
}
