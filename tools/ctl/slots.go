package ctl

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
)

// Slot is a slot of a service, as it stands in Consul.
type Slot struct {
	Slot        int    `json:"slot"`
	State       string `json:"state"`
	Holder      string `json:"holder,omitempty"` // who holds it, or held it last
	Address     string `json:"address,omitempty"`
	Incarnation int64  `json:"incarnation,omitempty"`
	GoneSince   string `json:"gone_since,omitempty"` // RFC 3339
	gone        time.Time
}

// The states of a slot.
const (
	SlotServing  = "serving"  // its holder is listed and has its lock
	SlotUnlocked = "unlocked" // its holder is listed and has lost the lock; it takes it again
	SlotLocked   = "locked"   // its holder was killed, hangs, or is starting: the lock is still there
	SlotGone     = "gone"     // vacant, and kept for its holder for a while
	SlotFree     = "free"     // vacant, and the next new instance takes it
	SlotNoKey    = "no key"   // vacant: a number below the highest that nobody has taken
)

// SlotList is what Slots answers.
type SlotList struct {
	Service string `json:"service"`
	N       int    `json:"n"` // users hash over 0..n-1
	Slots   []Slot `json:"slots"`
}

// Slots writes the slots of service.
func Slots(ctx context.Context, out Output, cfg discovery.ConsulConfig, service string) error {
	states, err := discovery.ListSlots(ctx, cfg, service)
	if err != nil {
		return consulError(cfg, err)
	}
	list := slotList(service, states)
	if out.JSON {
		return out.json(list)
	}
	if list.N == 0 {
		_, err := fmt.Fprintf(out.To, "%s has no slots: no instance has claimed one\n", service)
		return err
	}
	now := time.Now()
	rows := make([][]string, len(list.Slots))
	for i, s := range list.Slots {
		rows[i] = []string{fmt.Sprint(s.Slot), s.State, s.Holder, s.Address, ago(s.gone, now)}
	}
	fmt.Fprintf(out.To, "%s: n = %d\n", service, list.N) // an error comes again with the table
	return out.table([]string{"SLOT", "STATE", "HOLDER", "ADDRESS", "GONE FOR"}, rows)
}

func slotList(service string, states []discovery.SlotState) SlotList {
	list := SlotList{Service: service, Slots: []Slot{}}
	for _, s := range states {
		for ; list.N < s.Slot; list.N++ {
			list.Slots = append(list.Slots, Slot{Slot: list.N, State: SlotNoKey})
		}
		list.N = s.Slot + 1
		is := Slot{
			Slot: s.Slot, State: slotState(s), Holder: s.Holder.ID, Address: s.Address,
			Incarnation: s.Holder.Incarnation, gone: s.Gone,
		}
		if !s.Gone.IsZero() {
			is.GoneSince = s.Gone.UTC().Format(time.RFC3339)
		}
		list.Slots = append(list.Slots, is)
	}
	return list
}

func slotState(s discovery.SlotState) string {
	switch {
	case s.Locked && s.Passing:
		return SlotServing
	case s.Passing:
		return SlotUnlocked
	case s.Locked:
		return SlotLocked
	case s.Free:
		return SlotFree
	default:
		return SlotGone
	}
}

// RetireSlot takes slot, which must be the highest of service and vacant, out of
// use. Users who hash to it move to other slots, and nobody else does.
func RetireSlot(ctx context.Context, out Output, cfg discovery.ConsulConfig, service string, slot int) error {
	states, err := discovery.ListSlots(ctx, cfg, service)
	if err != nil {
		return consulError(cfg, err)
	}
	if len(states) == 0 {
		return fmt.Errorf("%s has no slots", service)
	}
	if top := states[len(states)-1].Slot; top != slot {
		return fmt.Errorf("only the top slot can be retired, which is %d of %s and not %d: others would move everybody", top, service, slot)
	}
	retired, err := discovery.RetireTop(ctx, cfg, service)
	if err != nil {
		return consulError(cfg, err)
	}
	n := 0
	if len(states) > 1 {
		n = states[len(states)-2].Slot + 1
	}
	if out.JSON {
		return out.json(map[string]any{"service": service, "retired": retired, "n": n})
	}
	_, err = fmt.Fprintf(out.To, "slot %d of %s is retired: n = %d\n", retired, service, n)
	return err
}

// consulError says which Consul it was, in one line.
func consulError(cfg discovery.ConsulConfig, err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = cause(err, cfg.Timeout)
	}
	return fmt.Errorf("consul at %s: %w", cfg.Address, err)
}
