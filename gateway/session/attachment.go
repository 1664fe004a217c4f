package session

import (
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Attachment is a session's time on one connection. It takes what the
// connection brings (it is a transport.Receiver) until another takes over.
type Attachment struct {
	s    *Session
	conn Conn

	pingedAt int64 // wheel time of the last PING; owned by the wheel's goroutine
}

// Attach puts the session on conn. What comes from conn goes to the returned
// Attachment.
func (s *Session) Attach(conn Conn) *Attachment {
	a := &Attachment{s: s, conn: conn}
	s.mu.Lock()
	s.at = a
	s.mu.Unlock()
	return a
}

// Receive takes one frame of the client.
func (a *Attachment) Receive(f wire.Frame) {
	switch f.Type {
	case wire.TypeRequest:
		a.request(f)
	case wire.TypeAck:
		a.ack(f.Seq)
	case wire.TypePing:
		a.conn.Queue(wire.Frame{Type: wire.TypePong, Payload: f.Payload})
		a.conn.Flush()
	case wire.TypePong: // that bytes came is all that counts
	case wire.TypeClose:
		a.s.end(f.Code.String())
		a.conn.CloseWith(wire.CloseNormal, "")
	default:
		a.refuse(wire.CloseProtocolError, "a second "+f.Type.String())
	}
}

// Refuse ends the connection of a client that sent what is not a frame.
func (a *Attachment) Refuse(err *wire.ProtocolError) { a.refuse(err.Code, err.Message) }

func (a *Attachment) refuse(code wire.CloseCode, reason string) { a.close(code, reason) }

// close sends CLOSE and ends the session, unless it has gone on elsewhere. It
// must not be called with the session's lock held.
func (a *Attachment) close(code wire.CloseCode, reason string, before ...wire.Frame) bool {
	first := a.conn.CloseWith(code, reason, before...)
	if first {
		a.ended(code.String())
	}
	return first
}

func (a *Attachment) ended(why string) {
	a.s.mu.Lock()
	mine := a.s.at == a
	a.s.mu.Unlock()
	if mine {
		a.s.end(why)
	}
}

func (a *Attachment) request(f wire.Frame) {
	s := a.s
	s.mu.Lock()
	switch {
	case s.at != a || s.ended:
		s.mu.Unlock()
		return
	case f.ID <= s.state.LastRequestID:
		s.mu.Unlock()
		a.refuse(wire.CloseProtocolError, "request id: not above the one before")
		return
	case s.unanswered >= s.state.Window:
		s.mu.Unlock()
		a.refuse(wire.CloseFlowControl, "more requests unanswered than window")
		return
	}
	s.state.LastRequestID = f.ID
	s.unanswered++
	s.mu.Unlock()
	s.metrics.requests.Inc()
	if f.Command[0] == '$' {
		s.gatewayCommand(f)
		return
	}
	s.up.Submit(f.ID, f.Command, f.Payload)
}

func (a *Attachment) ack(seq uint64) {
	s := a.s
	s.mu.Lock()
	st := &s.state
	switch {
	case seq > st.PushSeq:
		s.mu.Unlock()
		a.refuse(wire.CloseProtocolError, "ack seq: a push that was not sent")
		return
	case seq > st.AckedSeq:
		st.Kept.drop(int(seq - st.AckedSeq))
		st.AckedSeq = seq
	}
	s.mu.Unlock()
}

// Closed ends the session: without resume it does not outlive its connection.
func (a *Attachment) Closed() { a.ended("connection_lost") }

// Expire looks after the heartbeat and the credential's end.
func (a *Attachment) Expire(now int64) (next int64) {
	next = a.heartbeat(now)
	if at := a.credential(now); at != 0 && at < next {
		next = at
	}
	return next
}

func (a *Attachment) heartbeat(now int64) (next int64) {
	l := a.s.limits
	pingAt := a.conn.LastRead() + l.Heartbeat.Milliseconds()
	deadAt := pingAt + l.HeartbeatTimeout.Milliseconds()
	switch {
	case now < pingAt:
		return pingAt
	case now >= deadAt:
		a.refuse(wire.CloseHeartbeatTimeout, "nothing heard")
		return now + 1
	}
	if a.pingedAt < pingAt {
		a.pingedAt = now
		a.conn.Queue(wire.Frame{Type: wire.TypePing})
		a.conn.Flush()
	}
	return deadAt
}

// credential ends the session when its token has run out, after a warning. It
// returns when to look again, 0 for never.
func (a *Attachment) credential(now int64) (next int64) {
	s := a.s
	s.mu.Lock()
	expires, warned := s.state.ExpiresAt, s.warned
	left := time.Until(expires)
	warn := !expires.IsZero() && !warned && left <= s.limits.ExpiryWarning
	if warn {
		s.warned = true
	}
	s.mu.Unlock()
	switch {
	case expires.IsZero():
		return 0
	case left <= 0:
		a.refuse(wire.CloseTokenExpired, "the token has run out")
		return now + 1
	case warn:
		a.warnExpiring(left)
	case !warned:
		left -= s.limits.ExpiryWarning
	}
	return now + max(left.Milliseconds(), 1)
}
