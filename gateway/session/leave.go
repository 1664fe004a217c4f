package session

import "github.com/holdfast-io/holdfast/gateway/wire"

// Why a session was cut or ended, besides the names of close codes.
const (
	whyLost    = "connection_lost" // the connection went without a CLOSE
	whyNoCall  = "no_call"         // long poll and SSE: no call is open
	whyTTL     = "resume_ttl"      // nobody resumed it in time
	whyCutMax  = "cut_sessions_max"
	whyExpired = "TOKEN_EXPIRED" // as the close code's name
)

// Close ends the connection with CLOSE, and the session too when the code says
// so; with another code it can be resumed for a while. A session that has no
// connection ends likewise. It reports whether this changed anything.
func (s *Session) Close(code wire.CloseCode, reason string, before ...wire.Frame) bool {
	if code.EndsSession() {
		return s.EndWith(code, reason, before...)
	}
	s.mu.Lock()
	at := s.at
	s.mu.Unlock()
	return at != nil && at.close(code, reason, before...)
}

// EndWith ends the session whatever the code, and its connection, if it has
// one, with CLOSE. It reports whether the session was not over already.
func (s *Session) EndWith(code wire.CloseCode, reason string, before ...wire.Frame) bool {
	s.turn.Lock()
	at, first := s.endInTurn(code.String())
	s.turn.Unlock()
	if at != nil {
		at.conn.CloseWith(code, reason, before...)
	}
	return first
}

// Abandon ends the session without a word to the client.
func (s *Session) Abandon(why string) {
	s.turn.Lock()
	defer s.turn.Unlock()
	s.endInTurn(why)
}

// endInTurn finishes the session; only the first call counts. It returns the
// attachment whose connection is still to be closed, which the caller does once
// turn is let go. s.turn is held.
func (s *Session) endInTurn(why string) (at *Attachment, first bool) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return nil, false
	}
	at = s.at
	s.ended, s.at, s.away = true, nil, false
	s.state.Kept, s.state.Requests, s.state.OldSecret = kept{}, nil, ""
	s.mu.Unlock()
	if s.deps.Cut != nil {
		s.deps.Cut.remove(s)
	}
	s.deps.Metrics.ended(why)
	s.deps.Home.Ended(s, why)
	s.up.End(why)
	return at, true
}

// close sends CLOSE; the session ends with it or is cut, as the code says,
// unless it has gone on elsewhere. No lock of the session may be held.
func (a *Attachment) close(code wire.CloseCode, reason string, before ...wire.Frame) bool {
	left := a.leave(code.String(), code.EndsSession())
	a.conn.CloseWith(code, reason, before...)
	return left
}

// leave takes the session off a's connection: it ends, or stays for a while to
// be resumed. It reports false when it had gone on elsewhere or was over.
func (a *Attachment) leave(why string, end bool) bool {
	s := a.s
	left := a.leaveInTurn(why, end)
	if left && s.deps.Cut != nil {
		s.deps.Cut.trim()
	}
	return left
}

func (a *Attachment) leaveInTurn(why string, end bool) bool {
	s := a.s
	s.turn.Lock()
	defer s.turn.Unlock()
	s.mu.Lock()
	if s.at != a || s.ended {
		s.mu.Unlock()
		return false
	}
	if end || !s.deps.resumable() {
		s.mu.Unlock()
		s.endInTurn(why)
		return true
	}
	told, expires := s.told, s.state.ExpiresAt
	s.at, s.away, s.told = nil, false, true
	s.mu.Unlock()
	s.deps.Cut.add(s, expires)
	if !told {
		s.deps.Home.Cut(s, why)
		s.up.Cut(why)
	}
	return true
}

// resumable reports whether a session outlives its connection.
func (d *Deps) resumable() bool { return d.Cut != nil && d.Limits.ResumeTTL > 0 }

// slow cuts a client that reads too slowly. What it lacks is kept for a resume.
func (a *Attachment) slow() {
	a.close(wire.CloseSlowConsumer, "the client reads too slowly")
}
