package dispatcher

import "sync/atomic"

// load counts what one instance has to do, and bounds it. Its methods may be
// called from any goroutine.
type load struct {
	maxWaiting, maxBytes, maxOpen atomic.Int64
	freed                         func() // static; called when there is room again after a worker found none

	waiting atomic.Int64 // packets in lanes of this instance, not sent
	bytes   atomic.Int64 // their payloads
	open    atomic.Int64 // sent and neither answered nor given up; deferred ones included
	full    atomic.Bool  // a worker found no room
}

// limit sets the bounds.
func (l *load) limit(cfg *ServiceConfig) {
	l.maxWaiting.Store(int64(cfg.MaxQueued))
	l.maxBytes.Store(int64(cfg.MaxQueuedBytes))
	l.maxOpen.Store(int64(cfg.MaxOutstanding))
}

// admit counts a packet that is to wait, or says why it may not.
func (l *load) admit(bytes int) Reason {
	if l.waiting.Add(1) > l.maxWaiting.Load() {
		l.waiting.Add(-1)
		return ReasonQueueFull
	}
	if l.bytes.Add(int64(bytes)) > l.maxBytes.Load() {
		l.release(bytes)
		return ReasonQueueFull
	}
	return noReason
}

// release takes back an admit.
func (l *load) release(bytes int) {
	l.waiting.Add(-1)
	l.bytes.Add(int64(-bytes))
}

// room returns how many packets may be sent now. When it is none, freed is called
// once there is room again.
func (l *load) room() int {
	if n := l.maxOpen.Load() - l.open.Load(); n > 0 {
		return int(n)
	}
	l.full.Store(true)
	// What was answered before full was set has called nobody: look again.
	return int(max(l.maxOpen.Load()-l.open.Load(), 0))
}

// replace changes a lane's share from was to is.
func (l *load) replace(was, is counted) {
	if n := is.waiting - was.waiting; n != 0 {
		l.waiting.Add(int64(n))
	}
	if n := is.bytes - was.bytes; n != 0 {
		l.bytes.Add(int64(n))
	}
	n := is.open - was.open
	if n == 0 {
		return
	}
	if open := l.open.Add(int64(n)); n < 0 && open < l.maxOpen.Load() && l.full.Load() && l.full.CompareAndSwap(true, false) {
		l.freed()
	}
}

// add counts the share of a lane that has moved here.
func (l *load) add(is counted) { l.replace(counted{}, is) }

// sub takes the share of a lane that has moved away.
func (l *load) sub(was counted) { l.replace(was, counted{}) }
