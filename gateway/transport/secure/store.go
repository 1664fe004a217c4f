package secure

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// watchEvery is how often the files are looked at. It costs four calls of
// stat(2) a certificate.
const watchEvery = 2 * time.Second

// expiryWarning is how long before its end a certificate that is not renewed is
// worth a line in the log, once a day.
const expiryWarning = 14 * 24 * time.Hour

// Store holds the certificates of one listener. Handshakes that begin after a
// reload get the new ones; nothing happens to connections.
type Store struct {
	// static
	log     *slog.Logger
	metrics *Metrics
	tls     *tls.Config
	every   time.Duration

	served atomic.Pointer[served]

	mu     sync.Mutex // guards the following, and is held while files are read
	pairs  []pair
	warned time.Time // when a certificate's end was told of last
}

// NewStore reads the certificates of cfg. Each must be whole; one that has
// expired is served all the same, since other clients may not care, but logged.
func NewStore(cfg Config, log *slog.Logger, m *Metrics) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	if !cfg.Enabled() {
		return nil, errors.New("tls: certificates: none")
	}
	s := &Store{log: log, metrics: m, every: watchEvery}
	s.tls = &tls.Config{
		GetCertificate:         s.certificate,
		NextProtos:             Protocols,
		MinVersion:             versions[cfg.MinVersion],
		SessionTicketsDisabled: !cfg.SessionTickets,
		// Small first records help a browser that shows half a page. A frame is
		// of use only when it is whole, so records are as long as they may be.
		DynamicRecordSizingDisabled: true,
	}
	now := time.Now()
	var errs []error
	for _, files := range cfg.Certificates {
		p := pair{files: files}
		p.seen, _ = look(files, now) // read says what is wrong
		p.cert, p.err = read(files)
		s.pairs = append(s.pairs, p)
		errs = append(errs, p.err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	s.serve(now)
	return s, nil
}

// TLS is the configuration for NewConn. It is the same at each call: its session
// ticket keys, which crypto/tls changes daily, live in it. It must not be changed.
func (s *Store) TLS() *tls.Config { return s.tls }

func (s *Store) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return s.served.Load().choose(hello), nil
}

// Reload reads all files now. A pair that cannot be served keeps its old
// certificate, and the error says why; the others are replaced. The outcome is
// in log and metric.
func (s *Store) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reloadLocked(time.Now(), true)
}

// Run watches the files until ctx is done, and reloads those that have changed.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.mu.Lock()
			_ = s.reloadLocked(time.Now(), false) // it is in log and metric
			s.mu.Unlock()
		}
	}
}

// reloadLocked reads the pairs whose files have changed, or all. A pair that
// failed is read again each time, and so is one that was written to just now,
// without a word while nothing is new.
func (s *Store) reloadLocked(now time.Time, all bool) error {
	var errs []error
	changed, told := 0, all
	for i := range s.pairs {
		p := &s.pairs[i]
		at, err := look(p.files, now)
		touched := err != nil || !at.same(p.seen)
		if !all && !touched && !p.seen.fresh && p.err == nil {
			continue
		}
		before := p.err
		replaced := p.reload(now)
		p.seen = at
		if replaced {
			changed++
		}
		news := replaced || text(p.err) != text(before)
		if told = told || news; p.err != nil {
			errs = append(errs, fmt.Errorf("certificates[%d]: %w", i, p.err))
			if news || all {
				s.log.Warn("tls certificate not reloaded, the old one is kept", "cert", p.files.Cert, "error", p.err)
			}
		}
	}
	if changed > 0 {
		s.serve(now)
	}
	s.warnLocked(now)
	err := errors.Join(errs...)
	if told {
		s.metrics.reloaded(err)
		if err == nil {
			s.log.Info("tls certificates reloaded", "replaced", changed)
		}
	}
	return err
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// reload reads the pair and reports whether there is a new certificate.
func (p *pair) reload(now time.Time) bool {
	cert, err := read(p.files)
	if err == nil && now.After(cert.Leaf.NotAfter) && now.Before(p.cert.Leaf.NotAfter) {
		err = fmt.Errorf("%s: expired on %s", p.files.Cert, cert.Leaf.NotAfter.Format(time.RFC3339))
	}
	if p.err = err; err != nil {
		return false
	}
	if p.cert.Leaf.Equal(cert.Leaf) && len(p.cert.Certificate) == len(cert.Certificate) {
		same := true
		for i, der := range cert.Certificate {
			same = same && string(der) == string(p.cert.Certificate[i])
		}
		if same {
			return false
		}
	}
	p.cert = cert
	return true
}

// serve lets new handshakes get what pairs holds. The caller holds mu, or is the
// constructor.
func (s *Store) serve(now time.Time) {
	served := newServed(s.pairs)
	s.served.Store(served)
	s.metrics.expires(served.expiry)
	s.warned = time.Time{}
	s.warnLocked(now)
}

// warnLocked says once a day that a certificate is about to expire, or has.
func (s *Store) warnLocked(now time.Time) {
	if now.Sub(s.warned) < 24*time.Hour {
		return
	}
	for _, p := range s.pairs {
		if left := p.cert.Leaf.NotAfter.Sub(now); left < expiryWarning {
			s.warned = now
			s.log.Warn("tls certificate expires", "cert", p.files.Cert, "not_after", p.cert.Leaf.NotAfter)
		}
	}
}
