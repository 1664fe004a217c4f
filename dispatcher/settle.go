package dispatcher

import (
	"slices"
	"time"

	hf "github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"

	"github.com/holdfast-io/holdfast/dispatcher/lane"
)

// answer is what a sink is told of one request.
type answer struct {
	id         uint32
	status     uint8 // the backend's, where reason is noReason
	payload    []byte
	reason     Reason
	retryAfter time.Duration // the backend's wish; 0: the dispatcher's own
	policy     *policy       // of the request's route; nil: none
}

// tell counts answers to requests of svc, gives canned replies where the routes
// want that, and tells the sink. No lock may be held.
func (l *Lanes) tell(svc *service, answers []answer) {
	for i := range answers {
		a := &answers[i]
		a.policy.done()
		if a.reason != noReason && a.policy.degrades(a.reason) {
			svc.metrics.degraded.Inc()
			a.reason, a.status = noReason, uint8(a.policy.cfg.Degrade.Status)
			a.payload = slices.Clone(a.policy.payload) // it becomes the sink's
		}
	}
	svc.metrics.count(answers)
	l.deliver(answers)
}

// deliver tells the sink. No lock may be held.
func (l *Lanes) deliver(answers []answer) {
	if len(answers) == 0 {
		return
	}
	for i := range answers {
		a := &answers[i]
		if a.reason == noReason {
			l.sink.Reply(a.id, a.status, a.payload)
			continue
		}
		r := refusals[a.reason]
		retryAfter := time.Duration(0)
		if r.retry {
			retryAfter = orDefault(a.retryAfter, l.d.retryAfter())
		}
		l.sink.Refuse(a.id, r.status, string(a.reason), r.message, retryAfter)
	}
	l.sink.Flush()
}

// retryAfterMax bounds what a backend may make clients wait.
const retryAfterMax = 5 * time.Minute

// judge turns what an instance said of a packet into the client's answer, and
// holds it to the contract.
func (d *Dispatcher) judge(id uint32, s said) answer {
	switch {
	case s.notExecuted:
		return answer{id: id, reason: kitReason(s.reason), retryAfter: max(0, min(s.retryAfter, retryAfterMax))}
	case s.status < 0 || s.status > statusMax, len(s.payload) > d.cfg.ReplyBytes:
		return answer{id: id, reason: ReasonBadReply}
	}
	return answer{id: id, status: uint8(s.status), payload: s.payload}
}

// causeReasons says what clients are told of packets that expired.
var causeReasons = [...]Reason{
	lane.NotSent:  ReasonExpired,
	lane.NoReply:  ReasonTimeout,
	lane.NoAnswer: ReasonNoAnswer,
	lane.Gone:     ReasonInstanceGone,
	lane.Broken:   ReasonConnectionLost,
}

func appendExpired(dst []answer, expired []lane.Expiry) []answer {
	for _, e := range expired {
		dst = append(dst, answer{id: e.ID, reason: causeReasons[e.Cause], policy: policyOf(e.Command)})
	}
	return dst
}

// afterDoubt returns a, or where that says that the request was not run although an
// earlier attempt may have run it, what says so.
func (a answer) afterDoubt(doubt lane.Cause) answer {
	if doubt != lane.NotSent && refusals[a.reason].retry {
		a.reason, a.retryAfter = causeReasons[doubt], 0
	}
	return a
}

// result is what became of a call.
type result struct {
	verdict
	replies     []*hf.Reply // one for each packet, where the call was answered
	incarnation int64       // the process that had the call; 0: not known
}

// settle gives each lane of the batch what became of its packets.
func (w *worker) settle(r result) {
	from, now, since := 0, w.inst.d.now(), w.inst.d.stamp()
	for _, run := range w.batch.runs {
		part := r
		if r.outcome == answered {
			part.replies = r.replies[from : from+run.n]
		}
		w.settleRun(run, part, now, since)
		from += run.n
	}
}

func (w *worker) settleRun(run run, r result, now, since int64) {
	sl, l, b := run.lane, run.lane.owner, w.batch
	l.mu.Lock()
	if l.ended { // End has dropped the lane, its packets and its share of the load
		l.mu.Unlock()
		return
	}
	answers := b.answers[:0]
	n := sl.repeatLocked(&r, run.n, now)
	for i := range n {
		if r.outcome == answered && r.replies[i].Deferred {
			sl.Defer(i)
			w.inst.svc.metrics.deferrals.Inc()
			continue
		}
		of, doubt := policyOf(sl.At(i).Command), sl.At(i).Doubt()
		id, owed := sl.Done(i)
		switch {
		case !owed:
			if r.outcome == answered {
				w.inst.svc.metrics.late.Inc()
			}
		case r.outcome == answered:
			a := w.inst.d.judge(id, saidIn(r.replies[i]))
			a.policy = of
			answers = append(answers, a.afterDoubt(doubt))
		default:
			answers = append(answers, answer{id: id, reason: r.reason, policy: of}.afterDoubt(doubt))
		}
	}
	if r.outcome == unknown {
		sl.Unknown()
	}
	sl.incarnation, sl.since = r.incarnation, since
	sl.Returned()
	ready, answers := sl.nextLocked(now, answers)
	l.mu.Unlock()
	sl.enqueue(ready)
	l.tell(sl.service, answers)
	clear(answers) // a payload must not live until the next batch
	b.answers = answers
}

func saidIn(r *hf.Reply) said {
	return said{
		status:      r.Status,
		payload:     r.Payload,
		notExecuted: r.NotExecuted,
		reason:      r.Reason,
		retryAfter:  time.Duration(r.RetryAfterMs) * time.Millisecond,
	}
}
