package kit

// Pause makes the server refuse what comes from now on, packets and logins, as if
// it were draining, so that gateways take it elsewhere; Pause(false) takes it back.
// What it has begun goes on. It is for an instance that has lost its slot to
// another one and must not run that one's users. It may be called before Run.
func (s *Server) Pause(on bool) {
	if s.paused.Swap(on) == on {
		return
	}
	s.engine.Pause(on)
	if on {
		s.slog.Info("paused: refuses packets and logins")
	} else {
		s.slog.Info("not paused any more")
	}
}

// refusing tells whether what comes is sent elsewhere.
func (s *Server) refusing() bool { return s.draining.Load() || s.paused.Load() }
