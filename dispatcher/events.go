package dispatcher

import (
	"context"
	"log/slog"
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
	for _, s := range l.d.services() {
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
	for _, s := range l.d.services() {
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
