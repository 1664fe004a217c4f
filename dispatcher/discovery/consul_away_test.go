package discovery_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// TestConsulAway is discovery's part of the promise that Consul's absence has no
// effect: it is frozen, stopped, absent at a start, and comes back empty.
func TestConsulAway(t *testing.T) {
	t.Parallel()
	server := testenv.StartConsul(t, testenv.ConsulOptions{})
	server.MustBeOurs()
	cfg := consulConfig(server.Addr, t.Name())
	cfg.Folder, cfg.Settle = t.TempDir(), 2*time.Second
	var ofA, ofB = cfg, cfg
	ofA.Folder, ofB.Folder = t.TempDir(), t.TempDir()
	a, b := echoAt("a", discovery.ClaimSlot), echoAt("b", discovery.ClaimSlot)
	toldA, _ := announce(t, ofA, a)
	toldA.awaitSlot(t, 0)
	toldB, leaveB := announce(t, ofB, b)
	toldB.awaitSlot(t, 1)
	both := func(s discovery.Service) bool { return len(s.Instances) == 2 && s.Instances[1].Slot == 1 }
	d := watch(t, cfg, discovery.Watch{Services: []string{"echo"}})
	table := until(t, d, "echo", both)
	path := filepath.Join(cfg.Folder, "membership.last-good")
	poll(t, "the last good copy is saved", func() bool { _, err := os.Stat(path); return err == nil })

	server.Pause()
	startsFromCopy(t, "a frozen", cfg, table)
	server.Resume()
	server.AwaitLeader()
	server.Stop()
	startsFromCopy(t, "a stopped", cfg, table)
	servesFromMemory(t, ofB, b, leaveB)
	if got, err := d.Next(t.Context(), 0); err != nil || got.Version != table.Version {
		t.Errorf("with Consul away the snapshot became %+v, %v, want version %d still", got, err, table.Version)
	}
	if standing := toldA.now(); !standing.Serving {
		t.Errorf("with Consul away the standing of a is %+v", standing)
	}

	server.Forget()
	server.Start()
	began := time.Now()
	poll(t, "a is registered again", func() bool {
		states, err := discovery.ListSlots(t.Context(), cfg, "echo")
		return err == nil && len(states) == 2 && states[0].Passing && states[0].Locked && states[0].Holder.ID == "a"
	})
	took := time.Since(began)
	testenv.Figure(t, "P15", "registered again %v after Consul came back empty; the promise is 10s", took.Round(time.Millisecond))
	if took > 10*time.Second {
		t.Errorf("the registration took %v", took)
	}
}

// startsFromCopy starts a discovery whose Consul does not answer.
func startsFromCopy(t *testing.T, how string, cfg discovery.ConsulConfig, table *discovery.Snapshot) {
	t.Helper()
	began := time.Now()
	cold := watch(t, cfg, discovery.Watch{Services: []string{"echo"}})
	got := until(t, cold, "echo", func(discovery.Service) bool { return true })
	took := time.Since(began)
	testenv.Figure(t, "P15", "a cold start with %s Consul served after %v, from a copy %v old; the promise is 5s", how, took.Round(time.Millisecond), cold.Age().Round(time.Millisecond))
	if took > 5*time.Second {
		t.Errorf("with %s Consul a cold start took %v", how, took)
	}
	if diff := cmp.Diff(table.Services, got.Services); diff != "" {
		t.Errorf("with %s Consul the table differs (-before +after):\n%s", how, diff)
	}
}

// servesFromMemory restarts an instance whose Consul is away.
func servesFromMemory(t *testing.T, cfg discovery.ConsulConfig, r discovery.Registration, leave func() error) {
	t.Helper()
	if err := leave(); err != nil {
		t.Fatal(err)
	}
	r.Incarnation++
	began := time.Now()
	told, _ := announce(t, cfg, r)
	poll(t, "serving the slot it remembers", func() bool { return told.now() == discovery.Standing{Serving: true, Slot: 1} })
	testenv.Figure(t, "P15", "an instance that started without Consul served its slot after %v", time.Since(began).Round(time.Millisecond))
}

// TestDamagedCopy starts with a copy that is not what was written.
func TestDamagedCopy(t *testing.T) {
	cfg := consulConfig("127.0.0.1:1", t.Name()) // nobody listens there
	cfg.Folder, cfg.StartWait = t.TempDir(), 10*time.Millisecond
	path := filepath.Join(cfg.Folder, "membership.last-good")
	if err := os.WriteFile(path, []byte("holdfast membership 1 sha256:00\n{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	c, err := discovery.NewConsul(cfg, discovery.Watch{Services: []string{"echo"}}, logger(), reg)
	if err != nil {
		t.Fatal(err)
	}
	background(t, c.Run)
	poll(t, "the damage is counted", func() bool {
		return gather(t, reg, "holdfast_discovery_copies_corrupt_total") == 1
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if got, err := c.Next(ctx, 0); err == nil {
		t.Errorf("Next = %+v, want nothing: nothing is known", got)
	}
	if text, err := os.ReadFile(path); err != nil || !bytes.HasPrefix(text, []byte("holdfast")) {
		t.Errorf("the damaged copy is gone (%v); somebody may want to look at it", err)
	}
}

// gather reads a metric without labels.
func gather(t testing.TB, reg prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	t.Fatalf("no metric %s; there are %s", name, strings.Join(names, ", "))
	return 0
}
