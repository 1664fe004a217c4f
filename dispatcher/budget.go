package dispatcher

import (
	"sync"
	"time"
)

// budget bounds how many packets are sent again: a share of those that are sent
// for the first time, and so many a second in any case. It keeps retries from
// making an overload worse. Its lock is taken once for a call.
type budget struct {
	cfg RetryConfig

	mu   sync.Mutex // guards the following
	left float64
	at   int64 // when the time up to then was credited
}

// What is saved up while all is well is bounded, so that an outage does not begin
// with a burst: seconds of the fixed part, and first attempts of the share. It has
// to cover what fails at once when an instance dies, which is a batch or two.
const (
	budgetSeconds = 1
	budgetPackets = 1000
)

func (b *budget) init(cfg RetryConfig) { b.cfg = cfg }

// earn credits packets that are sent for the first time.
func (b *budget) earn(now int64, packets int) {
	b.mu.Lock()
	b.creditLocked(now, packets)
	b.mu.Unlock()
}

func (b *budget) creditLocked(now int64, packets int) {
	b.left += b.cfg.Ratio*float64(packets) + b.cfg.PerSecond*time.Duration(max(0, now-b.at)).Seconds()
	b.left = min(b.left, b.cfg.Ratio*budgetPackets+b.cfg.PerSecond*budgetSeconds)
	b.at = max(b.at, now)
}

// spend takes packets off the budget, all or none.
func (b *budget) spend(now int64, packets int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.creditLocked(now, 0)
	if b.left < float64(packets) {
		return false
	}
	b.left -= float64(packets)
	return true
}
