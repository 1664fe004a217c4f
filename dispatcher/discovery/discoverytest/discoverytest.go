// Package discoverytest holds every implementation of discovery.Discovery to the
// same behaviour.
package discoverytest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
)

// patience bounds every wait. It is long because only a broken implementation
// uses it up.
const patience = 30 * time.Second

// Subject is one implementation with the means to change what it reports.
type Subject struct {
	discovery.Discovery
	// Set makes instances the whole membership. Slots that an earlier Set used may
	// stay, vacant.
	Set func(t *testing.T, instances []discovery.Instance)
}

// Run tests the implementation that make returns, which reports no instance yet
// (or nothing at all). make is called once a subtest.
func Run(t *testing.T, make func(t *testing.T) Subject) {
	tests := []struct {
		name string
		run  func(t *testing.T, s Subject)
	}{
		{"reports what was set", reports},
		{"waits for a change", waits},
		{"skips to the newest", skips},
		{"ends with its context", ends},
		{"keeps snapshots as they were", keeps},
		{"counts vacant slots", vacant},
		{"serves many watchers", many},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, make(t)) })
	}
}

func at(service, id string, slot int, address string) discovery.Instance {
	return discovery.Instance{ID: id, Service: service, Slot: slot, Address: address}
}

// service is what a service with these instances is to look like. Slots is the
// number of slots, of which those without an instance never had one.
func service(slots int, instances ...discovery.Instance) discovery.Service {
	s := discovery.Service{Slots: slots, Instances: instances, Holders: make([]discovery.Holder, slots)}
	for _, i := range instances {
		s.Holders[i.Slot] = discovery.Holder{ID: i.ID, Incarnation: i.Incarnation}
	}
	return s
}

// settle returns the newest snapshot once it has services as wanted.
func settle(t *testing.T, s Subject, after uint64, want map[string]discovery.Service) *discovery.Snapshot {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	diff := "there was none"
	for {
		got, err := s.Next(ctx, after)
		if err != nil {
			t.Fatalf("Next(%d) = %v before the snapshot that was set came; the last differs (-want +got):\n%s", after, err, diff)
		}
		if got.Version <= after {
			t.Fatalf("Next(%d) has version %d, want a higher one", after, got.Version)
		}
		if diff = cmp.Diff(want, got.Services); diff == "" {
			return got
		}
		after = got.Version
	}
}

func reports(t *testing.T, s Subject) {
	a := at("logic", "a", 0, "127.0.0.1:7001")
	a.Zone, a.Meta, a.Incarnation = "z1", map[string]string{"version": "2"}, 7
	b, e := at("logic", "b", 1, "unix:/run/b.sock"), at("echo", "e", 0, "127.0.0.1:7003")
	s.Set(t, []discovery.Instance{b, e, a})
	settle(t, s, 0, map[string]discovery.Service{
		"logic": service(2, a, b),
		"echo":  service(1, e),
	})
}

func waits(t *testing.T, s Subject) {
	a, b := at("logic", "a", 0, "127.0.0.1:7001"), at("logic", "b", 1, "127.0.0.1:7002")
	s.Set(t, []discovery.Instance{a})
	first := settle(t, s, 0, map[string]discovery.Service{"logic": service(1, a)})

	// Nothing changes, so Next must not return.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if got, err := s.Next(ctx, first.Version); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Next without a change = %v, %v, want it to wait", got, err)
	}

	changed := make(chan *discovery.Snapshot)
	go func() {
		got, _ := s.Next(t.Context(), first.Version)
		changed <- got
	}()
	s.Set(t, []discovery.Instance{a, b})
	select {
	case got := <-changed:
		if got == nil || got.Version <= first.Version {
			t.Errorf("Next(%d) = %+v, want a newer snapshot", first.Version, got)
		}
	case <-time.After(patience):
		t.Fatal("Next did not return after a change")
	}
}

func skips(t *testing.T, s Subject) {
	a := at("logic", "a", 0, "127.0.0.1:7001")
	for i := range 5 {
		a.Zone = string(rune('a' + i))
		s.Set(t, []discovery.Instance{a})
	}
	want := map[string]discovery.Service{"logic": service(1, a)}
	newest := settle(t, s, 0, want)
	if again, err := s.Next(t.Context(), 0); err != nil || again.Version != newest.Version {
		t.Errorf("Next(0) = %+v, %v, want the newest, version %d", again, err, newest.Version)
	}
}

func ends(t *testing.T, s Subject) {
	s.Set(t, []discovery.Instance{at("logic", "a", 0, "127.0.0.1:7001")})
	first, err := s.Next(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Next(ctx, first.Version+1_000_000); !errors.Is(err, context.Canceled) {
		t.Errorf("Next with an ended context = %v, want context.Canceled", err)
	}
}

func keeps(t *testing.T, s Subject) {
	a := at("logic", "a", 0, "127.0.0.1:7001")
	a.Meta = map[string]string{"version": "1"}
	given := []discovery.Instance{a}
	s.Set(t, given)
	want := map[string]discovery.Service{"logic": service(1, discovery.Instance{
		ID: "a", Service: "logic", Address: "127.0.0.1:7001", Meta: map[string]string{"version": "1"},
	})}
	first := settle(t, s, 0, want)
	given[0].Meta["version"] = "2" // the caller's own copy
	s.Set(t, given)
	if _, err := s.Next(t.Context(), first.Version); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, first.Services); diff != "" {
		t.Errorf("a snapshot changed after it was given out (-was +is):\n%s", diff)
	}
}

func vacant(t *testing.T, s Subject) {
	a, c := at("logic", "a", 0, "127.0.0.1:7001"), at("logic", "c", 3, "127.0.0.1:7003")
	none := at("logic", "n", discovery.NoSlot, "127.0.0.1:7004")
	s.Set(t, []discovery.Instance{a, c})
	settle(t, s, 0, map[string]discovery.Service{"logic": service(4, a, c)})
	b := at("logic", "b", 1, "127.0.0.1:7002")
	s.Set(t, []discovery.Instance{a, b, c})
	settle(t, s, 0, map[string]discovery.Service{"logic": service(4, a, b, c)})
	if err := none.Validate(); err != nil {
		t.Errorf("an instance without a slot is refused: %v", err)
	}
}

func many(t *testing.T, s Subject) {
	a := at("logic", "a", 0, "127.0.0.1:7001")
	const watchers = 20
	done := make(chan error, watchers)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range watchers {
		go func() {
			var after uint64
			for {
				got, err := s.Next(ctx, after)
				if err != nil || len(got.Services["logic"].Instances) == 1 {
					done <- err
					return
				}
				after = got.Version
			}
		}()
	}
	s.Set(t, []discovery.Instance{a})
	for range watchers {
		if err := <-done; err != nil {
			t.Fatalf("a watcher did not see the instance: %v", err)
		}
	}
}
