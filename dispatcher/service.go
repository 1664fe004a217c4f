package dispatcher

import (
	"sync/atomic"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
)

// service is one backend service and the instances that serve it now.
type service struct {
	d       *Dispatcher
	cfg     ServiceConfig
	metrics *serviceMetrics
	table   atomic.Pointer[table] // never nil; replaced whole

	limits atomic.Pointer[ServiceConfig] // cfg with the bounds of the last Reload

	// parked are the lanes that wait for an instance, as their routes want.
	parked heldLanes

	// resyncAt is when an instance last asked for all sessions; 0: never.
	resyncAt atomic.Int64
}

// table is the membership of one service. It is immutable: a change makes a new
// one with a higher version.
type table struct {
	version uint64
	slots   []*instance // by slot; nil where it is vacant
	holders []int64     // by slot: incarnation of whoever held it last; 0: ask the instance
	all     []*instance // slotless ones too, sorted by id
}

func newService(d *Dispatcher, cfg ServiceConfig) *service {
	s := &service{d: d, cfg: cfg}
	s.table.Store(&table{})
	s.limits.Store(&cfg)
	s.metrics = d.metrics.service(s)
	return s
}

// incarnation returns that of the process that held slot last. All gateways draw a
// slot's substitutes by it. Where the discovery does not tell it, it is what the
// slot's instance said of itself.
func (t *table) incarnation(slot int) int64 {
	if told := t.holders[slot]; told != 0 || t.slots[slot] == nil {
		return told
	}
	return t.slots[slot].seen.Load()
}

// holdersAfter returns the holders of the table that follows t.
func (t *table) holdersAfter(is discovery.Service) []int64 {
	holders := make([]int64, is.Slots)
	for slot := range holders {
		if slot < len(is.Holders) {
			holders[slot] = is.Holders[slot].Incarnation
		}
		if holders[slot] == 0 && slot < len(t.slots) {
			holders[slot] = t.incarnation(slot)
		}
	}
	for _, i := range is.Instances {
		if i.Slot >= 0 && i.Slot < len(is.Holders) && is.Holders[i.Slot].Incarnation == 0 {
			holders[i.Slot] = 0 // the instance tells
		}
	}
	return holders
}
