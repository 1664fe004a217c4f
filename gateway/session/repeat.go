package session

import (
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// repeatLocked decides on an id that is not above the ones before: a request
// that the client sends again. It never goes to the lanes. It is answered with
// the kept reply, or with the answer when that comes.
//
// On a stream this is right only after a resume, once a connection for each
// request that was accepted before it.
func (a *Attachment) repeatLocked(id uint32) verdict {
	s, reqs, stream := a.s, a.s.state.Requests, a.conn.Pings()
	if i := reqs.find(id); i >= 0 {
		if stream && reqs.open[i].asked == a.generation {
			return notAgain
		}
		reqs.open[i].asked = a.generation
		s.deps.Metrics.repeats.Inc()
		return verdict{}
	}
	i := reqs.reply(id)
	switch {
	case i < 0 && stream:
		return notAgain
	case i < 0:
		s.deps.Metrics.repeats.Inc()
		return a.answeredLocked(shedReply(id))
	case stream && reqs.at(i).asked == a.generation:
		return notAgain
	}
	s.deps.Metrics.repeats.Inc()
	r := reqs.at(i)
	if r.sent != a.generation {
		r = reqs.moveLast(i) // on one connection a reply keeps its place
		a.stampLocked(r)
	}
	r.asked = a.generation
	if r.shed {
		return a.answeredLocked(shedReply(id))
	}
	return a.answeredLocked(r.frame())
}

var notAgain = verdict{refuse: "request id: not above the one before", code: wire.CloseProtocolError}

// shedReply answers the repeat of a request whose reply is no longer there.
func shedReply(id uint32) wire.Frame {
	return gatewayReply(id, wire.StatusDataLoss, wire.ErrorPayload{
		Message: "not run again: no reply to this id is kept", Reason: "reply_shed",
	})
}

// meteredLocked answers a request that comes too fast. It counts as accepted,
// so its answer is kept like any other.
func (a *Attachment) meteredLocked(id uint32, reason string, retryAfter time.Duration) verdict {
	f := gatewayReply(id, wire.StatusResourceExhausted, wire.ErrorPayload{
		Message: "more requests than are allowed", Reason: reason, RetryAfterMS: max(retryAfter.Milliseconds(), 1),
	})
	v := a.answeredLocked(f)
	r := reply{id: id, status: f.Status, flags: f.Flags, payload: f.Payload, asked: a.generation}
	a.stampLocked(&r)
	a.s.keepLocked(a, r)
	return v
}
