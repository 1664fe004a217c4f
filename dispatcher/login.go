package dispatcher

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	hf "github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// Login is one credential to be judged.
type Login struct {
	Session     string
	UID         string // empty for a new session; the session's, for a refresh
	Refresh     bool   // a live session presents a new token
	Token       string
	Device      Device
	ClientIP    string
	Transport   string
	Attrs       map[string]string // the session's own, for a refresh
	ClientAttrs map[string]string // the client's word
	ConnectedAt time.Time
}

// Verdict is the backend's word on a Login, or why there is none.
type Verdict struct {
	UID        string
	Attrs      map[string]string
	ExpiresAt  time.Time // zero: never
	Window     int       // 0: the gateway's own
	Service    string    // who judged
	CloseCode  uint16    // 0: welcome
	Reason     string    // with CloseCode: for the client
	RetryAfter time.Duration
}

// logins batches logins as requests are batched: a call takes what has queued
// while the others were under way. A login may go to any instance.
type logins struct {
	d       *Dispatcher
	svc     *service
	metrics *loginMetrics
	queue   chan *pendingLogin

	mu     sync.Mutex      // guards the following
	closed bool            // nothing is queued any more
	open   []*pendingLogin // all that were queued, oldest first, until they are due or settled

	turn atomic.Uint64 // round robin over instances
}

type pendingLogin struct {
	Login
	due     int64 // on the dispatcher's clock
	done    func(Verdict)
	settled atomic.Bool // done has been called or is about to be
}

func newLogins(d *Dispatcher, svc *service) *logins {
	return &logins{
		d:       d,
		svc:     svc,
		metrics: d.metrics.login(svc.cfg.Name),
		queue:   make(chan *pendingLogin, d.cfg.Login.Queue),
	}
}

// Connect asks the login service to judge l. It never blocks; done is called
// exactly once, from any goroutine (also from within Connect), by the login
// time-out at the latest. Run must have been called or be about to be.
func (d *Dispatcher) Connect(l Login, done func(Verdict)) {
	p := &pendingLogin{Login: l, due: d.now() + int64(d.cfg.Login.Timeout), done: done}
	d.logins.enqueue(p)
}

// enqueue queues p or settles it at once.
func (l *logins) enqueue(p *pendingLogin) {
	l.mu.Lock()
	closed, queued := l.closed, false
	if !closed {
		select {
		case l.queue <- p:
			queued = true
			l.open = append(l.open, p)
		default:
		}
	}
	l.mu.Unlock()
	switch {
	case closed:
		l.settle(p, loginUnavailable, l.unavailable())
	case !queued:
		l.settle(p, loginOverload, Verdict{CloseCode: closeOverloaded, Reason: "too many logins", RetryAfter: l.d.retryAfter()})
	}
}

// run judges logins until ctx is done, and refuses what waits then.
func (l *logins) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for range l.d.cfg.Login.CallsInFlight {
		g.Go(func() error { l.work(ctx); return nil })
	}
	g.Go(func() error { l.sweep(ctx); return nil })
	err := g.Wait()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	for {
		select {
		case p := <-l.queue:
			l.settle(p, loginUnavailable, l.unavailable())
		default:
			return err
		}
	}
}

// sweepEvery is how late a login's time-out may be.
const sweepEvery = 50 * time.Millisecond

// sweep settles what is due, wherever it waits: all workers may be in calls to
// an instance that hangs.
func (l *logins) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, p := range l.takeDue() {
			l.settle(p, loginUnavailable, l.unavailable())
		}
	}
}

// takeDue forgets the oldest logins that are settled or due, and returns the due
// ones. All have the same time-out, so the oldest are due first.
func (l *logins) takeDue() (due []*pendingLogin) {
	now := l.d.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for n < len(l.open) && (l.open[n].settled.Load() || l.open[n].due <= now) {
		if !l.open[n].settled.Load() {
			due = append(due, l.open[n])
		}
		l.open[n] = nil
		n++
	}
	l.open = l.open[n:]
	if len(l.open) == 0 {
		l.open = nil // what a storm needed is given back
	}
	return due
}

func (l *logins) work(ctx context.Context) {
	var batch []*pendingLogin
	for {
		select {
		case p := <-l.queue:
			batch = append(batch[:0], p)
		case <-ctx.Done():
			return
		}
	gather:
		for len(batch) < l.d.cfg.Login.Batch {
			select {
			case p := <-l.queue:
				batch = append(batch, p)
			default:
				break gather
			}
		}
		l.judge(ctx, batch)
		clear(batch)
	}
}

// judge settles every login of the batch. Connect is idempotent by session id, so
// what one instance did not answer is put to the next, as long as there is one
// that was not asked, and time.
func (l *logins) judge(ctx context.Context, batch []*pendingLogin) {
	l.metrics.batch.Observe(float64(len(batch)))
	l.awaitReady(ctx, batch[0].due)
	tried := map[*instance]bool{}
	for len(batch) > 0 && ctx.Err() == nil {
		batch = slices.DeleteFunc(batch, func(p *pendingLogin) bool { return p.settled.Load() })
		inst := l.choose(tried)
		if inst == nil || len(batch) == 0 {
			break
		}
		// The call lives as long as its youngest login: an old one must not take
		// the others' time. The sweep settles it when it is due.
		timeout := min(time.Duration(batch[len(batch)-1].due-l.d.now()), l.svc.cfg.Timeout)
		if timeout <= 0 {
			break
		}
		tried[inst] = true
		batch = l.ask(inst, batch, timeout)
	}
	for _, p := range batch {
		l.settle(p, loginUnavailable, l.unavailable())
	}
}

// awaitReady blocks until the dispatcher knows instances, or until due.
func (l *logins) awaitReady(ctx context.Context, due int64) {
	select {
	case <-l.d.ready:
		return
	default:
	}
	timer := time.NewTimer(time.Duration(due - l.d.now()))
	defer timer.Stop()
	select {
	case <-l.d.ready:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// ask makes one call and returns the logins that are still open.
func (l *logins) ask(inst *instance, batch []*pendingLogin, timeout time.Duration) (open []*pendingLogin) {
	req := &hf.ConnectRequest{Items: make([]*hf.ConnectItem, len(batch))}
	for i, p := range batch {
		req.Items[i] = p.contract(l.d.self, time.Duration(p.due-l.d.now()))
	}
	began := l.d.stamp()
	c := newCall(timeout)
	inst.logins.Add(1)
	reply, err := inst.calls.Connect(c, req)
	inst.logins.Add(-1)
	if err != nil {
		v := judge(err, c.stage)
		l.metrics.failed.Inc()
		inst.log.Debug("login call failed", slog.String("reason", string(v.reason)), slog.Any("error", err))
		if v.refused {
			inst.gone(began)
		}
		inst.probe()
		return batch
	}
	results := make([]*hf.ConnectResult_, len(batch)) // nil ones are bad answers
	if reply != nil && len(reply.Results) == len(batch) {
		inst.spoke(reply.Incarnation, began)
		results = reply.Results
	} else {
		inst.complain(nil)
	}
	for i, p := range batch {
		if results[i] != nil && results[i].NotExecuted {
			open = append(open, p)
			continue
		}
		kind, v := verdictOf(results[i])
		v.Service = l.svc.cfg.Name
		l.settle(p, kind, v)
	}
	return open
}

// choose returns an instance that was not tried: in turn, those that answer
// heartbeats and are not leaving first. It is nil when all were tried.
func (l *logins) choose(tried map[*instance]bool) *instance {
	all := l.svc.table.Load().all
	if len(all) == 0 {
		return nil
	}
	var second *instance
	first := int(l.turn.Add(1) % uint64(len(all)))
	for n := range all {
		inst := all[(first+n)%len(all)]
		switch {
		case tried[inst]:
		case inst.up.Load() && !inst.draining.Load() && !inst.breaker.isOpen.Load():
			return inst
		case second == nil:
			second = inst
		}
	}
	return second
}

func (l *logins) unavailable() Verdict {
	return Verdict{CloseCode: closeBackendUnavailable, Reason: "nobody can judge logins now", RetryAfter: l.d.retryAfter()}
}

// settle calls done, unless that has happened: a verdict that comes when the
// login has timed out is too late.
func (l *logins) settle(p *pendingLogin, kind loginKind, v Verdict) {
	if p.settled.Swap(true) {
		return
	}
	l.metrics.results[kind].Inc()
	p.done(v)
}

func (p *pendingLogin) contract(self Self, left time.Duration) *hf.ConnectItem {
	purpose := hf.ConnectPurpose_CONNECT
	if p.Refresh {
		purpose = hf.ConnectPurpose_REFRESH
	}
	return &hf.ConnectItem{
		Session: &hf.Session{
			Id: p.Session, Uid: p.UID, Gateway: self.Gateway, Epoch: self.Epoch,
			Device: p.Device.contract(), ClientIp: p.ClientIP, Transport: p.Transport,
			Attrs: p.Attrs, ConnectedAtMs: p.ConnectedAt.UnixMilli(),
		},
		Token:       p.Token,
		Purpose:     purpose,
		ClientAttrs: p.ClientAttrs,
		DeadlineMs:  max(1, left.Milliseconds()),
	}
}
