package discovery

import (
	"fmt"
	"slices"
	"sync"
)

// Memory is a Discovery for instances of the same process and for tests. A slot
// outlives its holder, as it does in a real registry: n never shrinks by itself.
type Memory struct {
	publisher

	mu        sync.Mutex // guards the following; held across publish, so versions follow the changes
	instances []Instance
	held      map[string][]Holder // who has held each service's slots
}

var _ Discovery = (*Memory)(nil)

// NewMemory returns a Memory without instances. Its first snapshot is there at
// once, and empty.
func NewMemory() *Memory {
	m := &Memory{held: map[string][]Holder{}}
	m.publish(map[string]Service{})
	return m
}

// Register adds an instance, or replaces the one with its service and id. Where
// Slot is NoSlot it takes the lowest vacant slot, else a new one on top, and
// returns the instance with the slot it got.
func (m *Memory) Register(i Instance) (Instance, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	others := m.without(i.Service, i.ID)
	if i.Slot == NoSlot {
		i.Slot = lowestVacant(others, i.Service)
	}
	all := append(others, i)
	if err := m.replaceLocked(all); err != nil {
		return Instance{}, fmt.Errorf("register: %w", err)
	}
	return i, nil
}

// Deregister removes an instance; its slot stays, vacant. It does nothing when
// there is no such instance.
func (m *Memory) Deregister(service, id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rest := m.without(service, id)
	if len(rest) == len(m.instances) {
		return
	}
	if err := m.replaceLocked(rest); err != nil {
		panic("discovery: a part of a valid membership is not valid: " + err.Error())
	}
}

// Retire takes away the vacant slots on top of service, so that n shrinks to the
// highest slot that an instance holds, plus one. Who held the vacant ones below is
// forgotten.
func (m *Memory) Retire(service string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.held, service)
	if err := m.replaceLocked(m.instances); err != nil {
		panic("discovery: a valid membership is not valid: " + err.Error())
	}
}

func (m *Memory) replaceLocked(all []Instance) error {
	services, err := build(all, m.held)
	if err != nil {
		return err
	}
	m.instances = all
	for name, s := range services {
		m.held[name] = s.Holders
	}
	m.publish(services)
	return nil
}

func (m *Memory) without(service, id string) []Instance {
	return slices.DeleteFunc(slices.Clone(m.instances), func(o Instance) bool {
		return o.Service == service && o.ID == id
	})
}

// lowestVacant returns the lowest slot of service that nobody in all holds.
func lowestVacant(all []Instance, service string) int {
	taken := map[int]bool{}
	for _, i := range all {
		if i.Service == service {
			taken[i.Slot] = true
		}
	}
	for slot := 0; ; slot++ {
		if !taken[slot] {
			return slot
		}
	}
}
