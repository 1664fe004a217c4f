package dispatcher

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// breaker keeps requests away from an instance that fails. It is told what became
// of packets, at their answer or their deadline; what a backend says with a status
// of its own is no failure.
//
// The state machine is gobreaker's. It is asked only about failures and heartbeats,
// so that what succeeds costs one atomic load for a request and nothing more:
//
//	closed ──failures──▶ open ──open_for──▶ half-open ──heartbeat answered──▶ trial ─▶ closed
//	                      ▲                     │                              │
//	                      └──no answer──────────┴────────any failure───────────┘
//
// A heartbeat says little about requests: a process whose database hangs answers
// heartbeats. So after one the instance gets a few requests at a time, more with
// each that it answers, and the first failure opens the breaker for twice as long.
type breaker struct {
	// Static.
	cfg   BreakerConfig
	meter *meter
	now   func() int64

	isOpen atomic.Bool
	trial  atomic.Int64 // packets that may be at the instance at a time; 0: no bound
	opens  atomic.Int64 // how often it opened

	mu       sync.Mutex // guards the following
	machine  *gobreaker.CircuitBreaker[struct{}]
	trip     bool // the next failure opens the machine
	timeouts int  // calls that timed out, in a row
	repeats  int  // how often it has opened again during a trial
	closesAt int64
}

// Bounds of a trial.
const (
	trialFirst = 1    // a user may have to wait for nothing with each, and it doubles with the first answer
	trialDone  = 1024 // an instance that has answered so many works
	openForMax = 30 * time.Second
)

// failure says how a call failed.
type failure uint8

const (
	failed   failure = iota
	timedOut         // nothing came in time
	refused          // the address takes no connection
)

var errFailed = errors.New("the instance failed")

func (b *breaker) init(cfg BreakerConfig, m *meter, now func() int64) {
	b.cfg, b.meter, b.now = cfg, m, now
	b.machine = b.newMachine()
}

func (b *breaker) newMachine() *gobreaker.CircuitBreaker[struct{}] {
	return gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests: 1,
		Timeout:     b.cfg.OpenFor,
		ReadyToTrip: func(gobreaker.Counts) bool { return b.trip },
	})
}

// allows tells whether a packet may go to an instance that works on open of them.
func (b *breaker) allows(open *atomic.Int64) bool {
	if b.isOpen.Load() {
		return false
	}
	trial := b.trial.Load()
	return trial == 0 || open.Load() < trial
}

// succeeded notes packets that were answered. A call that only deferred its packets
// has none, and says nothing yet.
func (b *breaker) succeeded(packets int) {
	if packets == 0 {
		return
	}
	b.meter.add(b.now(), int64(packets), 0)
	if !b.cfg.Enabled {
		return
	}
	b.mu.Lock()
	b.timeouts = 0
	if trial := b.trial.Load(); trial > 0 {
		if trial += int64(packets); trial >= trialDone {
			trial, b.repeats = 0, 0
		}
		b.trial.Store(trial)
	}
	b.mu.Unlock()
}

// failed notes packets that the instance did not answer. It reports whether the
// breaker has opened by it: what waits for the instance is then to go elsewhere.
func (b *breaker) failed(how failure, packets int) (opened bool) {
	now := b.now()
	b.meter.add(now, 0, int64(packets))
	if !b.cfg.Enabled {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.isOpen.Load() {
		return false
	}
	if how == timedOut {
		b.timeouts++
	}
	t, _, _ := b.meter.total(now)
	all := t.ok + t.failed
	b.trip = how == refused || b.timeouts >= b.cfg.TimeoutsInARow || b.trial.Load() > 0 ||
		all >= int64(b.cfg.MinPackets) && float64(t.failed) >= b.cfg.FailureRatio*float64(all)
	b.executeLocked(errFailed)
	if b.machine.State() != gobreaker.StateOpen {
		return false
	}
	b.openLocked(now)
	return true
}

func (b *breaker) openLocked(now int64) {
	if b.trial.Swap(0) > 0 {
		b.repeats++
	} else {
		b.repeats = 0
	}
	wait := min(b.cfg.OpenFor<<min(b.repeats, 20), openForMax)
	b.closesAt = now + int64(max(wait, b.cfg.OpenFor)+time.Millisecond) // the machine is half-open after its time, not at it
	b.timeouts = 0
	b.opens.Add(1)
	b.isOpen.Store(true)
}

// probed takes in a heartbeat. It reports whether the breaker has closed by it.
func (b *breaker) probed(err error) (closed bool) {
	if !b.isOpen.Load() {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.now() < b.closesAt || !b.isOpen.Load() {
		return false
	}
	b.executeLocked(err)
	if b.machine.State() != gobreaker.StateClosed {
		return false
	}
	b.closeLocked(trialFirst)
	return true
}

// renew closes the breaker: another process has taken the place of the one that
// failed.
func (b *breaker) renew() (closed bool) {
	b.meter.clear(b.now())
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.isOpen.Load() {
		return false
	}
	b.machine, b.repeats = b.newMachine(), 0
	b.closeLocked(trialFirst)
	return true
}

func (b *breaker) closeLocked(trial int64) {
	b.meter.clear(b.now())
	b.timeouts = 0
	b.trial.Store(trial)
	b.isOpen.Store(false)
}

// executeLocked lets the machine see one result. Where it is open it sees nothing.
func (b *breaker) executeLocked(result error) {
	_, _ = b.machine.Execute(func() (struct{}, error) { return struct{}{}, result })
}

// wait returns how long it is until a heartbeat may close the breaker, or false
// when it is not open.
func (b *breaker) wait() (time.Duration, bool) {
	if !b.isOpen.Load() {
		return 0, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Duration(max(0, b.closesAt-b.now())), true
}

// state is what operators are told.
func (b *breaker) state() string {
	switch {
	case !b.cfg.Enabled:
		return "off"
	case b.isOpen.Load():
		return "open"
	case b.trial.Load() > 0:
		return "trial"
	}
	return "closed"
}
