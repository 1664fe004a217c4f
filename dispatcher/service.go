package dispatcher

import (
	"sync/atomic"
)

// service is one backend service and the instances that serve it now.
type service struct {
	d       *Dispatcher
	cfg     ServiceConfig
	metrics *serviceMetrics
	table   atomic.Pointer[table] // never nil; replaced whole

	// resyncAt is when an instance last asked for all sessions; 0: never.
	resyncAt atomic.Int64
}

// table is the membership of one service. It is immutable: a change makes a new
// one with a higher version.
type table struct {
	version uint64
	slots   []*instance // by slot; nil where it is vacant
	all     []*instance // slotless ones too, sorted by id
}

func newService(d *Dispatcher, cfg ServiceConfig) *service {
	s := &service{d: d, cfg: cfg}
	s.table.Store(&table{})
	s.metrics = d.metrics.service(s)
	return s
}
