package session

import (
	"crypto/subtle"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// ResumeRequest is what a client says of the session that it wants back.
type ResumeRequest struct {
	Secret string
	Seq    uint64 // of the last push received, 0 for none
}

// ResumeOutcome says what became of a resume. The set is closed: it is a
// metric's label too.
type ResumeOutcome uint8

// The outcomes.
const (
	ResumeOK      ResumeOutcome = iota
	ResumeNot                   // there is no such session any more, or the secret is wrong
	ResumeExpired               // the credential has run out: 4507
	ResumeBadSeq                // a push that was not sent: 4500
	resumeOutcomes
)

// String is the outcome as a label.
func (o ResumeOutcome) String() string {
	return [...]string{"resumed", "not_resumable", "token_expired", "bad_seq"}[o]
}

// Attach puts a new session on conn. The WELCOME that welcome makes is the first
// thing on conn; it is called with the session's lock held and must not keep or
// change the state. What comes from conn goes to the returned Attachment; when
// it is conn's receiver, conn is to be woken once and flushed.
func (s *Session) Attach(conn Conn, welcome func(*State) wire.Frame) *Attachment {
	s.turn.Lock()
	s.mu.Lock()
	a := s.moveLocked(conn)
	ok := conn.Queue(welcome(&s.state))
	s.mu.Unlock()
	s.turn.Unlock()
	if !ok {
		a.slow()
	}
	return a
}

// Resume takes the session over for conn: what is still on its way on the old
// connection counts no more, WELCOME with a new secret and the kept pushes
// behind r.Seq are on conn before anything new, and the old connection gets
// CLOSE 4009. welcome and the Attachment are Attach's; it is nil unless the
// outcome is ResumeOK. A conn that is gone already is for its owner to tell by
// Closed.
func (r *Registry) Resume(id string, conn Conn, req ResumeRequest, welcome func(*State) wire.Frame) (*Session, *Attachment, ResumeOutcome) {
	s := r.ByID(id)
	if s == nil {
		r.metrics.resumes[ResumeNot].Inc()
		return nil, nil, ResumeNot
	}
	a, outcome := s.Resume(conn, req, welcome)
	return s, a, outcome
}

// Resume is Registry.Resume for a session that is known.
func (s *Session) Resume(conn Conn, r ResumeRequest, welcome func(*State) wire.Frame) (*Attachment, ResumeOutcome) {
	s.turn.Lock()
	a, old, outcome, ok := s.takeOver(conn, r, welcome)
	s.turn.Unlock()
	s.deps.Metrics.resumes[outcome].Inc()
	switch outcome {
	case ResumeExpired:
		s.EndWith(wire.CloseTokenExpired, "the token has run out")
		return nil, outcome
	case ResumeOK:
	default:
		return nil, outcome
	}
	if old != nil {
		old.conn.CloseWith(wire.CloseTakenOver, "the session has been resumed on another connection")
	}
	s.awaitSubmit()
	if !ok {
		a.slow()
	}
	return a, outcome
}

// takeOver is Resume up to where backends have been told. s.turn is held.
func (s *Session) takeOver(conn Conn, r ResumeRequest, welcome func(*State) wire.Frame) (a, old *Attachment, out ResumeOutcome, ok bool) {
	s.mu.Lock()
	if out = s.resumableLocked(r); out != ResumeOK {
		s.mu.Unlock()
		return nil, nil, out, false
	}
	st := &s.state
	old = s.at
	s.arrivedLocked(r.Seq, st.Generation) // as an ACK that the old connection lost
	// The secret that was shown stays valid: this WELCOME may be lost as well.
	st.OldSecret, st.Secret = r.Secret, NewID()
	a = s.moveLocked(conn)
	frames := make([]wire.Frame, 0, 1+len(st.Kept.pushes))
	frames = append(frames, welcome(st))
	for i, p := range st.Kept.pushes {
		frames = append(frames, wire.Frame{
			Type: wire.TypePush, Seq: st.AckedSeq + 1 + uint64(i), Command: p.command, Payload: p.payload,
		})
	}
	ok = conn.QueueAll(frames)
	s.mu.Unlock()
	if s.deps.Cut != nil {
		s.deps.Cut.remove(s)
	}
	s.up.Resumed(conn.Transport(), conn.RemoteIP())
	return a, old, ResumeOK, ok
}

// resumableLocked judges a resume.
func (s *Session) resumableLocked(r ResumeRequest) ResumeOutcome {
	switch known, _ := s.knowsLocked(r.Secret); {
	case s.ended || !known || !s.deps.resumable():
		return ResumeNot
	case s.expiredLocked():
		return ResumeExpired
	case r.Seq > s.state.PushSeq:
		return ResumeBadSeq
	default:
		return ResumeOK
	}
}

// moveLocked makes conn the session's connection.
func (s *Session) moveLocked(conn Conn) *Attachment {
	s.state.Generation++
	a := &Attachment{
		s: s, conn: conn, generation: s.state.Generation,
		closeAt: s.deps.Limits.lifetimeEnd(conn.Now()),
	}
	s.at, s.away, s.told, s.calls = a, false, false, !conn.Pings()
	s.warned = false // a warning may have been lost with the old connection
	return a
}

// knowsLocked reports whether secret is one of the session's, and whether it is
// the new one. It takes the same time whatever the secret is.
func (s *Session) knowsLocked(secret string) (known, current bool) {
	st := &s.state
	now := subtle.ConstantTimeCompare([]byte(secret), []byte(st.Secret))
	before := subtle.ConstantTimeCompare([]byte(secret), []byte(st.OldSecret))
	if st.OldSecret == "" {
		before = 0
	}
	return now|before == 1, now == 1
}

// Authenticate reports whether secret is the session's, for calls that carry it.
// The new one retires the old, since the client has then received WELCOME.
func (s *Session) Authenticate(secret string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, current := s.knowsLocked(secret)
	if current {
		s.state.OldSecret = ""
	}
	return known && !s.ended
}

// retireSecret lets go of the old secret: on a stream, a frame shows that the
// client has received WELCOME. Calls show it by Authenticate.
func (a *Attachment) retireSecret() {
	s := a.s
	if !a.conn.Pings() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == a {
		s.state.OldSecret = ""
	}
}
