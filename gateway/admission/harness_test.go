package admission

import (
	"bytes"
	"log/slog"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// world is what a gate under test stands in: a clock that moves when told, and
// memory that is as full as told.
type world struct {
	clock       atomic.Int64 // ms
	descriptors int64
	idleMax     int
	memory      fakeMemory
	logs        lockedBuffer
	reg         *prometheus.Registry
}

func newWorld() *world {
	w := &world{descriptors: math.MaxInt64, idleMax: idleMax, reg: prometheus.NewRegistry()}
	w.clock.Store(1)
	return w
}

func (w *world) advance(ms int64) { w.clock.Add(ms) }

func (w *world) gate(t testing.TB, cfg Config) *Gate {
	t.Helper()
	log := slog.New(slog.NewTextHandler(&w.logs, nil))
	g, err := newGate(cfg, w.clock.Load, log, w.reg, system{func() int64 { return w.descriptors }, &w.memory, w.idleMax})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// count is the value of a series.
func (w *world) count(t testing.TB, name string, labels map[string]string) float64 {
	t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			found := true
			for _, l := range m.GetLabel() {
				text, asked := labels[l.GetName()]
				found = found && (!asked || text == l.GetValue())
			}
			if found {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no series %s%v", name, labels)
	return 0
}

func (w *world) refusals(t testing.TB, r Reason, dryRun string) float64 {
	t.Helper()
	return w.count(t, "holdfast_admission_refusals_total", map[string]string{"reason": r.String(), "dry_run": dryRun})
}

// fakeMemory is a memorySource that says what it is told to.
type fakeMemory struct {
	limit, used, keep, released atomic.Int64
	err                         atomic.Pointer[error]
}

func (m *fakeMemory) Limit() (int64, string) {
	if n := m.limit.Load(); n > 0 {
		return n, "/sys/fs/cgroup/test"
	}
	return 0, ""
}

func (m *fakeMemory) Used(string) (int64, error) {
	if err := m.err.Load(); err != nil {
		return 0, *err
	}
	return m.used.Load(), nil
}
func (m *fakeMemory) KeepTo(n int64) { m.keep.Store(n) }
func (m *fakeMemory) Release()       { m.released.Add(1) }

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

// want fails unless a verdict is the one that was expected; Admitted is "let in".
func want(t testing.TB, what string, r Refusal, ok bool, reason Reason) {
	t.Helper()
	if r.Reason != reason || ok != (reason == Admitted) {
		t.Fatalf("%s = %q %t, want %q", what, r.Reason, ok, reason)
	}
}
