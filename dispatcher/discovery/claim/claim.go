// Package claim decides which slot an instance takes. It is the pure core of slot
// claims: given the keys of a service's slots and what an instance knows of
// itself, it says what to do next. Reading and writing the keys, sessions and time
// are its caller's (package discovery).
//
// The rules. A slot's key outlives its holder and names it. An instance takes
// first the slot that it has, or had, and else one that nobody holds: one that was
// given up, one whose holder has been gone longer than the hold, a gap, or a new
// one on top. Each time a slot passes to another process its claim number grows by
// one, and of two processes that think that they hold a slot the one with the
// higher number is right. A registry that has lost its keys (Consul wiped) is not
// settled at first: then the instances that serve restore what they know, those
// that remember a slot come next, and new ones last.
package claim

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// None is the number of no slot.
const None = -1

// Key is a slot's key.
type Key struct {
	Slot        int
	Holder      string // the instance that holds it, or held it last
	Incarnation int64  // of the holder; 0: not known
	Address     string
	Claim       uint64    // how often the slot has passed to another process
	Gone        time.Time // since when the holder is known to be gone; zero: it is not
	Free        bool      // given up for good: anyone may take it
	Session     string    // holds the lock; empty: nobody does
	Index       uint64    // changes with each change of the key
}

// View is what an instance sees of its service's slots.
type View struct {
	Keys []Key // by slot, ascending
	// Settled: the registry has existed for long enough that a key that is not there
	// belongs to nobody.
	Settled bool
	// Unsettled is how long the caller has seen it not settled.
	Unsettled time.Duration
	Now       time.Time
}

// Rules are the times of an installation.
type Rules struct {
	Hold   time.Duration // how long a slot waits for its holder to come back
	Settle time.Duration // how long a new registry waits for those that serve
}

// Self is what an instance knows of itself.
type Self struct {
	ID          string
	Incarnation int64
	Session     string // its own, as far as it knows
	Fixed       int    // the slot that its configuration gives it, or None
	Slot        int    // the one that it serves or remembers, or None
	Claim       uint64 // the number with which it got that slot
	// Confirmed: this very process has held that slot's lock. What is only remembered
	// from an earlier life gives way to whoever holds the slot now.
	Confirmed bool
}

// Verb is what to do.
type Verb string

// The verbs.
const (
	Keep Verb = "keep" // it holds its slot
	Take Verb = "take" // write the key of Action.Slot and lock it
	Wait Verb = "wait" // nothing can be taken yet; look again at the next change or later
	Lost Verb = "lost" // another process holds the slot: stop serving, forget it, look again
	// Superseded: another process with the same id has taken over. Stop serving and
	// do not come back.
	Superseded Verb = "superseded"
)

// Action is what an instance does next.
type Action struct {
	Verb  Verb
	Slot  int
	Index uint64 // Take: of the key as it was seen; 0: it must not exist
	Claim uint64 // Take: what to write
	// Former is the session whose lock is in the way of a Take and has to go.
	Former string
	Reason string // of Wait and Lost, for the log
}

// Decide says what self does next.
func (r Rules) Decide(v View, self Self) Action {
	if self.Slot != None {
		if a, decided := r.own(v, self); decided {
			return a
		}
	}
	if k, ok := v.holderIs(self); ok {
		if self.Fixed == None && r.early(v) {
			return v.early(None)
		}
		return self.take(k)
	}
	if self.Fixed != None {
		return v.fixed(self)
	}
	if !v.Settled && v.Unsettled < r.Settle {
		return v.early(None)
	}
	return r.vacant(v, self)
}

// own decides about the slot that self serves or remembers.
func (r Rules) own(v View, self Self) (Action, bool) {
	k, exists := v.key(self.Slot)
	switch {
	case !exists:
		return r.missing(v, self)
	case k.Holder == self.ID && k.Incarnation == self.Incarnation && k.Session == self.Session && k.Session != "":
		return Action{Verb: Keep, Slot: self.Slot}, true
	case k.Holder == self.ID && k.Incarnation != self.Incarnation && self.Confirmed && k.Claim > self.Claim:
		return Action{Verb: Superseded, Slot: self.Slot, Reason: "another process has this instance's id"}, true
	case k.Holder == self.ID && !self.Confirmed && self.Slot != self.Fixed && r.early(v):
		return v.early(self.Slot), true
	case k.Holder == self.ID:
		return self.take(k), true
	case self.Confirmed && k.Claim <= self.Claim:
		return self.take(k), true // it got there while the registry had forgotten us
	}
	return Action{Verb: Lost, Slot: self.Slot, Reason: "held by " + k.Holder}, true
}

// missing decides about a slot without a key. Who has held its lock in this life
// restores it. Who only remembers it does so while the registry is new, and after
// those: else somebody has removed the slot on purpose.
func (r Rules) missing(v View, self Self) (Action, bool) {
	restore := Action{Verb: Take, Slot: self.Slot, Claim: max(self.Claim, 1)}
	switch {
	case self.Confirmed, self.Slot == self.Fixed:
		return restore, true
	case v.Settled:
		return Action{Verb: Lost, Slot: self.Slot, Reason: "the slot was retired"}, true
	case r.early(v):
		return v.early(self.Slot), true
	}
	restore.Claim++
	return restore, true
}

// early reports whether those that serve may not have restored their slots yet. A
// key tells nothing then to those that only remember: it may have been restored
// by somebody who saw it last before its slot passed on.
func (r Rules) early(v View) bool { return !v.Settled && v.Unsettled < r.Settle/2 }

func (View) early(slot int) Action {
	return Action{Verb: Wait, Slot: slot, Reason: "the registry is new: whoever serves already comes first"}
}

// take is the action that makes k self's. The number stays when it is the same
// process that only lost its lock.
func (s Self) take(k Key) Action {
	a := Action{Verb: Take, Slot: k.Slot, Index: k.Index, Claim: k.Claim + 1}
	if k.Holder == s.ID && k.Incarnation == s.Incarnation {
		a.Claim = k.Claim
	} else if k.Slot == s.Slot {
		a.Claim = max(a.Claim, s.Claim+1)
	}
	if k.Session != s.Session {
		a.Former = k.Session
	}
	return a
}

// fixed decides for an instance whose configuration gives the slot.
func (v View) fixed(self Self) Action {
	k, exists := v.key(self.Fixed)
	switch {
	case !exists:
		return Action{Verb: Take, Slot: self.Fixed, Claim: 1}
	case k.Session != "":
		return Action{Verb: Wait, Slot: self.Fixed, Reason: "the slot of its configuration is held by " + k.Holder}
	}
	return self.take(k)
}

// vacant picks a slot for an instance that is new: the lowest that nobody has a
// right to.
func (r Rules) vacant(v View, self Self) Action {
	next := 0
	for _, k := range v.Keys {
		if k.Slot > next {
			break // a gap
		}
		if k.Session == "" && (k.Free || !k.Gone.IsZero() && v.Now.Sub(k.Gone) > r.Hold) {
			return self.take(k)
		}
		next = k.Slot + 1
	}
	return Action{Verb: Take, Slot: next, Claim: 1}
}

// Missed lists the keys whose holder is gone without anybody having noted since
// when: the caller notes it, so that the hold begins.
func (v View) Missed(self Self) []Key {
	var out []Key
	for _, k := range v.Keys {
		if k.Session == "" && !k.Free && k.Gone.IsZero() && k.Holder != self.ID {
			out = append(out, k)
		}
	}
	return out
}

// Forgotten lists the keys of known that v lacks, for a registry that has lost
// them. self's own is not among them: that it takes.
func (v View) Forgotten(known []Key, self Self) []Key {
	var out []Key
	for _, k := range known {
		if _, exists := v.key(k.Slot); !exists && k.Slot != self.Slot {
			out = append(out, k)
		}
	}
	return out
}

// Wake is how long the caller waits, without a change of the keys, until Decide
// may say something else; the longest of durations when never.
func (r Rules) Wake(v View) time.Duration {
	wake := time.Duration(math.MaxInt64)
	if !v.Settled {
		for _, at := range []time.Duration{r.Settle / 2, r.Settle} {
			if at > v.Unsettled {
				wake = min(wake, at-v.Unsettled)
			}
		}
	}
	return wake
}

func (v View) key(slot int) (Key, bool) {
	i, ok := slices.BinarySearchFunc(v.Keys, slot, func(k Key, slot int) int { return cmp.Compare(k.Slot, slot) })
	if !ok {
		return Key{}, false
	}
	return v.Keys[i], true
}

// holderIs finds a key that names self, for one that has forgotten its slot.
func (v View) holderIs(self Self) (Key, bool) {
	for _, k := range v.Keys {
		if k.Holder == self.ID && !k.Free && (self.Fixed == None || self.Fixed == k.Slot) {
			return k, true
		}
	}
	return Key{}, false
}
