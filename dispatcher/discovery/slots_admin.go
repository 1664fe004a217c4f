package discovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/holdfast-io/holdfast/dispatcher/discovery/claim"
)

// SlotState is a slot as an operator sees it.
type SlotState struct {
	Slot    int
	Holder  Holder // who holds it, or held it last
	Address string // of the holder
	Locked  bool   // the holder's session lives
	Passing bool   // the holder is listed, and its check passes
	// Gone is since when the holder is known to be gone; zero: it is not.
	Gone time.Time
	Free bool // given up for good: the next new instance takes it
}

// Vacant tells whether nobody serves the slot, so that its users are with others.
func (s SlotState) Vacant() bool { return !s.Passing && !s.Locked }

// ErrNotVacant means that somebody holds the top slot, so it cannot be retired.
var ErrNotVacant = errors.New("discovery: the top slot is not vacant")

// ListSlots reads the slots of service from Consul, by number. A number below the
// highest that is missing has no key.
func ListSlots(ctx context.Context, cfg ConsulConfig, service string) ([]SlotState, error) {
	c, err := newConsulClient(cfg)
	if err != nil {
		return nil, err
	}
	defer c.close()
	_, states, err := c.slotStates(ctx, service)
	return states, err
}

// RetireTop removes the highest slot of service, if it is vacant, and returns its
// number. Its users move to other slots; nobody else's do.
func RetireTop(ctx context.Context, cfg ConsulConfig, service string) (int, error) {
	c, err := newConsulClient(cfg)
	if err != nil {
		return NoSlot, err
	}
	defer c.close()
	is, states, err := c.slotStates(ctx, service)
	if err != nil {
		return NoSlot, err
	}
	if len(states) == 0 {
		return NoSlot, fmt.Errorf("%s has no slots", service)
	}
	if is.registry != nil && !is.registry.Settled {
		return NoSlot, fmt.Errorf("the slots of %s are not settled: instances are claiming them again", service)
	}
	top := states[len(states)-1]
	if !top.Vacant() {
		return NoSlot, fmt.Errorf("%w: slot %d of %s is held by %s", ErrNotVacant, top.Slot, service, top.Holder.ID)
	}
	if err := c.deleteKey(ctx, service, is.keys[len(is.keys)-1]); err != nil {
		return NoSlot, err
	}
	return top.Slot, nil
}

// slotStates reads keys and instances; the states are in the order of the keys.
func (c *consulClient) slotStates(ctx context.Context, service string) (slotKeys, []SlotState, error) {
	ctx, cancel := c.within(ctx)
	defer cancel()
	is, _, err := c.fetchKeys(service, query(ctx))
	if err != nil {
		return slotKeys{}, nil, err
	}
	instances, _, err := c.fetchInstances(service, query(ctx))
	if err != nil {
		return slotKeys{}, nil, err
	}
	passing := map[string]bool{}
	for _, i := range instances {
		passing[i.ID] = true
	}
	states := make([]SlotState, 0, len(is.keys))
	for _, k := range is.keys {
		states = append(states, SlotState{
			Slot: k.Slot, Holder: Holder{ID: k.Holder, Incarnation: k.Incarnation}, Address: k.Address,
			Locked: k.Session != "", Passing: passing[k.Holder] && !k.Free, Gone: k.Gone, Free: k.Free,
		})
	}
	return is, states, nil
}

// deleteKey removes k unless it has changed.
func (c *consulClient) deleteKey(ctx context.Context, service string, k claim.Key) error {
	ctx, cancel := c.within(ctx)
	defer cancel()
	ok, _, err := c.KV().DeleteCAS(&api.KVPair{Key: c.slotKey(service, k.Slot), ModifyIndex: k.Index}, write(ctx))
	if err != nil {
		return fmt.Errorf("remove slot %d of %s: %w", k.Slot, service, err)
	}
	if !ok {
		return fmt.Errorf("%w: slot %d of %s has just changed", ErrNotVacant, k.Slot, service)
	}
	return nil
}
