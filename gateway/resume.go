package gateway

import (
	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// resume puts a session that a client left on its new connection. It reports
// false when the session cannot be resumed and HELLO has a token to begin
// afresh with; otherwise the client has its answer. It does not ask the backend.
func (h *handshake) resume(hello *wire.Hello) (done bool) {
	one := h.srv.sessions.ByID(hello.Resume.Session)
	if one == nil {
		return h.notResumed(hello, resumeUnknown)
	}
	// A session that is still on a connection is one of its user's already.
	old := guestOn(one.Conn())
	counted := old == nil
	if counted {
		if r, ok := h.srv.gate.User(one.UID()); !ok {
			h.refuse(r.Code, r.Message, r.RetryAfter)
			return true
		}
	}
	req := session.ResumeRequest{Secret: hello.Resume.Secret, Seq: hello.Resume.Seq}
	at, outcome := one.Resume(h.conn, req, h.srv.welcomeBack)
	if outcome != session.ResumeOK && counted {
		h.srv.gate.UserLeft(one.UID())
	}
	switch outcome {
	case session.ResumeOK:
		h.srv.metrics.resume(resumeOK)
		if !counted { // the place goes along, unless the old connection has given it back
			if counted = old.pass(); !counted {
				_, counted = h.srv.gate.User(one.UID())
			}
		}
		if h.handOver(at, one, counted) {
			h.conn.Flush()
		}
		return true
	case session.ResumeBadSeq:
		h.srv.metrics.resume(resumeRefused)
		h.refuse(wire.CloseProtocolError, "resume.seq: above what was sent", 0)
		return true
	case session.ResumeExpired:
		if hello.HasToken { // perhaps a new one
			return h.notResumed(hello, resumeRefused)
		}
		h.srv.metrics.resume(resumeRefused)
		h.refuse(wire.CloseTokenExpired, "the token has run out", 0)
		return true
	default:
		return h.notResumed(hello, resumeRefused)
	}
}

// notResumed leaves a client that has a token to begin afresh, and tells any
// other that its session is over.
func (h *handshake) notResumed(hello *wire.Hello, why resumeOutcome) (done bool) {
	if hello.HasToken {
		h.srv.metrics.resume(resumeFresh)
		return false
	}
	h.srv.metrics.resume(why)
	h.refuse(wire.CloseSessionExpired, "the session cannot be resumed", 0)
	return true
}
