package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	_ "modernc.org/sqlite" // the driver "sqlite", in pure Go
)

// SQLite is the embedded store: one file, one writer at a time, readers beside
// it. Every write is a transaction of its own that is on the disk when Send
// returns (WAL with synchronous=FULL). Several processes may open one file, which
// they share correctly but not fast. Safe for use by many goroutines; it has
// none of its own.
type SQLite struct {
	// static after OpenSQLite
	writes *sql.DB // one connection, the writer's
	reads  *sql.DB
	pull   *sql.Stmt
	cfg    Config
	now    func() time.Time
	m      *metrics

	turn *turn
	w    *writer // owned by the holder of the turn; nil: to be made
}

// OpenSQLite opens the database at cfg.Path, creating it (mode 0600, as its
// companions -wal and -shm) and bringing its tables up to date. Two processes
// that do so at once wait for each other, at most until ctx is done.
func OpenSQLite(ctx context.Context, cfg Config, reg prometheus.Registerer) (*SQLite, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("store config: %w", err)
	}
	if err := createFile(cfg.Path); err != nil {
		return nil, err
	}
	s := &SQLite{cfg: cfg, now: time.Now, turn: newTurn(cfg.WriteQueue, cfg.WriteWait)}
	if err := s.open(ctx, reg); err != nil {
		return nil, errors.Join(fmt.Errorf("database %s: %w", cfg.Path, err), s.Close())
	}
	return s, nil
}

func (s *SQLite) open(ctx context.Context, reg prometheus.Registerer) (err error) {
	if s.writes, err = sql.Open("sqlite", dataSource(s.cfg)); err != nil {
		return err
	}
	s.writes.SetMaxOpenConns(1)
	if err := migrate(ctx, s.writes, s.cfg.Path); err != nil {
		return err
	}
	if s.reads, err = sql.Open("sqlite", dataSource(s.cfg, "query_only(ON)")); err != nil {
		return err
	}
	s.reads.SetMaxOpenConns(s.cfg.Readers)
	s.reads.SetMaxIdleConns(s.cfg.Readers)
	if s.pull, err = s.reads.PrepareContext(ctx, sqlPull); err != nil {
		return err
	}
	if s.m, err = newMetrics(reg, func() float64 { return float64(s.turn.waiting.Load()) }); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// dataSource names the file and what each connection is told first.
func dataSource(cfg Config, pragmas ...string) string {
	q := url.Values{}
	// The wait for the file when another process has it. First, since the next
	// pragma may have to wait.
	q.Add("_pragma", fmt.Sprintf("busy_timeout(%d)", cfg.WriteWait.Milliseconds()))
	q.Add("_pragma", "journal_mode(WAL)")
	// FULL flushes the log at every commit. NORMAL would be about as fast as the
	// disk is slow, and would lose acknowledged messages with the power.
	q.Add("_pragma", "synchronous(FULL)")
	for _, p := range pragmas {
		q.Add("_pragma", p)
	}
	return (&url.URL{Scheme: "file", Opaque: url.PathEscape(cfg.Path), RawQuery: q.Encode()}).String()
}

// Close waits for the write under way and closes the file. What comes later
// fails with ErrNotStored.
func (s *SQLite) Close() error {
	s.turn.token <- struct{}{} // not bounded: the holder is a transaction, which ends
	defer s.turn.give()
	s.w.discard()
	s.w = nil
	var errs []error
	if s.pull != nil {
		errs = append(errs, s.pull.Close())
	}
	for _, db := range []*sql.DB{s.reads, s.writes} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}
