// Package presencetest checks what every implementation of presence promises.
package presencetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/backend/presence"
)

// Presence is what the suite needs.
type Presence interface {
	Renew(ctx context.Context, g presence.Gateway) (known bool, err error)
	Put(ctx context.Context, r presence.Record) error
	Remove(ctx context.Context, uid, session string) error
	Online(ctx context.Context, uids ...string) ([]presence.Record, error)
	Sweep(ctx context.Context) error
}

// Setup is an empty implementation and what it was configured with.
type Setup struct {
	Presence
	Lease, Keep     time.Duration
	SessionsPerUser int // at least 3
	// Advance lets the time of the implementation go on: a fake clock, or a sleep.
	Advance func(d time.Duration)
}

// Run runs the suite; factory makes a Setup for each test.
func Run(t *testing.T, factory func(t *testing.T) Setup) {
	for _, tt := range []struct {
		name string
		run  func(t *testing.T, s Setup)
	}{
		{"a session is online until it is removed", testPutRemove},
		{"a session has one record", testReplace},
		{"a lease that lapses takes its sessions offline", testLapse},
		{"a lease that is renewed late brings them back", testComesBack},
		{"another epoch is another gateway", testEpoch},
		{"many users at once", testManyUsers},
		{"a user's sessions are bounded", testBounded},
		{"a sweep forgets what lapsed long ago", testSweep},
		{"goroutines do not disturb each other", testConcurrent},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, factory(t)) })
	}
}

func record(uid, session, gateway string) presence.Record {
	return presence.Record{UID: uid, Session: session, Gateway: presence.Gateway{Address: gateway, Epoch: 1},
		DeviceID: "d-" + session, DeviceClass: "ios"}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func renew(t *testing.T, s Setup, gateway string) bool {
	t.Helper()
	known, err := s.Renew(context.Background(), presence.Gateway{Address: gateway, Epoch: 1})
	must(t, err)
	return known
}

// wantOnline compares the sessions that are online with want.
func wantOnline(t *testing.T, s Setup, uids []string, want ...string) {
	t.Helper()
	records, err := s.Online(context.Background(), uids...)
	must(t, err)
	got := []string{}
	for _, r := range records {
		got = append(got, r.Session)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("Online(%v) = %v, want %v", uids, got, want)
	}
}

func testPutRemove(t *testing.T, s Setup) {
	ctx := context.Background()
	wantOnline(t, s, []string{"a"})
	must(t, s.Put(ctx, record("a", "s1", "g1")))
	must(t, s.Put(ctx, record("a", "s2", "g2")))
	wantOnline(t, s, []string{"a"}, "s1", "s2")
	wantOnline(t, s, []string{"b"})
	must(t, s.Remove(ctx, "a", "s1"))
	must(t, s.Remove(ctx, "a", "s1"))
	must(t, s.Remove(ctx, "b", "s2")) // not that user's
	must(t, s.Remove(ctx, "nobody", "none"))
	wantOnline(t, s, []string{"a"}, "s2")
	must(t, s.Remove(ctx, "a", "s2"))
	wantOnline(t, s, []string{"a"})
}

func testReplace(t *testing.T, s Setup) {
	ctx := context.Background()
	must(t, s.Put(ctx, record("a", "s1", "g1")))
	must(t, s.Put(ctx, record("a", "s1", "g1")))
	must(t, s.Put(ctx, record("a", "s1", "g2")))
	records, err := s.Online(ctx, "a")
	must(t, err)
	if len(records) != 1 {
		t.Fatalf("Online = %+v, want one record", records)
	}
	got := records[0]
	if got.Since.IsZero() {
		t.Error("Since is not set")
	}
	got.Since = time.Time{}
	if want := record("a", "s1", "g2"); got != want {
		t.Errorf("Online = %+v, want %+v", got, want)
	}
}

func testLapse(t *testing.T, s Setup) {
	ctx := context.Background()
	renew(t, s, "g1")
	renew(t, s, "g2")
	must(t, s.Put(ctx, record("a", "s1", "g1")))
	must(t, s.Put(ctx, record("a", "s2", "g2")))
	s.Advance(s.Lease * 6 / 10)
	renew(t, s, "g2")
	s.Advance(s.Lease * 6 / 10)
	wantOnline(t, s, []string{"a"}, "s2")
}

func testComesBack(t *testing.T, s Setup) {
	if renew(t, s, "g1") {
		t.Error("Renew of a new gateway says that it was known")
	}
	must(t, s.Put(context.Background(), record("a", "s1", "g1")))
	s.Advance(s.Lease * 2)
	wantOnline(t, s, []string{"a"})
	if !renew(t, s, "g1") {
		t.Error("Renew of a lapsed gateway says that it was unknown")
	}
	wantOnline(t, s, []string{"a"}, "s1")
}

func testEpoch(t *testing.T, s Setup) {
	ctx := context.Background()
	renew(t, s, "g1")
	must(t, s.Put(ctx, record("a", "s1", "g1")))
	s.Advance(s.Lease * 2)
	known, err := s.Renew(ctx, presence.Gateway{Address: "g1", Epoch: 2})
	must(t, err)
	if known {
		t.Error("Renew of a new epoch says that it was known")
	}
	wantOnline(t, s, []string{"a"})
}

func testManyUsers(t *testing.T, s Setup) {
	uids := []string{}
	for i := range 50 {
		uid := fmt.Sprint("u", i)
		uids = append(uids, uid)
		if i%2 == 0 {
			must(t, s.Put(context.Background(), record(uid, "s-"+uid, "g1")))
		}
	}
	records, err := s.Online(context.Background(), uids...)
	must(t, err)
	if len(records) != 25 {
		t.Errorf("Online of 50 users = %d records, want 25", len(records))
	}
	wantOnline(t, s, nil)
}

func testBounded(t *testing.T, s Setup) {
	ctx := context.Background()
	must(t, s.Put(ctx, record("a", "old", "g1")))
	must(t, s.Put(ctx, record("a", "older", "g1")))
	s.Advance(s.Lease / 100)
	must(t, s.Put(ctx, record("a", "old", "g1"))) // heard of again
	want := []string{}
	for i := range s.SessionsPerUser - 1 {
		s.Advance(s.Lease / 1000)
		session := fmt.Sprintf("s%03d", i)
		must(t, s.Put(ctx, record("a", session, "g1")))
		want = append(want, session)
	}
	wantOnline(t, s, []string{"a"}, append([]string{"old"}, want...)...)
}

func testSweep(t *testing.T, s Setup) {
	ctx := context.Background()
	must(t, s.Put(ctx, record("a", "s1", "g1")))
	must(t, s.Put(ctx, record("a", "s2", "g2")))
	s.Advance(s.Lease * 2)
	must(t, s.Sweep(ctx))
	if !renew(t, s, "g2") {
		t.Error("a sweep forgot a gateway before Keep was over")
	}
	s.Advance(s.Keep)
	must(t, s.Sweep(ctx))
	if renew(t, s, "g1") {
		t.Error("a sweep kept a gateway that lapsed long ago")
	}
	if !renew(t, s, "g2") {
		t.Error("a sweep forgot a gateway that was renewed since")
	}
	wantOnline(t, s, []string{"a"}, "s2")
}

func testConcurrent(t *testing.T, s Setup) {
	ctx := context.Background()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			uid := fmt.Sprint("u", i%4) // two goroutines a user
			session := fmt.Sprint("s", i)
			for range 50 {
				err := s.Put(ctx, record(uid, session, "g1"))
				if err == nil {
					_, err = s.Renew(ctx, presence.Gateway{Address: "g1", Epoch: 1})
				}
				records, oerr := s.Online(ctx, uid)
				if err != nil || oerr != nil || !slices.ContainsFunc(records, func(r presence.Record) bool { return r.Session == session }) {
					t.Errorf("Online(%s) = %v, %v, %v, want %s among them", uid, records, err, oerr, session)
					return
				}
				if err := s.Remove(ctx, uid, session); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	wantOnline(t, s, []string{"u0", "u1", "u2", "u3"})
}
