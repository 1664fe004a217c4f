package kit

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

var noon = time.Unix(1_800_000_000, 0)

func heartbeat(epoch, sessions int64) *holdfast.HeartbeatRequest {
	return &holdfast.HeartbeatRequest{Gateway: "gw:1", Epoch: epoch, Sessions: sessions, Name: "gw-1"}
}

func testGateways(wants bool) *gateways {
	return newGateways(GatewaysConfig{Lease: 10 * time.Second}, wants)
}

// TestResyncIsAskedUntilItIsHeeded: an answer that asks may be lost.
func TestResyncIsAskedUntilItIsHeeded(t *testing.T) {
	g := testGateways(true)
	for i := range 2 {
		if resync, _ := g.seen(heartbeat(7, 100), false, noon); !resync {
			t.Errorf("heartbeat %d of a new gateway: resync = false", i)
		}
	}
	g.announced("gw:1", 6) // another epoch's
	if resync, _ := g.seen(heartbeat(7, 100), false, noon); !resync {
		t.Error("an announcement of another epoch ended the asking")
	}
	g.announced("gw:1", 7)
	if resync, _ := g.seen(heartbeat(7, 100), false, noon); resync {
		t.Error("resync is still asked after the announcement")
	}
	g.resync()
	if resync, _ := g.seen(heartbeat(7, 100), false, noon); !resync {
		t.Error("Resync() did not ask")
	}
}

// TestResyncIsNotAskedForever: the gateway may hold no session of this service.
func TestResyncIsNotAskedForever(t *testing.T) {
	g := testGateways(true)
	asked := 0
	for range 100 {
		if resync, _ := g.seen(heartbeat(7, 100), false, noon); resync {
			asked++
		}
	}
	if asked != resyncAsks {
		t.Errorf("asked %d times, want %d", asked, resyncAsks)
	}
}

func TestResyncIsNotAskedForNothing(t *testing.T) {
	for _, tt := range []struct {
		name     string
		wants    bool
		sessions int64
	}{{"no events wanted", false, 100}, {"no sessions there", true, 0}} {
		g := testGateways(tt.wants)
		if resync, _ := g.seen(heartbeat(7, tt.sessions), false, noon); resync {
			t.Errorf("%s: resync = true", tt.name)
		}
	}
}

func TestLease(t *testing.T) {
	g := testGateways(true)
	g.seen(heartbeat(7, 5), false, noon)
	g.seen(heartbeat(7, 6), false, noon.Add(5*time.Second))
	if lost := g.expire(noon.Add(15 * time.Second)); len(lost) != 0 {
		t.Errorf("lost %v within its lease", lost)
	}
	lost := g.expire(noon.Add(15*time.Second + 1))
	want := []Gateway{{Address: "gw:1", Name: "gw-1", Epoch: 7, Sessions: 6, LastSeen: noon.Add(5 * time.Second)}}
	if diff := cmp.Diff(want, lost); diff != "" {
		t.Fatalf("lost (-want +got):\n%s", diff)
	}
	if again := g.expire(noon.Add(time.Hour)); len(again) != 0 {
		t.Errorf("lost twice: %v", again)
	}
	// While its loss is being told it must not be new, or what it announces would
	// be swept away with the old records.
	if resync, _ := g.seen(heartbeat(7, 6), false, noon.Add(20*time.Second)); resync || g.alive("gw:1") {
		t.Error("alive again while its loss is being told")
	}
	if !g.forget(lost[0]) {
		t.Error("forget() = false: nobody lives at the address")
	}
	if resync, _ := g.seen(heartbeat(7, 6), false, noon.Add(23*time.Second)); !resync || !g.alive("gw:1") {
		t.Error("not new after its loss was told")
	}
}

func TestNewEpochReplacesTheOld(t *testing.T) {
	g := testGateways(true)
	g.seen(heartbeat(7, 5), false, noon)
	resync, replaced := g.seen(heartbeat(8, 1), false, noon.Add(time.Second))
	if !resync || !replaced {
		t.Errorf("seen() = resync %v, replaced %v; want both", resync, replaced)
	}
	select {
	case <-g.wake:
	default:
		t.Error("the owner is not woken")
	}
	lost := g.expire(noon.Add(time.Second))
	if len(lost) != 1 || lost[0].Epoch != 7 {
		t.Fatalf("lost = %v, want epoch 7", lost)
	}
	if g.forget(lost[0]) {
		t.Error("forget() = true: the new epoch lives at the address")
	}
	if all := g.list(); len(all) != 1 || all[0].Epoch != 8 {
		t.Errorf("list() = %v", all)
	}
}

func TestEverybodyHearsOfTheDraining(t *testing.T) {
	g := testGateways(false)
	if !g.allTold() {
		t.Error("with no gateway there is nobody to tell")
	}
	g.seen(heartbeat(7, 5), false, noon)
	g.seen(&holdfast.HeartbeatRequest{Gateway: "gw:2", Epoch: 1}, false, noon)
	g.seen(heartbeat(7, 5), true, noon)
	if g.allTold() {
		t.Error("gw:2 has not been told")
	}
	g.heard("gw:2")
	if !g.allTold() {
		t.Error("both were told")
	}
}
