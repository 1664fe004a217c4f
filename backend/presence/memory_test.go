package presence_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/backend/presence"
	"github.com/holdfast-io/holdfast/backend/presence/presencetest"
)

// fakeClock is a clock that moves when it is told to.
type fakeClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestMemory(t *testing.T) {
	presencetest.Run(t, func(t *testing.T) presencetest.Setup {
		clock := &fakeClock{now: time.UnixMilli(1_790_000_000_000)}
		cfg := presence.DefaultConfig()
		m, err := presence.NewMemory(cfg, clock.Now, prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		return presencetest.Setup{Presence: m, Lease: cfg.Lease, Keep: cfg.Keep,
			SessionsPerUser: cfg.SessionsPerUser, Advance: clock.Advance}
	})
}

// TestNothingRemains looks at the gauges after everyone has left.
func TestNothingRemains(t *testing.T) {
	clock := &fakeClock{now: time.UnixMilli(1_790_000_000_000)}
	reg := prometheus.NewRegistry()
	m, err := presence.NewMemory(presence.DefaultConfig(), clock.Now, reg)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for _, session := range []string{"s1", "s1", "s2", "s3"} {
		if err := m.Put(ctx, presence.Record{UID: "a", Session: session, Gateway: presence.Gateway{Address: "g", Epoch: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	wantGauges(t, reg, map[string]float64{"holdfast_presence_records": 3, "holdfast_presence_users": 1, "holdfast_presence_leases": 1})
	if err := m.Remove(ctx, "a", "s2"); err != nil {
		t.Fatal(err)
	}
	clock.Advance(2 * time.Hour)
	if err := m.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	wantGauges(t, reg, map[string]float64{"holdfast_presence_records": 0, "holdfast_presence_users": 0, "holdfast_presence_leases": 0})
}

func wantGauges(t *testing.T, reg *prometheus.Registry, want map[string]float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if got := f.GetMetric()[0].GetGauge().GetValue(); got != want[f.GetName()] {
			t.Errorf("%s = %v, want %v", f.GetName(), got, want[f.GetName()])
		}
	}
}

func TestConfigValidate(t *testing.T) {
	if err := presence.DefaultConfig().Validate(); err != nil {
		t.Errorf("default configuration: %v", err)
	}
	err := presence.Config{Keep: -1}.Validate()
	if want := "lease: 0s, want at least 1s\nkeep: -1ns, want at least the lease 0s\nsessions_per_user: 0, want at least 1"; err == nil || err.Error() != want {
		t.Errorf("Validate = %v, want %s", err, want)
	}
	if _, err := presence.NewMemory(presence.Config{}, time.Now, prometheus.NewRegistry()); err == nil {
		t.Error("NewMemory of a zero configuration succeeded")
	}
}
