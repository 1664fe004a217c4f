package claim

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	now   = time.UnixMilli(1_800_000_000_000)
	rules = Rules{Hold: time.Minute, Settle: 10 * time.Second}
)

// key is slot's key, locked by its holder's session, as number 5.
func key(slot int, holder string, change ...func(*Key)) Key {
	k := Key{Slot: slot, Holder: holder, Incarnation: 1, Claim: 5, Session: "s-" + holder, Index: 100 + uint64(slot)}
	for _, f := range change {
		f(&k)
	}
	return k
}

func unlocked(k *Key)                       { k.Session = "" }
func free(k *Key)                           { k.Session, k.Free = "", true }
func gone(d time.Duration) func(*Key)       { return func(k *Key) { k.Session, k.Gone = "", now.Add(-d) } }
func session(s string) func(*Key)           { return func(k *Key) { k.Session = s } }
func claimed(n uint64) func(*Key)           { return func(k *Key) { k.Claim = n } }
func incarnation(n int64) func(*Key)        { return func(k *Key) { k.Incarnation = n } }
func settled(keys ...Key) View              { return View{Keys: keys, Settled: true, Now: now} }
func fresh(d time.Duration, ks ...Key) View { return View{Keys: ks, Unsettled: d, Now: now} }

func TestDecide(t *testing.T) {
	newcomer := Self{ID: "me", Incarnation: 2, Session: "s-me", Fixed: None, Slot: None}
	fixed := func(slot int) Self { s := newcomer; s.Fixed, s.Slot = slot, slot; return s }
	recalls := func(slot int, n uint64) Self { s := newcomer; s.Slot, s.Claim = slot, n; return s }
	serves := func(slot int, n uint64) Self { s := recalls(slot, n); s.Confirmed = true; return s }
	mine := incarnation(2)
	tests := []struct {
		name string
		view View
		self Self
		want Action
	}{
		{"new, nothing there", settled(), newcomer, Action{Verb: Take, Slot: 0, Claim: 1}},
		{"new, all held", settled(key(0, "a"), key(1, "b")), newcomer, Action{Verb: Take, Slot: 2, Claim: 1}},
		{"new, one just left", settled(key(0, "a"), key(1, "b", gone(59*time.Second))), newcomer, Action{Verb: Take, Slot: 2, Claim: 1}},
		{"new, one left long ago", settled(key(0, "a"), key(1, "b", gone(61*time.Second)), key(2, "c")), newcomer, Action{Verb: Take, Slot: 1, Index: 101, Claim: 6}},
		{"new, one not noted as gone", settled(key(0, "a", unlocked)), newcomer, Action{Verb: Take, Slot: 1, Claim: 1}},
		{"new, one given up", settled(key(0, "a", free), key(1, "b")), newcomer, Action{Verb: Take, Slot: 0, Index: 100, Claim: 6}},
		{"new, a gap", settled(key(0, "a"), key(2, "c")), newcomer, Action{Verb: Take, Slot: 1, Claim: 1}},
		{"new, registry new", fresh(9*time.Second, key(0, "a")), newcomer, Action{Verb: Wait, Slot: None}},
		{"new, registry not so new", fresh(10*time.Second, key(0, "a")), newcomer, Action{Verb: Take, Slot: 1, Claim: 1}},
		{"restarted, has forgotten", settled(key(0, "a"), key(1, "me", session("s-old"))), newcomer, Action{Verb: Take, Slot: 1, Index: 101, Claim: 6, Former: "s-old"}},
		{"restarted, remembers", settled(key(0, "a"), key(1, "me", unlocked)), recalls(1, 5), Action{Verb: Take, Slot: 1, Index: 101, Claim: 6}},
		{"restarted, slot taken", settled(key(1, "b", claimed(6))), recalls(1, 5), Action{Verb: Lost, Slot: 1}},
		{"restarted, slot taken in a younger registry", settled(key(1, "b", claimed(1))), recalls(1, 5), Action{Verb: Lost, Slot: 1}},
		{"restarted, slot retired", settled(key(0, "a")), recalls(1, 5), Action{Verb: Lost, Slot: 1}},
		{"restarted, registry new", fresh(4*time.Second, key(0, "a")), recalls(1, 5), Action{Verb: Wait, Slot: 1}},
		{"restarted, those who serve have had their time", fresh(5*time.Second, key(0, "a")), recalls(1, 5), Action{Verb: Take, Slot: 1, Claim: 6}},
		{"restarted, registry new, a key that may be out of date", fresh(4*time.Second, key(1, "me", unlocked)), recalls(1, 5), Action{Verb: Wait, Slot: 1}},
		{"restarted, has forgotten, a key that may be out of date", fresh(4*time.Second, key(1, "me", unlocked)), newcomer, Action{Verb: Wait, Slot: None}},
		{"restarted, the key has stood long enough", fresh(5*time.Second, key(1, "me", unlocked)), recalls(1, 5), Action{Verb: Take, Slot: 1, Index: 101, Claim: 6}},
		{"fixed, registry new, its own key", fresh(0, key(4, "me", unlocked)), fixed(4), Action{Verb: Take, Slot: 4, Index: 104, Claim: 6}},
		{"serves", settled(key(1, "me", mine)), serves(1, 5), Action{Verb: Keep, Slot: 1}},
		{"serves, lock lost", settled(key(1, "me", mine, unlocked)), serves(1, 5), Action{Verb: Take, Slot: 1, Index: 101, Claim: 5}},
		{"serves, has a new session", settled(key(1, "me", mine, session("s-old"))), serves(1, 5), Action{Verb: Take, Slot: 1, Index: 101, Claim: 5, Former: "s-old"}},
		{"serves, keys lost", fresh(0), serves(1, 5), Action{Verb: Take, Slot: 1, Claim: 5}},
		{"serves, key lost in a settled registry", settled(), serves(1, 5), Action{Verb: Take, Slot: 1, Claim: 5}},
		{"serves, taken over while away", settled(key(1, "b", claimed(6))), serves(1, 5), Action{Verb: Lost, Slot: 1}},
		{"serves, taken while keys were lost", fresh(time.Second, key(1, "b", claimed(1))), serves(1, 5), Action{Verb: Take, Slot: 1, Index: 101, Claim: 6, Former: "s-b"}},
		{"serves, another process has the id", settled(key(1, "me", incarnation(3), claimed(6), session("s-new"))), serves(1, 5), Action{Verb: Superseded, Slot: 1}},
		{"fixed, no key", fresh(0), fixed(4), Action{Verb: Take, Slot: 4, Claim: 1}},
		{"fixed, vacant", settled(key(4, "a", gone(time.Second))), fixed(4), Action{Verb: Lost, Slot: 4}},
		{"fixed, vacant, second look", settled(key(4, "a", gone(time.Second))), Self{ID: "me", Session: "s-me", Fixed: 4, Slot: None}, Action{Verb: Take, Slot: 4, Index: 104, Claim: 6}},
		{"fixed, held", settled(key(4, "a")), Self{ID: "me", Session: "s-me", Fixed: 4, Slot: None}, Action{Verb: Wait, Slot: 4}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := rules.Decide(tt.view, tt.self)
			if (got.Verb == Wait || got.Verb == Lost || got.Verb == Superseded) != (got.Reason != "") {
				t.Errorf("Decide gives %q the reason %q", got.Verb, got.Reason)
			}
			got.Reason = ""
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Decide(%+v, %+v) differs (-want +got):\n%s", tt.view, tt.self, diff)
			}
		})
	}
}

func TestMissed(t *testing.T) {
	v := settled(key(0, "a"), key(1, "b", unlocked), key(2, "c", gone(time.Second)), key(3, "d", free), key(4, "me", unlocked))
	if got := v.Missed(Self{ID: "me"}); len(got) != 1 || got[0].Slot != 1 {
		t.Errorf("Missed = %+v, want only slot 1, which nobody has noted", got)
	}
}

func TestForgotten(t *testing.T) {
	known := []Key{key(0, "a"), key(1, "b"), key(2, "me")}
	if got := fresh(0, key(0, "a")).Forgotten(known, Self{ID: "me", Slot: 2}); len(got) != 1 || got[0].Slot != 1 {
		t.Errorf("Forgotten = %+v, want slot 1: 0 is there, and 2 is for its holder to take", got)
	}
}

func TestWake(t *testing.T) {
	for _, tt := range []struct{ unsettled, want time.Duration }{{0, 5 * time.Second}, {4 * time.Second, time.Second}, {5 * time.Second, 5 * time.Second}, {9 * time.Second, time.Second}} {
		if got := rules.Wake(fresh(tt.unsettled)); got != tt.want {
			t.Errorf("Wake after %v = %v, want %v", tt.unsettled, got, tt.want)
		}
	}
	for _, v := range []View{settled(), fresh(10 * time.Second)} {
		if got := rules.Wake(v); got < 1000*time.Hour {
			t.Errorf("Wake(%+v) = %v, want never", v, got)
		}
	}
}
