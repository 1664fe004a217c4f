package logic

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/backend/logic/keys"
	"github.com/holdfast-io/holdfast/backend/presence"
	"github.com/holdfast-io/holdfast/backend/store"
)

// openTimeout bounds the opening of the database, during which another process
// may be making it.
const openTimeout = 30 * time.Second

// Store keeps messages. See package store for what it promises.
type Store interface {
	Send(ctx context.Context, d store.Draft, committed func(store.Stored)) (store.Stored, error)
	Pull(ctx context.Context, p store.Page) (entries []store.Entry, more bool, err error)
	Close() error
}

// Service is the reference backend. New opens what it stands on, Run serves.
type Service struct {
	// static after New
	cfg      Config
	log      *slog.Logger
	m        *metrics
	ring     *keys.Ring
	store    Store
	presence Presence
	kit      *kit.Server
	delivery *delivery

	failures rate.Sometimes // bounds what is logged of a failing store
}

// New opens the data folder, its keys and its database, creating what is not
// there. Nothing listens yet; Run does, and closes what New opened. Without Run,
// call Close.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) (_ *Service, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("logic config: %w", err)
	}
	s := &Service{cfg: cfg, log: log.With("component", "logic"), failures: rate.Sometimes{Interval: time.Second}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.ring, s.cfg.Store.Path, err = openKeys(cfg, s.log); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	db, err := store.OpenSQLite(ctx, s.cfg.Store, reg)
	if err != nil {
		return nil, err
	}
	s.store = db
	if s.presence, err = presence.NewMemory(cfg.Presence, time.Now, reg); err != nil {
		return nil, err
	}
	return s, s.join(reg)
}

// join makes the parts that need each other.
func (s *Service) join(reg prometheus.Registerer) (err error) {
	s.kit, err = kit.New(s.cfg.Kit, kit.Backend{
		Connect: s.connect, Handle: s.handle, Events: s.events, GatewaySeen: s.gatewaySeen,
	}, s.log, reg)
	if err != nil {
		return err
	}
	s.delivery = newDelivery(s.cfg.Delivery, s.presence, s.kit.Pusher(), s.log)
	if s.m, err = newMetrics(reg, s.delivery.waiting); err != nil {
		return fmt.Errorf("logic metrics: %w", err)
	}
	s.delivery.m = s.m
	return nil
}

// openKeys returns the keys that judge tokens and the path of the database: both
// from the data folder unless the configuration names others.
func openKeys(cfg Config, log *slog.Logger) (*keys.Ring, string, error) {
	var list []keys.Key
	path := cfg.Store.Path
	for _, c := range cfg.Keys {
		k, err := keys.Load(c)
		if err != nil {
			return nil, "", err
		}
		list = append(list, k)
	}
	switch {
	case len(list) == 0:
		folder, err := keys.OpenFolder(cfg.Data, log)
		if err != nil {
			return nil, "", err
		}
		list = append(list, folder.Key)
		if path == "" {
			path = folder.Database()
		}
	case path == "":
		if err := keys.MakeFolder(cfg.Data, log); err != nil {
			return nil, "", err
		}
		path = keys.Folder{Path: cfg.Data}.Database()
	}
	ring, err := keys.NewRing(cfg.Tokens, time.Now, list...)
	return ring, path, err
}

// Ready is closed when the service can be reached.
func (s *Service) Ready() <-chan struct{} { return s.kit.Ready() }

// Addr returns where the service listens; after Ready.
func (s *Service) Addr() net.Addr { return s.kit.Addr() }

// Incarnation names this life of the process.
func (s *Service) Incarnation() int64 { return s.kit.Incarnation() }

// Pause makes the service refuse what comes, or takes it back. See kit.Server.Pause.
func (s *Service) Pause(on bool) { s.kit.Pause(on) }

// Run serves until ctx is done, then drains: the kit's handlers end first, then
// what they have stored is pushed, then the database is closed. It returns after
// every goroutine of the service has ended. A plain shutdown is not an error.
func (s *Service) Run(ctx context.Context) error {
	defer func() {
		if err := s.Close(); err != nil {
			s.log.Error("close", "error", err)
		}
	}()
	s.log.Info("logic runs", "database", s.cfg.Store.Path, "presence", "memory")
	served, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var g errgroup.Group
	g.Go(func() error {
		defer stop() // the others serve the handlers, so they end after them
		return s.kit.Run(ctx)
	})
	g.Go(func() error { return s.delivery.run(served) })
	g.Go(func() error { return s.sweep(served) })
	return g.Wait()
}

// Close closes the database. Run does so by itself.
func (s *Service) Close() error {
	if s.store == nil {
		return nil
	}
	return s.store.Close()
}
