package dispatcher

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
)

// membership turns snapshots into tables.
type membership struct {
	d    *Dispatcher
	once sync.Once      // the first snapshot
	wg   sync.WaitGroup // instances that run, and those that retire

	mu       sync.Mutex      // guards the following; held while tables are made
	ctx      context.Context // of Run; instances live at most as long. Nil: not running
	snapshot *discovery.Snapshot
	live     map[*service]map[memberKey]*instance
}

// memberKey tells instances apart. A process that came back under another address
// is another one.
type memberKey struct{ id, address string }

func newMembership(d *Dispatcher) *membership {
	return &membership{d: d, live: map[*service]map[memberKey]*instance{}}
}

// runMembership follows the discovery until ctx is done and returns when every
// instance has stopped.
func (d *Dispatcher) runMembership(ctx context.Context) error {
	m := d.members
	m.begin(ctx)
	defer m.wg.Wait()
	defer m.end()
	for version := uint64(0); ; {
		snapshot, err := d.disc.Next(ctx, version)
		if err != nil {
			return nil // only ctx ends it
		}
		version = snapshot.Version
		m.take(snapshot)
		m.once.Do(func() { close(d.ready) })
	}
}

// begin lets instances start, and run until ctx is done.
func (m *membership) begin(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ctx = ctx
}

// end lets no more instances start.
func (m *membership) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ctx = nil
}

// take makes tables of a snapshot.
func (m *membership) take(snapshot *discovery.Snapshot) {
	m.mu.Lock()
	m.snapshot = snapshot
	m.applyLocked()
	m.mu.Unlock()
	m.wake()
}

// follow makes tables again: there are other services than before.
func (m *membership) follow() {
	m.mu.Lock()
	m.applyLocked()
	m.mu.Unlock()
	m.wake()
}

func (m *membership) wake() {
	for _, s := range m.d.services() {
		s.wake()
	}
}

// applyLocked brings each service to the snapshot. Those that are configured no
// longer have no instances.
func (m *membership) applyLocked() {
	if m.ctx == nil || m.snapshot == nil {
		return
	}
	used := m.d.services()
	for _, s := range used {
		m.apply(s, m.snapshot.Version, m.snapshot.Services[s.cfg.Name])
	}
	for s := range m.live {
		if !slices.Contains(used, s) {
			m.apply(s, m.snapshot.Version, discovery.Service{})
			delete(m.live, s)
			s.wake()
		}
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
