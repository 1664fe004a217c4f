package discovery

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/holdfast-io/holdfast/dispatcher/discovery/claim"
)

// seat is one registration: its slot, its session and its entry in the catalog.
// All of it belongs to the goroutine of run; another one only reads the keys.
type seat struct {
	// Static.
	cfg     ConsulConfig
	client  *consulClient
	metrics *seatMetrics
	log     *slog.Logger
	reg     Registration
	rules   claim.Rules
	memory  string // file; empty: none

	views chan slotKeys // the newest that nobody has taken
	away  chan error    // Consul did not answer

	self       claim.Self
	view       *slotKeys // nil: unknown, or changed by ourselves since
	known      []claim.Key
	generation string    // of the registry that known comes from
	unsettled  time.Time // since when the registry is seen not settled; zero: it is
	newest     string    // the generation that unsettled counts for

	standing   Standing
	registered bool
	retry      backoff
	complained string // what was logged last of what is not right
}

// run announces the registration until ctx is done.
func (s *seat) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	reading := make(chan struct{})
	if s.reg.Slot == NoSlot {
		close(reading)
		s.stand(Standing{Serving: true, Slot: NoSlot, Confirmed: true})
	} else {
		s.recall()
		go func() {
			defer close(reading)
			s.read(ctx)
		}()
	}
	defer func() { stop(); <-reading }()

	life := time.NewTicker(s.every())
	defer life.Stop()
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case v := <-s.views:
			s.saw(v)
		case err := <-s.away:
			s.alone(err)
		case <-life.C:
			s.live(ctx)
		case <-again.C:
		}
		wait, err := s.step(ctx)
		if err != nil {
			return err
		}
		again.Reset(wait)
	}
}

// read follows the keys of the slots. The newest answer replaces one that run has
// not taken yet.
func (s *seat) read(ctx context.Context) {
	s.client.follow(ctx, func(q *api.QueryOptions) (func(), *api.QueryMeta, error) {
		keys, meta, err := s.client.fetchKeys(s.reg.Service, q)
		return func() {
			select {
			case <-s.views:
			default:
			}
			s.views <- keys // there is room: nobody else writes
		}, meta, err
	}, func(err error) {
		select {
		case s.away <- err:
		default:
		}
	})
}

// saw takes in what the slots look like now.
func (s *seat) saw(v slotKeys) {
	s.view, s.retry = &v, backoff{}
	switch {
	case v.registry != nil && v.registry.Settled:
		s.unsettled, s.newest = time.Time{}, ""
		s.known, s.generation = v.keys, v.registry.Generation
		return
	case s.unsettled.IsZero(), v.registry == nil && s.newest != "", v.registry != nil && s.newest != "" && s.newest != v.registry.Generation:
		s.unsettled = time.Now() // new, or lost once more
	}
	s.newest = ""
	if v.registry != nil {
		s.newest = v.registry.Generation
	}
}

// alone goes on without Consul: what is remembered is served.
func (s *seat) alone(err error) {
	s.complain("Consul does not answer", slog.Any("error", err))
	if !s.standing.Serving && s.self.Slot != claim.None {
		s.stand(Standing{Serving: true, Slot: s.self.Slot})
	}
}

// live gives a sign of life, and finds out what Consul has lost.
func (s *seat) live(ctx context.Context) {
	if s.self.Session != "" {
		if there, err := s.client.renewSession(ctx, s.self.Session); err == nil && !there {
			s.self.Session = ""
		}
	}
	s.markGone(ctx)
	if !s.registered {
		return
	}
	switch err := s.client.touch(ctx, s.reg); {
	case err == nil:
	case answered(err):
		s.registered = false
		s.metrics.registered.WithLabelValues(s.reg.Service).Set(0)
		s.metrics.repaired.WithLabelValues(s.reg.Service).Inc()
		s.log.Warn("Consul has lost the registration", slog.Any("error", err))
	default:
		s.complain("no sign of life reaches Consul", slog.Any("error", err))
	}
}

// answered tells an error that Consul answered from one of not reaching it.
func answered(err error) bool {
	var status api.StatusError
	return errors.As(err, &status) && status.Code < 500
}

// step does whatever there is to do, and says after how long to look again, if
// nothing happens before.
func (s *seat) step(ctx context.Context) (time.Duration, error) {
	wait := never
	if s.reg.Slot != NoSlot {
		at, err := s.claimStep(ctx)
		if errors.Is(err, ErrSuperseded) {
			s.stand(Standing{})
			return 0, err
		}
		if err != nil {
			s.complain("the slot cannot be claimed", slog.Any("error", err))
		}
		wait = min(wait, at)
	}
	// What is only remembered may be another's by now, so others are not told of it.
	if s.standing.Serving && s.standing.Confirmed && !s.registered {
		err := s.client.register(ctx, s.reg, s.standing.Slot)
		if err == nil {
			// An agent that restarts before the first sign of life would bring it back as
			// critical.
			err = s.client.touch(ctx, s.reg)
		}
		if err != nil {
			s.complain("the registration fails", slog.Any("error", err))
			return min(wait, s.retry.next()), nil
		}
		s.registered, s.retry = true, backoff{}
		s.complained = ""
		s.metrics.registered.WithLabelValues(s.reg.Service).Set(1)
		s.log.Info("registered", slog.Int("slot", s.standing.Slot), slog.String("address", s.reg.Address))
	}
	return wait, nil
}

// stand tells whether the instance may serve, when that has changed.
func (s *seat) stand(now Standing) {
	if !now.Serving {
		now.Slot = NoSlot
	}
	if now == s.standing {
		return
	}
	s.standing = now
	s.metrics.slot.WithLabelValues(s.reg.Service).Set(float64(now.Slot))
	s.log.Info("standing", slog.Bool("serving", now.Serving), slog.Int("slot", now.Slot), slog.Bool("confirmed", now.Confirmed))
	if s.reg.Tell != nil {
		s.reg.Tell(now)
	}
}

// complain logs what is not right, once until something else is not.
func (s *seat) complain(what string, attrs ...any) {
	if s.complained != what {
		s.complained = what
		s.log.Warn(what, attrs...)
	}
}

// leave takes everything back. Where Consul does not answer it gives up at the
// first call: the check and the session run out by themselves.
func (s *seat) leave(ctx context.Context) {
	s.metrics.slot.WithLabelValues(s.reg.Service).Set(NoSlot)
	err := s.withdraw(ctx)
	if err == nil && s.self.Confirmed && s.self.Session != "" {
		k := s.ownKey()
		// One that remembers its slot comes back to it; for another it would wait in vain.
		if s.memory == "" && s.self.Fixed == claim.None {
			k.Free = true
		}
		k.Gone = time.Now()
		err = s.client.unlockKey(ctx, s.reg.Service, k)
	}
	if err == nil && s.self.Session != "" {
		err = s.client.endSession(ctx, s.self.Session)
	}
	if err != nil {
		s.log.Warn("left without telling Consul all of it", slog.Any("error", err))
	}
}

// withdraw takes the registration out of the catalog.
func (s *seat) withdraw(ctx context.Context) error {
	if !s.registered {
		return nil
	}
	s.registered = false
	s.metrics.registered.WithLabelValues(s.reg.Service).Set(0)
	return s.client.deregister(ctx, s.reg)
}

// ownKey is the key that says that this instance holds its slot.
func (s *seat) ownKey() claim.Key {
	return claim.Key{
		Slot: s.self.Slot, Holder: s.self.ID, Incarnation: s.self.Incarnation, Address: s.reg.Address,
		Claim: s.self.Claim, Session: s.self.Session,
	}
}
