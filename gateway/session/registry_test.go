package session

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"
)

func newTestRegistry() (*Registry, *Deps) {
	m := NewMetrics(prometheus.NewRegistry())
	return NewRegistry(m), &Deps{Limits: &Limits{TopicsMax: 3, FrameBytesMax: 1 << 16, KeptPushesMax: 8, KeptBytesMax: 1 << 16}, Metrics: m}
}

// TestRegistryModel runs random adds, removes and subscriptions against plain
// maps: every index agrees after each step.
func TestRegistryModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, deps := newTestRegistry()
		live := map[string]*Session{}
		topics := map[string]map[string]bool{} // session -> topics
		uid := rapid.SampledFrom([]string{"u1", "u2", "u3"})
		device := rapid.SampledFrom([]string{"", "phone", "web"})
		topic := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 0, 3)
		anyLive := func(t *rapid.T) *Session {
			if len(live) == 0 {
				t.Skip("no session")
			}
			return live[rapid.SampledFrom(slices.Sorted(maps.Keys(live))).Draw(t, "session")]
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				s := New(State{ID: NewID(), UID: uid.Draw(t, "uid"), Device: Device{ID: device.Draw(t, "device")}}, deps)
				var want []string
				for id, other := range live {
					if s.Device().ID != "" && other.UID() == s.UID() && other.Device().ID == s.Device().ID {
						want = append(want, id)
					}
				}
				if got := idsOf(r.Add(s)); !slices.Equal(got, sorted(want)) {
					t.Fatalf("Add replaced %v, want %v", got, want)
				}
				live[s.ID()], topics[s.ID()] = s, map[string]bool{}
			},
			"remove": func(t *rapid.T) {
				s := anyLive(t)
				r.Remove(s)
				delete(live, s.ID())
				delete(topics, s.ID())
			},
			"subscribe": func(t *rapid.T) {
				s := anyLive(t)
				join, leave := topic.Draw(t, "join"), topic.Draw(t, "leave")
				after := maps.Clone(topics[s.ID()])
				for _, x := range join {
					after[x] = true
				}
				for _, x := range leave {
					delete(after, x)
				}
				want := TopicsChanged
				if len(after) > 3 && len(after) > len(topics[s.ID()]) {
					want = TopicsTooMany
				} else {
					topics[s.ID()] = after
				}
				if got := r.Subscribe(s, join, leave); got != want {
					t.Fatalf("Subscribe(+%v -%v) = %v, want %v", join, leave, got, want)
				}
			},
			"": func(t *rapid.T) { agree(t, r, live, topics) },
		})
	})
}

func agree(t *rapid.T, r *Registry, live map[string]*Session, topics map[string]map[string]bool) {
	if int(r.Len()) != len(live) {
		t.Fatalf("Len = %d, want %d", r.Len(), len(live))
	}
	seen := 0
	r.Each(func(s *Session) bool { seen++; return live[s.ID()] == s })
	if seen != len(live) {
		t.Fatalf("Each saw %d, want %d", seen, len(live))
	}
	for _, uid := range []string{"u1", "u2", "u3"} {
		var want []string
		for id, s := range live {
			if s.UID() == uid {
				want = append(want, id)
			}
		}
		if got := idsOf(r.ByUID(nil, uid)); !slices.Equal(got, sorted(want)) {
			t.Fatalf("ByUID(%s) = %v, want %v", uid, got, want)
		}
	}
	for _, topic := range []string{"a", "b", "c", "d"} {
		var want []string
		for id, of := range topics {
			if of[topic] {
				want = append(want, id)
			}
		}
		if got := idsOf(r.ByTopic(nil, topic)); !slices.Equal(got, sorted(want)) {
			t.Fatalf("ByTopic(%s) = %v, want %v", topic, got, want)
		}
	}
}

func idsOf(ss []*Session) []string {
	var out []string
	for _, s := range ss {
		out = append(out, s.ID())
	}
	return sorted(out)
}

func sorted(s []string) []string { slices.Sort(s); return s }

// TestEmptyRegistryHoldsNothing: maps that have emptied are let go.
func TestEmptyRegistryHoldsNothing(t *testing.T) {
	r, deps := newTestRegistry()
	var all []*Session
	for i := range 1000 {
		s := New(State{ID: NewID(), UID: fmt.Sprint(i)}, deps)
		r.Add(s)
		r.Subscribe(s, []string{"t"}, nil)
		all = append(all, s)
	}
	for _, s := range all {
		r.Remove(s)
	}
	for i := range shardCount {
		if r.ids[i].m != nil || r.uids[i].m != nil || r.topics[i].m != nil {
			t.Fatalf("shard %d still holds a map", i)
		}
	}
}

func TestNewID(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := NewID()
		if len(id) != 22 || seen[id] {
			t.Fatalf("NewID = %q, want 22 characters that were not there before", id)
		}
		seen[id] = true
	}
}

func TestKept(t *testing.T) {
	var k kept
	for i := range 5 {
		k.add(push{command: []byte("c"), payload: make([]byte, i)})
	}
	if want := 5*(keptOverheadBytes+1) + 10; k.bytes != want {
		t.Errorf("bytes = %d, want %d", k.bytes, want)
	}
	k.drop(2)
	if len(k.pushes) != 3 || len(k.pushes[0].payload) != 2 {
		t.Errorf("after drop(2) the first has %d bytes of %d pushes, want 2 of 3", len(k.pushes[0].payload), len(k.pushes))
	}
	k.drop(3)
	if k.bytes != 0 || k.pushes != nil {
		t.Errorf("after dropping all: %d bytes, %v", k.bytes, k.pushes)
	}
}
