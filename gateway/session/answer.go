package session

import (
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Reply answers request id with what the backend said. payload is the
// session's from now on. Flush sends it.
func (s *Session) Reply(id uint32, status uint8, payload []byte) {
	f := wire.Frame{Type: wire.TypeReply, ID: id, Status: wire.Status(status), Payload: payload}
	if !s.fits(f) {
		f = gatewayReply(id, wire.StatusInternal, wire.ErrorPayload{
			Message: "the backend's reply is longer than max_frame",
			Reason:  "reply_too_large",
		})
	}
	s.answer(f)
}

// Refuse answers request id on the gateway's own account. Flush sends it.
func (s *Session) Refuse(id uint32, status uint8, reason, message string, retryAfter time.Duration) {
	s.answer(gatewayReply(id, wire.Status(status), wire.ErrorPayload{
		Message: message, Reason: reason, RetryAfterMS: retryAfter.Milliseconds(),
	}))
}

func gatewayReply(id uint32, status wire.Status, p wire.ErrorPayload) wire.Frame {
	return wire.Frame{
		Type: wire.TypeReply, ID: id, Status: status,
		Flags: wire.FlagOriginGateway, Payload: wire.AppendErrorPayload(nil, &p),
	}
}

// answer sends f and keeps it until it is known to have arrived. The answer to
// a request that was accepted before a resume goes out only once the client has
// sent it again. An answer that nobody waits for is dropped.
func (s *Session) answer(f wire.Frame) {
	s.mu.Lock()
	one, ok := s.state.Requests.take(f.ID)
	if s.ended || !ok {
		s.mu.Unlock()
		return
	}
	at := s.at
	full := false
	r := reply{id: f.ID, status: f.Status, flags: f.Flags, payload: f.Payload, asked: one.asked}
	if at != nil && one.asked == at.generation {
		full = !at.conn.Queue(f)
		at.stampLocked(&r)
	}
	s.keepLocked(at, r)
	s.mu.Unlock()
	if full {
		at.slow()
	}
}

// keepLocked keeps a reply for a client that may come back. One whose session
// ends with its connection never asks again.
func (s *Session) keepLocked(at *Attachment, r reply) {
	if !s.deps.resumable() && (at == nil || at.conn.Pings()) {
		return
	}
	l, reqs := s.deps.Limits, s.state.Requests
	reqs.keep(r, s.state.Window, l.KeptReplyBytesMax)
	// Nothing else may tell for long that replies have arrived.
	if at != nil && reqs.bytes >= l.KeptReplyBytesMax/2 && at.pings == at.ponged && at.conn.Pings() {
		at.pingLocked()
	}
}

// stampLocked notes that r goes out on this connection now.
func (a *Attachment) stampLocked(r *reply) {
	r.sent, r.mark, r.pings = a.generation, a.s.state.PushSeq, a.pings
}
