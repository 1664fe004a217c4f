package dispatcher

import (
	"context"
	"log/slog"
	"time"

	hf "github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// worker makes one call at a time to one instance. An instance has as many as it
// may have calls in flight, so an idle worker sends what comes at once, and what
// comes while all are busy goes together in the next batch.
type worker struct {
	inst  *instance
	batch *batch
	call  call
}

// run makes calls until the instance is stopped. It waits for the first heartbeat,
// because without the instance's clock packets would have no start_by.
func (w *worker) run() {
	<-w.inst.greeted
	for w.inst.ready.wait() {
		w.fill()
		if len(w.batch.packets) > 0 {
			w.forward()
		}
	}
}

// forward calls the instance with the batch and settles its lanes.
func (w *worker) forward() {
	inst, b, m := w.inst, w.batch, w.inst.svc.metrics
	stamp, began := inst.d.stamp(), time.Now()
	w.call = call{Context: context.Background(), deadline: began.Add(inst.svc.cfg.Timeout)}
	m.inFlight.Inc()
	reply, err := inst.calls.Forward(&w.call, &b.req)
	m.inFlight.Dec()
	m.callSeconds.Observe(time.Since(began).Seconds())
	m.batchPackets.Observe(float64(len(b.packets)))

	r := result{verdict: judge(err, w.call.stage), incarnation: w.call.peer}
	if r.outcome == answered {
		if wellFormed(reply, len(b.packets)) {
			r.replies, r.incarnation = reply.Replies, reply.Incarnation
			inst.spoke(reply.Incarnation, stamp)
		} else {
			r.verdict = verdict{outcome: misanswered, reason: ReasonBadReply}
		}
	}
	if r.outcome == misanswered {
		inst.complain(err)
	}
	inst.d.budget.earn(inst.d.now(), b.fresh)
	inst.record(r, len(b.packets), time.Since(began))
	w.settle(r)
	if r.outcome != answered {
		inst.log.Debug("call failed", slog.String("reason", string(r.reason)), slog.Any("error", err))
		inst.probe() // whether it lives decides how long its lanes stay closed
	}
	if r.refused {
		inst.gone(stamp)
	}
	if err != nil {
		w.batch = newBatch(inst.d, inst.svc.cfg) // Kitex may still hold the old one
		return
	}
	b.reset()
}

// complain logs that the instance breaks the contract, at most once a minute: it
// may do so with every call.
func (i *instance) complain(err error) {
	now, last := i.d.now(), i.complained.Load()
	if last == 0 || now-last > int64(time.Minute) {
		i.complained.Store(now)
		i.log.Error("instance breaks the contract", slog.Any("error", err))
	}
}

// wellFormed tells whether there is a reply for each packet.
func wellFormed(reply *hf.ForwardReply, packets int) bool {
	if reply == nil || len(reply.Replies) != packets {
		return false
	}
	for _, r := range reply.Replies {
		if r == nil {
			return false
		}
	}
	return true
}

// record tells the breaker what became of a call. Deferred packets count when they
// are answered or given up; what the instance refused is neither good nor bad.
func (i *instance) record(r result, packets int, took time.Duration) {
	switch {
	case r.outcome == answered:
		ok := 0
		for _, reply := range r.replies {
			if !reply.Deferred && !reply.NotExecuted {
				ok++
			}
		}
		i.meter.took(took)
		i.breaker.succeeded(ok)
	case r.refused:
		i.failed(refused, packets)
	case r.outcome == unknown && r.reason == ReasonTimeout:
		i.failed(timedOut, packets)
	default:
		i.failed(failed, packets)
	}
}
