package gateway

import (
	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// resume puts a session that a client left on its new connection. It reports
// false when the session cannot be resumed and HELLO has a token to begin
// afresh with; otherwise the client has its answer. It does not ask the backend.
func (h *handshake) resume(hello *wire.Hello) (done bool) {
	var old *guest
	took := false // a place among the user's: a session that is on a connection has one
	if one := h.srv.sessions.ByID(hello.Resume.Session); one != nil {
		if old = guestOn(one.Conn()); old == nil {
			r, ok := h.srv.gate.User(one.UID())
			if !ok {
				h.refuse(r.Code, r.Message, r.RetryAfter)
				return true
			}
			took = true
			defer func() {
				if took {
					h.srv.gate.UserLeft(one.UID())
				}
			}()
		}
	}
	req := session.ResumeRequest{Secret: hello.Resume.Secret, Seq: hello.Resume.Seq}
	one, at, outcome := h.srv.sessions.Resume(hello.Resume.Session, h.conn, req, h.srv.welcomeBack)
	if outcome != session.ResumeOK {
		return h.notResumed(hello, outcome)
	}
	place := took || (old != nil && old.pass())
	took = false // it is the connection's now
	if !place {  // the old connection has given it back meanwhile
		_, place = h.srv.gate.User(one.UID())
	}
	if h.handOver(at, one, place) {
		h.conn.Flush()
	}
	return true
}

// notResumed leaves a client that has a token to begin afresh, and tells any
// other what is wrong.
func (h *handshake) notResumed(hello *wire.Hello, outcome session.ResumeOutcome) (done bool) {
	switch {
	case outcome == session.ResumeBadSeq:
		h.refuse(wire.CloseProtocolError, "resume.seq: above what was sent", 0)
	case hello.HasToken: // where the old one has run out, perhaps a new one
		return false
	case outcome == session.ResumeExpired:
		h.refuse(wire.CloseTokenExpired, "the token has run out", 0)
	default:
		h.refuse(wire.CloseSessionExpired, "the session cannot be resumed", 0)
	}
	return true
}
