package ctl

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
)

// TestSlotList checks that every number below n is listed, with its state.
func TestSlotList(t *testing.T) {
	gone := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	got := slotList("logic", []discovery.SlotState{
		{Slot: 0, Holder: discovery.Holder{ID: "a", Incarnation: 7}, Address: "h:1", Locked: true, Passing: true},
		{Slot: 2, Holder: discovery.Holder{ID: "c"}, Gone: gone},
		{Slot: 3, Holder: discovery.Holder{ID: "d"}, Free: true},
		{Slot: 4, Holder: discovery.Holder{ID: "e"}, Locked: true},
		{Slot: 5, Holder: discovery.Holder{ID: "f"}, Passing: true},
	})
	want := SlotList{Service: "logic", N: 6, Slots: []Slot{
		{Slot: 0, State: SlotServing, Holder: "a", Address: "h:1", Incarnation: 7},
		{Slot: 1, State: SlotNoKey},
		{Slot: 2, State: SlotGone, Holder: "c", GoneSince: "2026-05-01T12:00:00Z"},
		{Slot: 3, State: SlotFree, Holder: "d"},
		{Slot: 4, State: SlotLocked, Holder: "e"},
		{Slot: 5, State: SlotUnlocked, Holder: "f"},
	}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Slot{})); diff != "" {
		t.Errorf("slotList (-want +got):\n%s", diff)
	}
	if none := slotList("logic", nil); none.N != 0 || none.Slots == nil {
		t.Errorf("slotList of nothing = %+v, want n 0 and an empty list, not null", none)
	}
}

// TestConsulAway checks that one line says which Consul does not answer.
func TestConsulAway(t *testing.T) {
	cfg := discovery.DefaultConsulConfig()
	cfg.Address, cfg.Timeout = "127.0.0.1:1", time.Second
	for what, call := range map[string]func(Output) error{
		"slots":  func(o Output) error { return Slots(t.Context(), o, cfg, "logic") },
		"retire": func(o Output) error { return RetireSlot(t.Context(), o, cfg, "logic", 0) },
	} {
		var out bytes.Buffer
		err := call(Output{To: &out})
		if err == nil || out.Len() > 0 || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "consul at 127.0.0.1:1: ") ||
			!strings.Contains(err.Error(), "refused") {
			t.Errorf("%s = %v, out %q, want one line that names Consul", what, err, out.String())
		}
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	if err := (Output{To: &b}).table([]string{"A", "LONG"}, [][]string{{"x", ""}, {"yyyy", "z"}}); err != nil {
		t.Fatal(err)
	}
	if want := "A     LONG\nx     -\nyyyy  z\n"; b.String() != want {
		t.Errorf("table:\n%swant:\n%s", b.String(), want)
	}
	b.Reset()
	if err := (Output{To: &b, JSON: true}).json(Slot{Slot: 1, State: "<x>"}); err != nil || !json.Valid(b.Bytes()) || !strings.Contains(b.String(), "<x>") {
		t.Errorf("json: %v, %s", err, b.String())
	}
}
