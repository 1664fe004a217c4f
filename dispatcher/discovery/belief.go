package discovery

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-io/holdfast/dispatcher/discovery/claim"
)

// belief is what is believed of one service, out of what Consul has said. Consul
// is not believed at once when it seems to have lost something: instances that
// still answer are held for a time, slots until the instances have claimed theirs
// again. It has no clock and no lock; it belongs to one goroutine.
type belief struct {
	service string
	hold    time.Duration // for which the missing are held
	doubt   time.Duration // for which nobody is believed to be missing once Consul is back

	members    map[string]Instance // by id
	held       map[string]held     // those of members that Consul does not list any more
	slots      []claim.Key         // by slot
	generation string              // of the registry that slots came from; empty: of none
	fromCopy   bool                // nothing of members has been heard from Consul yet
	doubted    time.Time           // until then doubt lasts
	// When Consul last said what instances and slots there are; zero: never.
	heard struct{ instances, keys time.Time }
}

// held is an instance that Consul does not list.
type held struct {
	from  time.Time // before that it is not asked for whether it answers
	until time.Time
}

// copyGrace is how long instances that only the last good copy knows have to
// answer somebody who has just started.
const copyGrace = 5 * time.Second

func newBelief(service string, cfg ConsulConfig) *belief {
	return &belief{service: service, hold: cfg.Hold, doubt: cfg.CheckTTL, members: map[string]Instance{}, held: map[string]held{}}
}

// complete tells whether Consul has answered all that a table needs.
func (b *belief) complete() bool { return !b.heard.instances.IsZero() && !b.heard.keys.IsZero() }

// back notes that Consul had been away, or its index went back: it may have lost
// registrations, and whoever lives takes until doubt is over to repair its own. It
// does nothing where nothing is known yet.
func (b *belief) back(now time.Time) {
	if b.fromCopy || !b.heard.instances.IsZero() {
		b.doubted = now.Add(b.doubt)
	}
}

// sawInstances takes in the passing instances. It returns how many it holds back
// anew.
func (b *belief) sawInstances(answer []Instance, now time.Time) int {
	listed := make(map[string]bool, len(answer))
	for _, i := range answer {
		listed[i.ID] = true
	}
	var missing []string
	for id := range b.members {
		if !listed[id] {
			missing = append(missing, id)
		}
	}
	doubtful := len(answer) == 0 || 2*len(missing) > len(b.members) || now.Before(b.doubted)
	from := now
	if b.fromCopy {
		from = now.Add(copyGrace)
	}
	begun := 0
	for _, id := range missing {
		if _, already := b.held[id]; already {
			continue
		}
		if !doubtful {
			delete(b.members, id)
			continue
		}
		b.held[id] = held{from: from, until: now.Add(b.hold)}
		begun++
	}
	for _, i := range answer {
		b.members[i.ID] = i
		delete(b.held, i.ID)
	}
	b.fromCopy, b.heard.instances = false, now
	return begun
}

// sawKeys takes in the keys of the slots. While a registry that lacks what was
// known is not settled, what was known stays, except where a later claim says
// otherwise.
func (b *belief) sawKeys(is slotKeys, now time.Time) {
	b.heard.keys = now
	switch {
	case is.registry != nil && is.registry.Settled:
		b.slots, b.generation = is.keys, is.registry.Generation
	case b.generation == "":
		b.slots = is.keys // there never was a registry that could have lost anything
	default:
		b.slots = mergeKeys(b.slots, is.keys)
	}
}

// mergeKeys returns the keys of both, and of two for one slot the later claim.
func mergeKeys(was, is []claim.Key) []claim.Key {
	bySlot := map[int]claim.Key{}
	for _, k := range was {
		bySlot[k.Slot] = k
	}
	for _, k := range is {
		if old, ok := bySlot[k.Slot]; !ok || k.Claim >= old.Claim {
			bySlot[k.Slot] = k
		}
	}
	return slices.SortedFunc(maps.Values(bySlot), func(a, b claim.Key) int { return cmp.Compare(a.Slot, b.Slot) })
}

// expire lets go of held instances whose time is up, or that do not answer.
func (b *belief) expire(now time.Time, alive func(service, id string) bool) {
	for id, h := range b.held {
		dead := alive != nil && !now.Before(h.from) && !alive(b.service, id)
		if dead || !now.Before(h.until) {
			delete(b.held, id)
			delete(b.members, id)
		}
	}
}

// table is the service as it is believed to be. The instance that a slot's key
// names holds it, if it is there; an instance whose metadata give a slot that has
// no key holds that.
func (b *belief) table() Service {
	n := 0
	if len(b.slots) > 0 {
		n = b.slots[len(b.slots)-1].Slot + 1
	}
	s := Service{Holders: make([]Holder, n), Slots: n}
	slotOf, keyed := map[string]int{}, map[int]bool{}
	for _, k := range b.slots {
		s.Holders[k.Slot] = Holder{ID: k.Holder, Incarnation: k.Incarnation}
		keyed[k.Slot] = true
		if _, here := b.members[k.Holder]; here && !k.Free {
			slotOf[k.Holder] = k.Slot
		}
	}
	for _, id := range slices.Sorted(maps.Keys(b.members)) {
		i := b.members[id]
		if slot, ok := slotOf[id]; ok {
			i.Slot = slot
		} else if keyed[i.Slot] {
			i.Slot = NoSlot
		}
		if i.Slot != NoSlot {
			keyed[i.Slot] = true
		}
		i.Meta = maps.Clone(i.Meta)
		h := s.holder(i.Slot)
		if s = s.with(i); h.ID == i.ID {
			s.Holders[i.Slot] = h // the key's incarnation is the one that all agree on
		}
	}
	return s
}

func (s Service) holder(slot int) Holder {
	if slot < 0 || slot >= len(s.Holders) {
		return Holder{}
	}
	return s.Holders[slot]
}

// remembered is a belief as the last good copy keeps it.
type remembered struct {
	Service    string      `json:"service"`
	Generation string      `json:"generation,omitempty"`
	Instances  []Instance  `json:"instances"`
	Slots      []claim.Key `json:"slots"`
}

func (b *belief) remember() remembered {
	r := remembered{Service: b.service, Generation: b.generation, Slots: b.slots}
	for _, i := range b.members {
		r.Instances = append(r.Instances, i)
	}
	slices.SortFunc(r.Instances, func(a, b Instance) int { return strings.Compare(a.ID, b.ID) })
	return r
}

// recall begins with what a copy says.
func (b *belief) recall(r remembered) {
	b.generation, b.slots, b.fromCopy = r.Generation, r.Slots, true
	for _, i := range r.Instances {
		b.members[i.ID] = i
	}
}
