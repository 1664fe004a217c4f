package discovery_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// TestRegister takes instances through their lives in a Consul that works.
func TestRegister(t *testing.T) {
	t.Parallel()
	server := testenv.StartConsul(t, testenv.ConsulOptions{})
	at := func(t *testing.T) discovery.ConsulConfig {
		cfg := consulConfig(server.Addr, t.Name())
		cfg.Settle = 0
		return cfg
	}
	// A subtest's services vanish with it, so one name does for all.
	t.Run("what others see", func(t *testing.T) { testSeen(t, at(t)) })
	t.Run("a restart", func(t *testing.T) { testRestart(t, at(t)) })
	t.Run("superseded", func(t *testing.T) { testSuperseded(t, at(t)) })
	t.Run("a slot that is lost", func(t *testing.T) { testLost(t, at(t), dial(t, server.Addr)) })
	t.Run("a number that is given", func(t *testing.T) { testFixed(t, at(t)) })
	t.Run("slots and retire", func(t *testing.T) { testRetire(t, at(t)) })
	t.Run("a hold that ends", func(t *testing.T) { testSlotHold(t, at(t)) })
	t.Run("services that change", func(t *testing.T) { testSetServices(t, at(t)) })
}

func testSeen(t *testing.T, cfg discovery.ConsulConfig) {
	d := watch(t, cfg, discovery.Watch{Services: []string{"echo", "gateway"}, Alive: func(string, string) bool { return false }})
	tcp, unix, none := echoAt("a", discovery.ClaimSlot), echoAt("b", discovery.ClaimSlot), echoAt("g", discovery.NoSlot)
	unix.Address, none.Service = "unix:/run/b.sock", "gateway"
	told, leave := announce(t, cfg, tcp)
	told.awaitSlot(t, 0)
	toldUnix, _ := announce(t, cfg, unix)
	toldUnix.awaitSlot(t, 1)
	announce(t, cfg, none)
	until(t, d, "gateway", func(s discovery.Service) bool { return len(s.Instances) == 1 && s.Slots == 0 })
	got := until(t, d, "echo", func(s discovery.Service) bool { return len(s.Instances) == 2 && s.Instances[1].Slot == 1 })
	instance := func(r discovery.Registration, slot int) discovery.Instance {
		return discovery.Instance{
			ID: r.ID, Service: "echo", Slot: slot, Address: r.Address, Zone: r.Zone, Meta: r.Meta, Incarnation: r.Incarnation,
		}
	}
	want := discovery.Service{
		Slots: 2, Instances: []discovery.Instance{instance(tcp, 0), instance(unix, 1)},
		Holders: []discovery.Holder{{ID: "a", Incarnation: tcp.Incarnation}, {ID: "b", Incarnation: unix.Incarnation}},
	}
	if diff := cmp.Diff(want, got.Services["echo"]); diff != "" {
		t.Errorf("the service differs (-want +got):\n%s", diff)
	}
	if err := leave(); err != nil {
		t.Fatal(err)
	}
	got = until(t, d, "echo", func(s discovery.Service) bool { return len(s.Instances) == 1 })
	if s := got.Services["echo"]; s.Slots != 2 || s.Holders[0].ID != "a" {
		t.Errorf("after a left: %+v, want its slot vacant and its name in it", s)
	}
}

func testRestart(t *testing.T, cfg discovery.ConsulConfig) {
	cfg.Folder = t.TempDir()
	a, b := echoAt("a", discovery.ClaimSlot), echoAt("b", discovery.ClaimSlot)
	other := cfg
	other.Folder = "" // b leaves its slot for good
	told, leaveB := announce(t, other, b)
	told.awaitSlot(t, 0)
	told, leave := announce(t, cfg, a)
	told.awaitSlot(t, 1)
	if err := leave(); err != nil {
		t.Fatal(err)
	}
	if err := leaveB(); err != nil {
		t.Fatal(err)
	}
	// Slot 0 is free, and a takes its own again.
	a.Incarnation++
	told, _ = announce(t, cfg, a)
	told.awaitSlot(t, 1)
	told, _ = announce(t, other, echoAt("c", discovery.ClaimSlot))
	told.awaitSlot(t, 0)
	told, _ = announce(t, other, echoAt("d", discovery.ClaimSlot))
	told.awaitSlot(t, 2)
}

// testSuperseded kills an instance and starts it again while its session lives,
// then once more while it itself does.
func testSuperseded(t *testing.T, cfg discovery.ConsulConfig) {
	a := echoAt("a", discovery.ClaimSlot)
	killed, err := discovery.NewConsulRegistrar(cfg, logger(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	told := &standings{}
	a.Tell = told.tell
	kill := background(t, func(ctx context.Context) error { return killed.RegisterUntilKilled(ctx, a) })
	told.awaitSlot(t, 0)
	if err := kill(); err != nil {
		t.Fatal(err)
	}
	a.Incarnation++
	old, err := discovery.NewConsulRegistrar(cfg, logger(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	first, second := a, a
	toldFirst := &standings{}
	first.Tell = toldFirst.tell
	ended := make(chan error)
	go func() { ended <- old.Register(t.Context(), first) }()
	toldFirst.awaitSlot(t, 0)
	second.Incarnation++
	toldSecond, _ := announce(t, cfg, second)
	select {
	case err := <-ended:
		if !errors.Is(err, discovery.ErrSuperseded) || toldFirst.now().Serving {
			t.Errorf("the older process: Register = %v, standing %+v, want ErrSuperseded and not serving", err, toldFirst.now())
		}
	case <-time.After(patience):
		t.Fatal("the older process goes on")
	}
	toldSecond.awaitSlot(t, 0)
	// What the older one did at its end has not hurt the other.
	d := watch(t, cfg, discovery.Watch{Services: []string{"echo"}})
	until(t, d, "echo", func(s discovery.Service) bool {
		return len(s.Instances) == 1 && s.Instances[0].Incarnation == second.Incarnation && s.Instances[0].Slot == 0
	})
}

// testLost gives an instance's slot to another, as it happens to one that Consul
// has not heard of for longer than the hold.
func testLost(t *testing.T, cfg discovery.ConsulConfig, client *api.Client) {
	told, _ := announce(t, cfg, echoAt("a", discovery.ClaimSlot))
	told.awaitSlot(t, 0)
	session, _, err := client.Session().Create(&api.SessionEntry{TTL: "60s"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	key := cfg.Prefix + "/echo/0"
	ok, _, _, err := client.Txn().Txn(api.TxnOps{
		{KV: &api.KVTxnOp{Verb: api.KVDelete, Key: key}},
		{KV: &api.KVTxnOp{Verb: api.KVLock, Key: key, Session: session, Value: []byte(`{"id":"b","incarnation":1,"claim":9}`)}},
	}, nil)
	if !ok || err != nil {
		t.Fatalf("taking the slot = %v, %v", ok, err)
	}
	told.awaitSlot(t, 1)
	want := []discovery.Standing{{Serving: true, Slot: 0, Confirmed: true}, {Slot: discovery.NoSlot}, {Serving: true, Slot: 1, Confirmed: true}}
	told.mu.Lock()
	defer told.mu.Unlock()
	if diff := cmp.Diff(want, told.all); diff != "" {
		t.Errorf("what the instance was told differs (-want +got):\n%s", diff)
	}
}

func testFixed(t *testing.T, cfg discovery.ConsulConfig) {
	told, leave := announce(t, cfg, echoAt("a", 3))
	told.awaitSlot(t, 3)
	waits, _ := announce(t, cfg, echoAt("b", 3))
	d := watch(t, cfg, discovery.Watch{Services: []string{"echo"}, Alive: func(string, string) bool { return false }})
	got := until(t, d, "echo", func(s discovery.Service) bool { return len(s.Instances) == 1 })
	if s := got.Services["echo"]; s.Slots != 4 || s.Instances[0].ID != "a" {
		t.Errorf("the service is %+v, want 4 slots, the last a's", s)
	}
	if waits.now().Serving {
		t.Error("two instances serve slot 3")
	}
	if err := leave(); err != nil {
		t.Fatal(err)
	}
	waits.awaitSlot(t, 3)
}

func testRetire(t *testing.T, cfg discovery.ConsulConfig) {
	ctx := t.Context()
	if _, err := discovery.RetireTop(ctx, cfg, "echo"); err == nil {
		t.Error("RetireTop without slots = nil, want an error")
	}
	told, _ := announce(t, cfg, echoAt("a", discovery.ClaimSlot))
	told.awaitSlot(t, 0)
	told, leave := announce(t, cfg, echoAt("b", discovery.ClaimSlot))
	told.awaitSlot(t, 1)
	poll(t, "settled", func() bool {
		_, err := discovery.RetireTop(ctx, cfg, "echo")
		return errors.Is(err, discovery.ErrNotVacant)
	})
	d := watch(t, cfg, discovery.Watch{Services: []string{"echo"}, Alive: func(string, string) bool { return false }})
	until(t, d, "echo", func(s discovery.Service) bool { return s.Slots == 2 })
	if err := leave(); err != nil {
		t.Fatal(err)
	}
	states, err := discovery.ListSlots(ctx, cfg, "echo")
	if err != nil || len(states) != 2 || states[0].Vacant() || !states[1].Vacant() || !states[1].Free || states[1].Holder.ID != "b" {
		t.Fatalf("ListSlots = %+v, %v, want slot 0 held and slot 1 vacant and free", states, err)
	}
	if slot, err := discovery.RetireTop(ctx, cfg, "echo"); slot != 1 || err != nil {
		t.Fatalf("RetireTop = %d, %v, want 1", slot, err)
	}
	until(t, d, "echo", func(s discovery.Service) bool { return s.Slots == 1 && len(s.Instances) == 1 })
}

// testSlotHold kills an instance: for a time its slot is kept for it.
func testSlotHold(t *testing.T, cfg discovery.ConsulConfig) {
	cfg.CheckTTL, cfg.SlotHold = 3*time.Second, 2*time.Second
	told, _ := announce(t, cfg, echoAt("a", discovery.ClaimSlot))
	told.awaitSlot(t, 0)
	registrar, err := discovery.NewConsulRegistrar(cfg, logger(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	b := echoAt("b", discovery.ClaimSlot)
	toldB := &standings{}
	b.Tell = toldB.tell
	kill := background(t, func(ctx context.Context) error { return registrar.RegisterUntilKilled(ctx, b) })
	toldB.awaitSlot(t, 1)
	if err := kill(); err != nil {
		t.Fatal(err)
	}
	told, leave := announce(t, cfg, echoAt("c", discovery.ClaimSlot))
	told.awaitSlot(t, 2)
	if err := leave(); err != nil {
		t.Fatal(err)
	}
	// Its session runs out, others note that it is gone, and the hold passes.
	poll(t, "slot 1 is noted as gone", func() bool {
		states, err := discovery.ListSlots(t.Context(), cfg, "echo")
		return err == nil && len(states) == 3 && !states[1].Gone.IsZero() && time.Since(states[1].Gone) > cfg.SlotHold
	})
	told, _ = announce(t, cfg, echoAt("d", discovery.ClaimSlot))
	told.awaitSlot(t, 1)
}

func testSetServices(t *testing.T, cfg discovery.ConsulConfig) {
	d := watch(t, cfg, discovery.Watch{Services: []string{"nobody"}})
	told, _ := announce(t, cfg, echoAt("a", discovery.ClaimSlot))
	told.awaitSlot(t, 0)
	got := until(t, d, "nobody", func(discovery.Service) bool { return true })
	if _, there := got.Services["echo"]; there {
		t.Error("a service that is not watched is reported")
	}
	d.SetServices([]string{"echo"})
	got = until(t, d, "echo", func(s discovery.Service) bool { return len(s.Instances) == 1 })
	if _, there := got.Services["nobody"]; there {
		t.Error("a service that is not watched any more is reported")
	}
}
