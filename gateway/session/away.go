package session

// Away tells that no call of the client is open. Of long poll and SSE, whose
// connections come and go with calls, the session then counts as cut: it ends
// when no call comes for resume_ttl. It stays on its connection, so pushes and
// answers go on being queued there, and the backend hears of the cut only when
// it lasts, since every poll has a gap behind it.
func (a *Attachment) Away() {
	if a.awayInTurn() {
		a.s.deps.Cut.trim()
	}
}

func (a *Attachment) awayInTurn() bool {
	s := a.s
	if s.deps.Cut == nil {
		return false
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	s.mu.Lock()
	ok := s.at == a && !s.ended && !s.away
	if ok {
		s.away = true
	}
	expires := s.state.ExpiresAt
	s.mu.Unlock()
	if ok {
		s.deps.Cut.add(s, expires)
	}
	return ok
}

// Back tells that a call is open again.
func (a *Attachment) Back() {
	s := a.s
	s.turn.Lock()
	defer s.turn.Unlock()
	s.mu.Lock()
	if s.at != a || s.ended || !s.away {
		s.mu.Unlock()
		return
	}
	told := s.told
	s.away, s.told = false, false
	s.mu.Unlock()
	s.deps.Cut.remove(s)
	if told {
		s.up.Resumed(a.conn.Transport(), a.conn.RemoteIP())
	}
}

// tell lets the backend know of an absence that has lasted.
func (s *Session) tell() {
	s.turn.Lock()
	defer s.turn.Unlock()
	s.mu.Lock()
	tell := s.away && !s.told && !s.ended
	if tell {
		s.told = true
	}
	s.mu.Unlock()
	if tell {
		s.deps.Home.Cut(s, whyNoCall)
		s.up.Cut(whyNoCall)
	}
}
