package discovery

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-io/holdfast/dispatcher/discovery/claim"
)

var beginning = time.UnixMilli(1_800_000_000_000)

// believing holds for a minute, and doubts for ten seconds.
var believing = ConsulConfig{Hold: time.Minute, CheckTTL: 10 * time.Second}

func later(d time.Duration) time.Time { return beginning.Add(d) }

func instances(ids ...string) []Instance {
	var out []Instance
	for _, id := range ids {
		out = append(out, Instance{ID: id, Service: "logic", Slot: NoSlot, Address: "127.0.0.1:7001"})
	}
	return out
}

// ids lists who is in b's table.
func (b *belief) ids() []string {
	out := []string{}
	for _, i := range b.table().Instances {
		out = append(out, i.ID)
	}
	return out
}

func wantIDs(t *testing.T, b *belief, when string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), b.ids()); diff != "" {
		t.Errorf("%s the instances differ (-want +got):\n%s", when, diff)
	}
}

// TestBeliefHolds: what vanishes by halves is asked for itself.
func TestBeliefHolds(t *testing.T) {
	answers := map[string]bool{"a": true, "b": true, "c": true, "d": true}
	alive := func(service, id string) bool { return service == "logic" && answers[id] }
	b := newBelief("logic", believing)
	b.sawInstances(instances("a", "b", "c", "d"), beginning)
	if n := b.sawInstances(instances("a", "b"), beginning); n != 0 {
		t.Errorf("half of the instances gone: %d held, want none", n)
	}
	wantIDs(t, b, "after half left", "a", "b")

	b.sawInstances(instances("a", "b", "c", "d"), beginning)
	if n := b.sawInstances(nil, later(time.Second)); n != 4 {
		t.Errorf("all instances gone: %d held, want 4", n)
	}
	b.expire(later(time.Second), alive)
	wantIDs(t, b, "after an empty answer", "a", "b", "c", "d")
	// One comes back; the others still are not believed to be gone.
	b.sawInstances(instances("a"), later(2*time.Second))
	b.sawInstances(instances("a", "b"), later(3*time.Second))
	wantIDs(t, b, "while they return", "a", "b", "c", "d")
	answers["c"] = false
	b.expire(later(4*time.Second), alive)
	wantIDs(t, b, "after one stopped answering", "a", "b", "d")
	b.expire(later(61*time.Second-1), alive)
	wantIDs(t, b, "just before the hold ends", "a", "b", "d")
	b.expire(later(61*time.Second), alive)
	wantIDs(t, b, "after the hold", "a", "b")
}

// TestBeliefDoubts: when Consul was away, nobody is gone only because it says so.
func TestBeliefDoubts(t *testing.T) {
	alive := func(_, id string) bool { return id != "d" }
	b := newBelief("logic", believing)
	b.sawInstances(instances("a", "b", "c", "d"), beginning)
	b.back(beginning)
	if n := b.sawInstances(instances("a", "b"), later(time.Second)); n != 2 {
		t.Errorf("two of four gone while Consul was away: %d held, want 2", n)
	}
	b.expire(later(time.Second), alive)
	wantIDs(t, b, "when Consul is back", "a", "b", "c")
	b.sawInstances(instances("a", "b", "c"), later(9*time.Second))
	b.sawInstances(instances("a", "b"), later(10*time.Second))
	wantIDs(t, b, "when the doubt is over", "a", "b")
}

func TestBeliefWithoutAnybodyToAsk(t *testing.T) {
	b := newBelief("logic", believing)
	b.sawInstances(instances("a"), beginning)
	b.sawInstances(nil, beginning)
	b.expire(later(59*time.Second), nil)
	wantIDs(t, b, "during the hold", "a")
	b.expire(later(time.Minute), nil)
	wantIDs(t, b, "after it")
}

// TestBeliefFromCopy: who has just started has not heard anybody yet.
func TestBeliefFromCopy(t *testing.T) {
	nobody := func(string, string) bool { return false }
	was := newBelief("logic", believing)
	was.sawInstances(instances("a", "b"), beginning)
	b := newBelief("logic", believing)
	b.recall(was.remember())
	b.sawInstances(nil, beginning)
	b.expire(later(copyGrace-1), nobody)
	wantIDs(t, b, "before anybody can have answered", "a", "b")
	b.expire(later(copyGrace), nobody)
	wantIDs(t, b, "when they had the time to", []string{}...)
}

func slotKey(slot int, holder string, n uint64) claim.Key {
	return claim.Key{Slot: slot, Holder: holder, Claim: n, Incarnation: int64(n)}
}

// TestBeliefSlots plays the loss of all keys.
func TestBeliefSlots(t *testing.T) {
	b := newBelief("logic", believing)
	b.sawInstances(instances("a", "b", "n"), beginning)
	holders := func() []string {
		out := []string{}
		for _, h := range b.table().Holders {
			out = append(out, h.ID)
		}
		return out
	}
	want := func(when string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, holders()); diff != "" {
			t.Errorf("%s the holders differ (-want +got):\n%s", when, diff)
		}
	}
	settledAs := func(g string, keys ...claim.Key) slotKeys {
		return slotKeys{registry: &registry{Generation: g, Settled: true}, keys: keys}
	}
	b.sawKeys(settledAs("one", slotKey(0, "a", 1), slotKey(1, "b", 4), slotKey(2, "gone", 2)), beginning)
	want("at first", "a", "b", "gone")
	b.sawKeys(slotKeys{}, beginning)
	want("with the keys lost", "a", "b", "gone")
	fresh := &registry{Generation: "two"}
	b.sawKeys(slotKeys{registry: fresh, keys: []claim.Key{slotKey(0, "a", 1), slotKey(1, "n", 1)}}, beginning)
	want("when a new one has taken a slot that is not its", "a", "b", "gone")
	b.sawKeys(slotKeys{registry: fresh, keys: []claim.Key{slotKey(2, "n", 3)}}, beginning)
	want("when a later claim stands there", "a", "b", "n")
	b.sawKeys(settledAs("two", slotKey(0, "a", 1), slotKey(1, "b", 4)), beginning)
	want("settled again", "a", "b")
	b.sawKeys(settledAs("two", slotKey(0, "a", 1)), beginning)
	want("after the top was retired", "a")
}

func TestBeliefTable(t *testing.T) {
	b := newBelief("logic", believing)
	is := instances("a", "b", "c", "d", "e")
	is[0].Incarnation = 9 // restarted; its key is not written yet
	is[2].Slot, is[3].Slot, is[4].Slot = 1, 5, 5
	b.sawInstances(is, beginning)
	free := slotKey(3, "b", 7)
	free.Free = true
	b.sawKeys(slotKeys{keys: []claim.Key{slotKey(0, "a", 3), slotKey(1, "x", 1), free}}, beginning)
	got := b.table()
	want := []int{0, NoSlot, NoSlot, 5, NoSlot} // c's is x's; d's has no key, and e comes after it
	for n, i := range got.Instances {
		if i.Slot != want[n] {
			t.Errorf("instance %s has slot %d, want %d", i.ID, i.Slot, want[n])
		}
	}
	holders := []Holder{{"a", 3}, {"x", 1}, {}, {"b", 7}, {}, {"d", 0}}
	if diff := cmp.Diff(holders, got.Holders); diff != "" || got.Slots != 6 {
		t.Errorf("%d slots, want 6; the holders differ (-want +got):\n%s", got.Slots, diff)
	}
}
