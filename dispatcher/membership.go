package dispatcher

import (
	"context"
	"log/slog"
	"sync"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
)

// membership turns snapshots into tables. It belongs to the goroutine of
// runMembership.
type membership struct {
	d    *Dispatcher
	ctx  context.Context // of Run; instances live at most as long
	wg   sync.WaitGroup  // instances that run, and those that retire
	live map[*service]map[memberKey]*instance
	once sync.Once // the first snapshot
}

// memberKey tells instances apart. A process that came back under another address
// is another one.
type memberKey struct{ id, address string }

// runMembership follows the discovery until ctx is done and returns when every
// instance has stopped.
func (d *Dispatcher) runMembership(ctx context.Context) error {
	m := &membership{d: d, ctx: ctx, live: map[*service]map[memberKey]*instance{}}
	defer m.wg.Wait()
	for version := uint64(0); ; {
		snapshot, err := d.disc.Next(ctx, version)
		if err != nil {
			return nil // only ctx ends it
		}
		version = snapshot.Version
		for _, s := range d.ordered {
			m.apply(s, version, snapshot.Services[s.cfg.Name])
		}
		m.once.Do(func() { close(d.ready) })
	}
}

// apply makes is the membership of s: instances that are new start, the table is
// swapped, and those that are gone finish what they have and stop.
func (m *membership) apply(s *service, version uint64, is discovery.Service) {
	was := m.live[s]
	now := make(map[memberKey]*instance, len(is.Instances))
	t := &table{version: version, slots: make([]*instance, is.Slots), holders: s.table.Load().holdersAfter(is)}
	for _, of := range is.Instances {
		key := memberKey{of.ID, of.Address}
		inst := was[key]
		if inst == nil {
			if inst = m.start(s, of); inst == nil {
				continue
			}
		}
		now[key] = inst
		t.all = append(t.all, inst)
		if of.Slot >= 0 {
			t.slots[of.Slot] = inst
		}
	}
	s.table.Store(t)
	defer s.wake()
	m.live[s] = now
	for key, inst := range was {
		if now[key] == nil {
			m.retire(inst)
		}
	}
}

func (m *membership) start(s *service, of discovery.Instance) *instance {
	inst, err := newInstance(s, of)
	if err != nil { // its slot counts as vacant
		m.d.log.Error("instance cannot be used", slog.String("service", s.cfg.Name), slog.String("instance", of.ID), slog.Any("error", err))
		return nil
	}
	inst.log.Info("instance joined", slog.Int("slot", of.Slot), slog.String("address", of.Address))
	ctx, stop := context.WithCancel(m.ctx)
	inst.stop = stop
	m.wg.Go(func() {
		defer close(inst.done)
		if err := inst.run(ctx); err != nil {
			inst.log.Error("instance stopped", slog.Any("error", err))
		}
	})
	return inst
}

func (m *membership) retire(inst *instance) {
	inst.log.Info("instance left")
	m.wg.Go(func() { inst.retire(m.ctx) })
}
