package dispatcher

import (
	"context"
	"log/slog"
	"sync"
	"time"

	hf "github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// eventKind says what became of a session.
type eventKind uint8

const (
	eventCut eventKind = iota
	eventResumed
	eventEnded
	eventPresent // nothing: the instance asked who is there
)

var contractKinds = [...]hf.EventKind{
	eventCut:     hf.EventKind_CUT,
	eventResumed: hf.EventKind_RESUMED,
	eventEnded:   hf.EventKind_ENDED,
	eventPresent: hf.EventKind_PRESENT,
}

// event is one thing to tell an instance. transport and clientIP are those of the
// moment, as a resume changes them.
type event struct {
	of                          *Lanes
	kind                        eventKind
	at                          int64 // Unix milliseconds
	reason, transport, clientIP string
}

// announceLocked tells every service that wants events, by the instance that holds
// the user's slot. Since it is called under l.mu, a session's events are queued in
// their order.
func (l *Lanes) announceLocked(kind eventKind, reason string) {
	e := event{of: l, kind: kind, at: l.d.unixMS(), reason: reason, transport: l.transport, clientIP: l.clientIP}
	for _, s := range l.d.ordered {
		if inst, why := s.holder(l.hash); why == noReason {
			inst.queueEvent(e)
		}
	}
}

// announceIfMissed tells the services that asked for all sessions a short while
// ago of this one too: it may have been judged by the process that was there
// before and opened after the others were announced.
func (l *Lanes) announceIfMissed() {
	now := l.d.now()
	for _, s := range l.d.ordered {
		if at := s.resyncAt.Load(); at == 0 || now-at > int64(announceWindow) {
			continue
		}
		if inst, why := s.holder(l.hash); why == noReason {
			l.present(inst)
		}
	}
}

// present tells inst that the session is alive, if it is.
func (l *Lanes) present(inst *instance) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		inst.queueEvent(event{of: l, kind: eventPresent, at: l.d.unixMS(), transport: l.transport, clientIP: l.clientIP})
	}
}

func (i *instance) queueEvent(e event) {
	if !i.events.push(e) {
		i.svc.metrics.eventsLost.Inc()
	}
}

// unixMS is the wall clock as it was at New plus what has passed since, so that it
// never jumps.
func (d *Dispatcher) unixMS() int64 { return (d.wall + d.now()) / int64(time.Millisecond) }

// wish tells whether an instance wants events.
type wish uint8

const (
	wishUnknown wish = iota // it has not answered yet: keep them
	wishYes
	wishNo
)

// eventQueue holds the events for one instance, in order and bounded.
type eventQueue struct {
	limit int
	kick  chan struct{} // something to do

	mu       sync.Mutex // guards the following
	wish     wish
	waiting  []event
	overflow bool // some were dropped: the instance must hear of all sessions again
	resync   bool // it asked to
}

func (q *eventQueue) init(limit int) {
	q.limit = limit
	q.kick = make(chan struct{}, 1)
}

// push queues e unless the instance wants none. It reports false when the queue
// is full. An ENDED that is lost that way is not told again: the session is gone
// from here too, so its record at the backend lives until a push to it fails.
func (q *eventQueue) push(e event) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.wish == wishNo {
		return true
	}
	if len(q.waiting) >= q.limit {
		q.overflow = true
		return false
	}
	q.waiting = append(q.waiting, e)
	q.kickLocked()
	return true
}

// want takes in what a heartbeat said.
func (q *eventQueue) want(events, resync bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !events {
		q.wish, q.waiting, q.overflow, q.resync = wishNo, nil, false, false
		return
	}
	q.wish = wishYes
	q.resync = q.resync || resync
	q.kickLocked()
}

func (q *eventQueue) kickLocked() {
	if q.wish != wishYes {
		return
	}
	select {
	case q.kick <- struct{}{}:
	default:
	}
}

// first copies up to n events without removing them.
func (q *eventQueue) first(n int, dst []event) []event {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.wish != wishYes {
		return dst
	}
	return append(dst, q.waiting[:min(n, len(q.waiting))]...)
}

// remove takes away the first n events, which have been told.
func (q *eventQueue) remove(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n = min(n, len(q.waiting)); n == 0 { // want has emptied it
		return
	}
	clear(q.waiting[:n])
	if q.waiting = q.waiting[n:]; len(q.waiting) == 0 {
		q.waiting = nil // give the memory back
	}
}

// takeResync tells whether all sessions have to be announced, once.
func (q *eventQueue) takeResync() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	due := q.wish == wishYes && (q.resync || q.overflow)
	if due {
		q.resync, q.overflow = false, false
	}
	return due
}

func (q *eventQueue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) == 0
}

// runEvents tells the instance what happens until ctx is done.
func (i *instance) runEvents(ctx context.Context) {
	for {
		if !i.flushEvents(ctx) {
			return
		}
		if i.events.takeResync() {
			if !i.announceAll(ctx) {
				return
			}
			continue
		}
		select {
		case <-i.events.kick:
		case <-ctx.Done():
			return
		}
	}
}

// flushEvents makes one call after the other until nothing waits. One that fails
// is repeated, since each event must arrive at least once; its successors wait,
// since they must arrive in order. It reports false when ctx is done.
func (i *instance) flushEvents(ctx context.Context) bool {
	var batch []event
	retry := i.d.cfg.Heartbeat.ProbeInterval
	for {
		batch = i.events.first(i.d.cfg.Events.Batch, batch[:0])
		if len(batch) == 0 {
			return ctx.Err() == nil
		}
		err := i.tell(batch)
		if err == nil {
			i.events.remove(len(batch))
			i.svc.metrics.eventsTold.Add(float64(len(batch)))
			retry = i.d.cfg.Heartbeat.ProbeInterval
			continue
		}
		i.svc.metrics.eventsRetried.Add(float64(len(batch)))
		i.log.Debug("events were not taken", slog.Any("error", err))
		select {
		case <-time.After(retry):
		case <-ctx.Done():
			return false
		}
		retry = min(2*retry, i.d.cfg.Heartbeat.Interval)
	}
}

// tell makes one Events call.
func (i *instance) tell(batch []event) error {
	req := &hf.EventsRequest{Gateway: i.d.self.Gateway, Epoch: i.d.self.Epoch, Events: make([]*hf.Event, len(batch))}
	for n := range batch {
		req.Events[n] = batch[n].contract()
	}
	began := i.d.stamp()
	reply, err := i.calls.Events(newCall(i.d.cfg.Events.Timeout), req)
	if err == nil && reply == nil {
		err = errEmptyReply
	}
	if err == nil {
		i.spoke(reply.Incarnation, began)
	}
	return err
}

func (e *event) contract() *hf.Event {
	d, id := e.of.d, &e.of.id
	device := id.device
	if device == nil {
		device = &Device{}
	}
	return &hf.Event{
		Kind:   contractKinds[e.kind],
		Reason: e.reason,
		AtMs:   e.at,
		Session: &hf.Session{
			Id: id.session, Uid: id.uid, Gateway: d.self.Gateway, Epoch: d.self.Epoch,
			Device: device.contract(), ClientIp: e.clientIP, Transport: e.transport,
			Attrs: id.attrs, ConnectedAtMs: id.connectedAt,
		},
	}
}

func (d *Device) contract() *hf.Device {
	return &hf.Device{Id: d.ID, DeviceClass: d.Class, Os: d.OS, App: d.App, Version: d.Version, Model: d.Model}
}

// announceAll tells the instance of each open session whose slot it holds. One
// call at a time is what paces it. It reports false when ctx is done.
func (i *instance) announceAll(ctx context.Context) bool {
	i.svc.resyncAt.Store(max(1, i.d.now()))
	i.svc.metrics.resyncs.Inc()
	var open []*Lanes
	told := 0
	for shard := range originShards {
		open = i.d.origins.inShard(shard, open[:0])
		for n, l := range open {
			open[n] = nil
			if inst, _ := i.svc.holder(l.hash); inst != i {
				continue
			}
			l.present(i)
			if told++; told%i.d.cfg.Events.Batch == 0 && !i.flushEvents(ctx) {
				return false
			}
		}
	}
	i.log.Info("announced sessions", slog.Int("sessions", told))
	return i.flushEvents(ctx)
}
