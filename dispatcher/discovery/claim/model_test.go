package claim

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// world is a registry with instances, in steps of time. Whoever lives acts within
// one step of a change, as it does where Consul can be reached.
type world struct {
	t       *rapid.T
	now     time.Time
	index   uint64
	keys    []Key
	settled bool
	since   time.Time // when it came up unsettled
	live    []*actor
	dead    []*actor
	born    int64
	top     int // highest n that was
}

// actor is an instance. disk outlives it.
type actor struct {
	self    Self
	serving int // as it thinks itself; None
	disk    struct {
		slot  int
		claim uint64
	}
	known []Key
}

const step = time.Second

func (w *world) view() View {
	v := View{Keys: slices.Clone(w.keys), Settled: w.settled, Now: w.now}
	if !w.settled {
		v.Unsettled = w.now.Sub(w.since)
	}
	return v
}

// apply writes k as a says, if the key is still as a saw it.
func (w *world) apply(k Key, a Action) bool {
	i, exists := slices.BinarySearchFunc(w.keys, k.Slot, func(k Key, slot int) int { return k.Slot - slot })
	w.index++
	k.Index = w.index
	switch {
	case !exists && a.Index == 0:
		w.keys = slices.Insert(w.keys, i, k)
	case exists && w.keys[i].Index == a.Index && (w.keys[i].Session == "" || w.keys[i].Session == a.Former || w.keys[i].Session == k.Session):
		w.keys[i] = k
	default:
		return false
	}
	return true
}

// act lets one instance do what the rules say about v.
func (w *world) act(a *actor, v View) {
	if a.self.Confirmed && !v.Settled {
		for _, k := range v.Forgotten(a.known, a.self) {
			k.Session = ""
			w.apply(k, Action{})
		}
	}
	if v.Settled {
		a.known = v.Keys
	}
	d := rules.Decide(v, a.self)
	switch d.Verb {
	case Take:
		k := Key{Slot: d.Slot, Holder: a.self.ID, Incarnation: a.self.Incarnation, Claim: d.Claim, Session: a.self.Session}
		if w.apply(k, d) {
			a.self.Slot, a.self.Claim, a.self.Confirmed = d.Slot, d.Claim, true
			a.serving, a.disk.slot, a.disk.claim = d.Slot, d.Slot, d.Claim
		}
	case Lost:
		if a.serving != None {
			w.t.Fatalf("%s, which lives, lost slot %d: %s", a.self.ID, a.serving, d.Reason)
		}
		a.self.Slot, a.self.Claim = None, 0
	case Superseded:
		w.t.Fatalf("%s is superseded, but nobody has its id", a.self.ID)
	}
}

// tick is one step of time: everybody who lives acts, twice, in a drawn order and
// half of them on what they saw before the others acted.
func (w *world) tick() {
	w.now = w.now.Add(step)
	for range 2 {
		old := w.view()
		for _, a := range rapid.Permutation(w.live).Draw(w.t, "order") {
			if rapid.Bool().Draw(w.t, "late") {
				w.act(a, old)
			} else {
				w.act(a, w.view())
			}
		}
	}
	if !w.settled && len(w.live) > 0 && w.now.Sub(w.since) >= rules.Settle {
		w.settled = true
	}
	if len(w.live) > 0 {
		for _, k := range w.view().Missed(w.live[0].self) {
			k.Gone = w.now
			w.apply(k, Action{Index: k.Index})
		}
	}
}

func (w *world) start(a *actor) {
	w.born++
	a.self.Incarnation, a.self.Session = w.born, fmt.Sprint("session-", w.born)
	a.self.Slot, a.self.Claim, a.self.Confirmed, a.self.Fixed = a.disk.slot, a.disk.claim, false, None
	a.serving, a.known = None, nil
	w.live = append(w.live, a)
}

// end stops a: killed, it leaves its lock behind for a while; else it gives it up.
func (w *world) end(a *actor) {
	w.live = slices.DeleteFunc(w.live, func(o *actor) bool { return o == a })
	w.dead = append(w.dead, a)
	for i, k := range w.keys {
		if k.Holder == a.self.ID && k.Session == a.self.Session {
			w.index++
			w.keys[i].Session, w.keys[i].Index = "", w.index
		}
	}
}

func (w *world) check() {
	served := map[int]string{}
	for _, a := range w.live {
		if a.serving == None {
			continue
		}
		if other := served[a.serving]; other != "" {
			w.t.Fatalf("%s and %s serve slot %d", a.self.ID, other, a.serving)
		}
		served[a.serving] = a.self.ID
	}
	if n := len(w.keys); w.settled && n > 0 {
		if w.keys[n-1].Slot+1 < w.top && len(served) == len(w.live) && len(w.live) > 0 && w.anyoneKnew() {
			w.t.Fatalf("n is %d and was %d, and nothing was retired", w.keys[n-1].Slot+1, w.top)
		}
		w.top = max(w.top, w.keys[n-1].Slot+1)
	}
}

// anyoneKnew: who has seen the highest slot can restore it after a loss.
func (w *world) anyoneKnew() bool {
	return slices.ContainsFunc(w.live, func(a *actor) bool { return len(a.known) > 0 && a.known[len(a.known)-1].Slot+1 >= w.top })
}

// TestModel plays random lives of instances and of the registry. Nobody who lives
// loses its slot, and no slot is served twice.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, now: now, since: now}
		named := 0
		t.Repeat(map[string]func(*rapid.T){
			"tick": func(*rapid.T) { w.tick() },
			"wait": func(*rapid.T) { // longer than any hold
				for range 70 {
					w.tick()
				}
			},
			"start a new one": func(t *rapid.T) {
				if len(w.live) == 8 {
					t.Skip("enough")
				}
				named++
				a := &actor{self: Self{ID: fmt.Sprint("i", named)}}
				a.disk.slot = None
				w.start(a)
			},
			"start one again": func(t *rapid.T) {
				if len(w.dead) == 0 || len(w.live) == 8 {
					t.Skip("nobody")
				}
				i := rapid.IntRange(0, len(w.dead)-1).Draw(t, "which")
				a := w.dead[i]
				w.dead = slices.Delete(w.dead, i, i+1)
				if rapid.Bool().Draw(t, "disk lost") {
					a.disk.slot, a.disk.claim = None, 0
				}
				w.start(a)
			},
			"kill": func(t *rapid.T) {
				if len(w.live) == 0 {
					t.Skip("nobody")
				}
				w.end(rapid.SampledFrom(w.live).Draw(t, "whom"))
			},
			"lose a session": func(t *rapid.T) {
				if len(w.live) == 0 {
					t.Skip("nobody")
				}
				a := rapid.SampledFrom(w.live).Draw(t, "whose")
				for i, k := range w.keys {
					if k.Session == a.self.Session {
						w.index++
						w.keys[i].Session, w.keys[i].Index = "", w.index
					}
				}
				w.born++
				a.self.Session = fmt.Sprint("session-", w.born)
			},
			"wipe": func(*rapid.T) {
				w.keys, w.settled, w.since = nil, false, w.now
			},
			"": func(*rapid.T) { w.check() },
		})
	})
}
