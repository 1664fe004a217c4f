package session

import (
	"slices"
	"time"
)

// View is what an operator or a backend may see of a session.
type View struct {
	ID, UID        string
	Device         Device
	Attrs          map[string]string // shared; never written
	Transport      string            // of the present connection; empty while there is none
	ClientIP       string
	ConnectedAt    time.Time
	PushSeq        uint64
	AckedSeq       uint64
	Unanswered     int
	QueuedBytes    int
	Topics         []string
	Cut            bool   // it waits for its client to come back
	Connections    uint32 // how many it has been on
	KeptPushes     int    // not acknowledged
	KeptBytes      int
	KeptReplies    int // not known to have arrived
	KeptReplyBytes int
}

// View copies what may be seen. The secret is not among it.
func (s *Session) View() View {
	s.mu.Lock()
	st := &s.state
	v := View{
		ID: st.ID, UID: st.UID, Device: st.Device, Attrs: st.Attrs, ConnectedAt: st.ConnectedAt,
		PushSeq: st.PushSeq, AckedSeq: st.AckedSeq, Unanswered: st.Requests.openCount(),
		Topics: slices.Clone(s.topics), Cut: !s.ended && (s.at == nil || s.away), Connections: st.Generation,
		KeptPushes: len(st.Kept.pushes), KeptBytes: st.Kept.bytes,
	}
	v.KeptReplies, v.KeptReplyBytes = st.Requests.replyCount()
	at := s.at
	s.mu.Unlock()
	if at != nil {
		v.Transport, v.ClientIP, v.QueuedBytes = at.conn.Transport(), at.conn.RemoteIP(), at.conn.Queued()
	}
	return v
}

// Attached reports whether the session has a connection.
func (s *Session) Attached() bool { return s.Conn() != nil }

// OnCalls reports whether the session's last connection was long poll or SSE.
func (s *Session) OnCalls() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// Conn is the session's connection, nil while it has none.
func (s *Session) Conn() Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == nil {
		return nil
	}
	return s.at.conn
}

// HeldBytes is what the session holds for its client: what waits for the socket,
// kept pushes and kept replies. One payload may count twice.
func (s *Session) HeldBytes() int {
	s.mu.Lock()
	_, replies := s.state.Requests.replyCount()
	held, at := s.state.Kept.bytes+replies, s.at
	s.mu.Unlock()
	if at != nil {
		held += at.conn.Queued()
	}
	return held
}
