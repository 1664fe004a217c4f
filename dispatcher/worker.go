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

// run makes calls until the instance is stopped.
func (w *worker) run() {
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
	known := inst.life.current.Load()
	began := time.Now()
	w.call = call{Context: context.Background(), deadline: began.Add(inst.svc.cfg.Timeout)}
	m.inFlight.Inc()
	reply, err := inst.calls.Forward(&w.call, &b.req)
	m.inFlight.Dec()
	m.callSeconds.Observe(time.Since(began).Seconds())
	m.batchPackets.Observe(float64(len(b.packets)))

	v := judge(err, w.call.stage)
	if v.outcome == answered && !wellFormed(reply, len(b.packets)) {
		inst.log.Error("reply breaks the contract", slog.Int("packets", len(b.packets)))
		v = verdict{outcome: misanswered, reason: ReasonBadReply}
	}
	inst.breaker.record(v.outcome, len(b.packets))
	if v.outcome == answered {
		inst.spoke(reply.Incarnation)
		w.settle(v, reply.Replies, reply.Incarnation)
	} else {
		w.settle(v, nil, known)
	}
	if v.outcome != answered {
		inst.log.Debug("call failed", slog.String("reason", string(v.reason)), slog.Any("error", err))
		inst.probe() // whether it lives decides how long its lanes stay closed
	}
	if v.refused {
		inst.gone(known)
	}
	if err != nil {
		w.batch = newBatch(inst.d, inst.svc.cfg) // Kitex may still hold the old one
		return
	}
	b.reset()
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
