package presence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config holds what an operator may change. Zero values are not defaults: start
// from DefaultConfig.
type Config struct {
	// Lease is how long a gateway counts as alive after it was last heard of.
	Lease time.Duration `koanf:"lease"`
	// Keep is how long after the end of a lease its records are kept, in case the
	// gateway comes back under the same epoch.
	Keep time.Duration `koanf:"keep"`
	// SessionsPerUser bounds the sessions known of one user. One more replaces the
	// oldest: a login whose client left while it was judged leaves a record that no
	// event ends. It must be above what the gateways allow a user.
	SessionsPerUser int `koanf:"sessions_per_user"`
}

// DefaultConfig has a lease of three missed heartbeats, and room for four times
// the sessions that gateways allow a user by default.
func DefaultConfig() Config {
	return Config{Lease: 10 * time.Second, Keep: time.Hour, SessionsPerUser: 64}
}

// Validate reports every setting that cannot work, not only the first.
func (c Config) Validate() error {
	var errs []error
	if c.Lease < time.Second {
		errs = append(errs, fmt.Errorf("lease: %v, want at least 1s", c.Lease))
	}
	if c.Keep < c.Lease {
		errs = append(errs, fmt.Errorf("keep: %v, want at least the lease %v", c.Keep, c.Lease))
	}
	if c.SessionsPerUser < 1 {
		errs = append(errs, fmt.Errorf("sessions_per_user: %d, want at least 1", c.SessionsPerUser))
	}
	return errors.Join(errs...)
}

// Memory keeps presence in this process: right for one logic process, lost with
// it. All methods are quick, never block on anything but its lock, and may be
// called from any goroutine. Their errors are always nil; they are there because
// other implementations cross a network.
type Memory struct {
	cfg Config
	now func() time.Time

	mu     sync.RWMutex // guards the following
	leases map[Gateway]time.Time
	users  map[string][]Record
	count  int // of records
}

// NewMemory returns an empty Memory by the clock now.
func NewMemory(cfg Config, now func() time.Time, reg prometheus.Registerer) (*Memory, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("presence config: %w", err)
	}
	m := &Memory{cfg: cfg, now: now, leases: map[Gateway]time.Time{}, users: map[string][]Record{}}
	for _, g := range []struct {
		name, help string
		value      func() int
	}{
		{"holdfast_presence_records", "Sessions known, those of lapsed gateways included.", func() int { return m.count }},
		{"holdfast_presence_users", "Users with a known session.", func() int { return len(m.users) }},
		{"holdfast_presence_leases", "Gateway epochs known, lapsed ones included.", func() int { return len(m.leases) }},
	} {
		value := func() float64 {
			m.mu.RLock()
			defer m.mu.RUnlock()
			return float64(g.value())
		}
		if err := reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: g.name, Help: g.help}, value)); err != nil {
			return nil, fmt.Errorf("presence metrics: %w", err)
		}
	}
	return m, nil
}

// Renew starts or renews the lease of a gateway. known tells whether it had one
// that was kept: if not, nothing is known of its sessions, and it should be asked
// to announce them.
func (m *Memory) Renew(_ context.Context, g Gateway) (known bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, known = m.leases[g]
	m.leases[g] = m.now()
	return known, nil
}

// Put writes the record of a session, replacing the session's former one. It
// starts the lease of a gateway that has none: whoever knows of a session there
// has just heard of the gateway.
func (m *Memory) Put(_ context.Context, r Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if _, ok := m.leases[r.Gateway]; !ok {
		m.leases[r.Gateway] = now
	}
	r.Since = now
	records := m.users[r.UID]
	if i := slices.IndexFunc(records, func(o Record) bool { return o.Session == r.Session }); i >= 0 {
		records[i] = r
		return nil
	}
	if len(records) >= m.cfg.SessionsPerUser {
		oldest := 0
		for i := range records {
			if records[i].Since.Before(records[oldest].Since) {
				oldest = i
			}
		}
		records = slices.Delete(records, oldest, oldest+1)
		m.count--
	}
	m.users[r.UID] = append(records, r)
	m.count++
	return nil
}

// Remove forgets a session. It is no error when there is no record of it.
func (m *Memory) Remove(_ context.Context, uid, session string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.filterLocked(uid, func(r Record) bool { return r.Session == session })
	return nil
}

// Online returns the sessions of the given users whose gateways live, in no
// particular order.
func (m *Memory) Online(_ context.Context, uids ...string) ([]Record, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out []Record
	now := m.now()
	for _, uid := range uids {
		for _, r := range m.users[uid] {
			if now.Sub(m.leases[r.Gateway]) < m.cfg.Lease {
				out = append(out, r)
			}
		}
	}
	return out, nil
}

// Sweep forgets the gateways whose leases lapsed longer than Keep ago, and their
// records. It looks at every user, so it is for once in a while.
func (m *Memory) Sweep(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, gone := m.now(), map[Gateway]bool{}
	for g, renewed := range m.leases {
		if now.Sub(renewed) >= m.cfg.Lease+m.cfg.Keep {
			gone[g] = true
			delete(m.leases, g)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	for uid := range m.users {
		m.filterLocked(uid, func(r Record) bool { return gone[r.Gateway] })
	}
	return nil
}

// filterLocked removes the records of a user that drop chooses.
func (m *Memory) filterLocked(uid string, drop func(Record) bool) {
	before := m.users[uid]
	after := slices.DeleteFunc(before, drop)
	m.count -= len(before) - len(after)
	if len(after) == 0 {
		delete(m.users, uid)
		return
	}
	m.users[uid] = after
}
