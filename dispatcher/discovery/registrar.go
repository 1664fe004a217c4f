package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/dispatcher/discovery/claim"
)

// Registrar announces instances of this process.
type Registrar interface {
	// Register announces r until ctx is done, and then takes it back. It runs on
	// while nobody can be told. A plain end is no error; ErrSuperseded is the one
	// reason to stop by itself.
	Register(ctx context.Context, r Registration) error
}

// ErrSuperseded means that another process announces the same instance. It has
// taken over.
var ErrSuperseded = errors.New("discovery: another process has taken over this instance's id")

// ConsulRegistrar announces instances in Consul. What Consul has lost it tells
// again, within 10 s of being able to with the default configuration.
//
// A registration has a TTL check: the process itself gives the signs of life. A
// check by which the agent dials would pass for a frozen process, whose kernel
// still takes connections, and cannot dial a unix socket of another host.
type ConsulRegistrar struct {
	cfg     ConsulConfig
	client  *consulClient
	log     *slog.Logger
	metrics *seatMetrics
}

var _ Registrar = (*ConsulRegistrar)(nil)

// NewConsulRegistrar returns a registrar that has announced nothing.
func NewConsulRegistrar(cfg ConsulConfig, log *slog.Logger, reg prometheus.Registerer) (*ConsulRegistrar, error) {
	client, err := newConsulClient(cfg)
	if err != nil {
		return nil, err
	}
	metrics, err := newSeatMetrics(reg)
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	return &ConsulRegistrar{cfg: cfg, client: client, log: log.With("component", "registration"), metrics: metrics}, nil
}

// Register implements Registrar. It may run for several services at once, but only
// once for each. It returns after at most four calls to Consul once ctx is done.
func (c *ConsulRegistrar) Register(ctx context.Context, r Registration) error {
	if err := r.Validate(); err != nil {
		return fmt.Errorf("register %s: %w", r.Service, err)
	}
	defer c.client.close()
	c.metrics.begin(r.Service)
	s := c.newSeat(r)
	err := s.run(ctx)
	// What ctx has ended is told without it; each call has a deadline of its own.
	s.leave(context.WithoutCancel(ctx))
	return err
}

func (c *ConsulRegistrar) newSeat(r Registration) *seat {
	s := &seat{
		cfg: c.cfg, client: c.client, metrics: c.metrics, reg: r,
		log:   c.log.With("service", r.Service, "instance", r.ID),
		rules: claim.Rules{Hold: c.cfg.SlotHold, Settle: c.cfg.Settle},
		self:  claim.Self{ID: r.ID, Incarnation: r.Incarnation, Fixed: claim.None, Slot: claim.None},
		views: make(chan slotKeys, 1), away: make(chan error, 1),
	}
	if r.Slot >= 0 {
		s.self.Fixed, s.self.Slot = r.Slot, r.Slot
	}
	if c.cfg.Folder != "" {
		s.memory = filepath.Join(c.cfg.Folder, "slot-"+r.Service+"-"+r.ID)
	}
	return s
}

// slotMemory is what a data folder remembers of an instance's slot.
type slotMemory struct {
	Slot  int    `json:"slot"`
	Claim uint64 `json:"claim"`
}

const kindSlot = "slot"

// remember keeps the slot for the next start.
func (s *seat) remember() {
	if s.memory == "" {
		return
	}
	if err := saveKept(s.memory, kindSlot, slotMemory{s.self.Slot, s.self.Claim}); err != nil {
		s.log.Error("the slot cannot be remembered for the next start", slog.Any("error", err))
	}
}

// recall reads which slot was held before. A number that the configuration gives
// is stronger.
func (s *seat) recall() {
	if s.memory == "" {
		return
	}
	var m slotMemory
	found, err := loadKept(s.memory, kindSlot, &m)
	switch {
	case err != nil:
		s.log.Error("which slot was held before is not known", slog.Any("error", err))
	case !found || m.Slot < 0 || m.Slot > SlotMax:
	case s.self.Fixed == claim.None || s.self.Fixed == m.Slot:
		s.self.Slot, s.self.Claim = m.Slot, m.Claim
	}
}

// every is how often a seat gives a sign of life.
func (s *seat) every() time.Duration { return s.cfg.CheckTTL / 3 }
