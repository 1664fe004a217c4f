package kit

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// connectRetry is what a login is told that found no room or no answer in time.
const connectRetry = time.Second

// quickConnect is the mean run time up to which logins of one call share a few
// goroutines, one a processor: checking a signature takes about 40 us and gains
// nothing from more. Slower ones wait for something, and each gets its own.
const quickConnect = 100 * time.Microsecond

// logins judges the logins of Connect calls.
type logins struct {
	// static
	cfg     Config
	judge   func(context.Context, Login) (Identity, error) // nil: no logins here
	log     *limitedLog
	metrics *metrics
	owner   *owner
	base    context.Context // parent of the judgements' contexts

	pending atomic.Int64 // logins under judgement
	mean    atomic.Int64 // nanoseconds a judgement takes, moving average
}

// loginBatch is the logins of one Connect call. Results are open until the call
// is answered; a judgement that comes later is thrown away.
type loginBatch struct {
	items   []*holdfast.ConnectItem
	arrived time.Time
	next    atomic.Int32

	mu       sync.Mutex // guards the following
	results  []*holdfast.ConnectResult_
	open     int
	answered bool
	done     chan struct{} // closed when none is open
}

// judgeAll judges the logins of one call in parallel. It returns when all have a
// verdict, or have used up the time they were given.
func (ls *logins) judgeAll(items []*holdfast.ConnectItem) []*holdfast.ConnectResult_ {
	b := &loginBatch{
		items: items, arrived: time.Now(), results: make([]*holdfast.ConnectResult_, len(items)),
		open: len(items), done: make(chan struct{}),
	}
	if len(items) == 0 {
		return b.results
	}
	if ls.pending.Add(int64(len(items))) > int64(ls.cfg.MaxConnects) {
		ls.pending.Add(-int64(len(items)))
		return ls.refuseAll(b, "queue_full")
	}
	workers := len(items)
	if time.Duration(ls.mean.Load()) <= quickConnect {
		workers = min(workers, runtime.GOMAXPROCS(0))
	}
	for range workers {
		if !ls.owner.run(func() { ls.work(b) }) {
			break // the server has ended; nobody hears the answer
		}
	}
	longest := time.NewTimer(ls.longest(b))
	defer longest.Stop()
	select {
	case <-b.done:
	case <-longest.C:
	}
	return ls.collect(b)
}

// work judges logins of a batch until none is left.
func (ls *logins) work(b *loginBatch) {
	judging := -1
	defer func() {
		if judging >= 0 { // Connect ended the goroutine (runtime.Goexit); the rest go on
			ls.settle(b, judging, refuseLogin(CloseInternal, "internal error", 0))
			ls.owner.run(func() { ls.work(b) })
		}
	}()
	for {
		i := int(b.next.Add(1)) - 1
		if i >= len(b.items) {
			return
		}
		began := time.Now()
		judging = i
		r := ls.judgeOne(b.items[i], b.arrived.Add(ls.within(b.items[i])))
		judging = -1
		took := int64(time.Since(began))
		mean := ls.mean.Load()
		ls.mean.Store(mean + (took-mean)/8)
		ls.settle(b, i, r)
	}
}

// settle gives login i its verdict, unless the call has been answered.
func (ls *logins) settle(b *loginBatch, i int, r *holdfast.ConnectResult_) {
	ls.pending.Add(-1)
	b.settle(i, r)
}

func (b *loginBatch) settle(i int, r *holdfast.ConnectResult_) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answered {
		return
	}
	b.results[i] = r
	if b.open--; b.open == 0 {
		close(b.done)
	}
}

// within returns how long a login may take.
func (ls *logins) within(item *holdfast.ConnectItem) time.Duration {
	if item.DeadlineMs > 0 {
		return min(time.Duration(item.DeadlineMs)*time.Millisecond, ls.cfg.ConnectTimeout)
	}
	return ls.cfg.ConnectTimeout
}

func (ls *logins) longest(b *loginBatch) time.Duration {
	var d time.Duration
	for _, item := range b.items {
		d = max(d, ls.within(item))
	}
	return d
}

// collect takes the results. A login without one is refused: the client comes
// again, and judging it twice is harmless.
func (ls *logins) collect(b *loginBatch) []*holdfast.ConnectResult_ {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answered = true
	for i, r := range b.results {
		if r == nil {
			b.results[i] = refuseLogin(CloseBackendUnavailable, "login timed out", connectRetry)
		}
		ls.metrics.connect(b.results[i])
	}
	return b.results
}

// refuseAll refuses a call's logins as not executed: another instance may judge
// them.
func (ls *logins) refuseAll(b *loginBatch, reason string) []*holdfast.ConnectResult_ {
	for i := range b.results {
		b.results[i] = refuseLogin(CloseBackendUnavailable, reason, connectRetry)
		b.results[i].NotExecuted = true
		ls.metrics.connect(b.results[i])
	}
	return b.results
}

// judgeOne asks the backend about one login.
func (ls *logins) judgeOne(item *holdfast.ConnectItem, deadline time.Time) (r *holdfast.ConnectResult_) {
	if ls.judge == nil {
		return refuseLogin(CloseInternal, "this service judges no logins", 0)
	}
	if !time.Now().Before(deadline) {
		return refuseLogin(CloseBackendUnavailable, "login timed out", connectRetry)
	}
	ctx, cancel := context.WithDeadline(ls.base, deadline)
	defer cancel()
	returned := false
	defer func() { // after a panic, and after runtime.Goexit, which recover does not see
		if !returned {
			ls.metrics.panics.Inc()
			ls.log.panicked("connect panicked", recover())
			r = refuseLogin(CloseInternal, "internal error", 0)
		}
	}()
	id, err := ls.judge(ctx, login(item))
	returned = true
	return ls.verdict(id, err)
}

// verdict is the only place where what Connect returned becomes a result.
func (ls *logins) verdict(id Identity, err error) *holdfast.ConnectResult_ {
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal) && refusal.Code >= 4000 && refusal.Code <= 4999:
		return refuseLogin(refusal.Code, refusal.Reason, refusal.RetryAfter)
	case errors.Is(err, context.DeadlineExceeded):
		return refuseLogin(CloseBackendUnavailable, "login timed out", connectRetry)
	case err == nil:
		if err = id.validate(); err == nil {
			return welcome(id)
		}
	}
	ls.log.warn("connect failed", "error", err)
	return refuseLogin(CloseInternal, "internal error", 0)
}

// validate holds an identity to the contract's limits.
func (id *Identity) validate() error {
	const uidBytesMax, attrsMax, attrsBytesMax = 64, 16, 1024
	if n := len(id.UID); n == 0 || n > uidBytesMax {
		return fmt.Errorf("connect answered a uid of %d bytes, want 1 to %d", n, uidBytesMax)
	}
	bytes := 0
	for k, v := range id.Attrs {
		bytes += len(k) + len(v)
	}
	if len(id.Attrs) > attrsMax || bytes > attrsBytesMax {
		return fmt.Errorf("connect answered %d attrs of %d bytes, at most %d of %d", len(id.Attrs), bytes, attrsMax, attrsBytesMax)
	}
	if id.Window < 0 {
		return fmt.Errorf("connect answered a window of %d", id.Window)
	}
	return nil
}

func welcome(id Identity) *holdfast.ConnectResult_ {
	r := &holdfast.ConnectResult_{Uid: id.UID, Attrs: id.Attrs, Window: int32(min(id.Window, 1<<31-1))}
	if !id.ExpiresAt.IsZero() {
		r.ExpiresAtMs = id.ExpiresAt.UnixMilli()
	}
	return r
}

func refuseLogin(code CloseCode, reason string, retryAfter time.Duration) *holdfast.ConnectResult_ {
	return &holdfast.ConnectResult_{
		CloseCode: int32(code), CloseReason: cut(reason, reasonBytesMax), RetryAfterMs: int32(retryAfter.Milliseconds()),
	}
}

// cut shortens s to at most n bytes, between runes.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 { // the middle of a rune
		n--
	}
	return s[:n]
}
