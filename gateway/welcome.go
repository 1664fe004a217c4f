package gateway

import (
	"math/rand/v2"
	"time"

	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// minReconnectAfter keeps a client that was told to wait from coming back at
// once.
const minReconnectAfter = 100 * time.Millisecond

// reconnectJitter spreads the clients that are told to go elsewhere at the same
// moment.
const reconnectJitter = time.Second

// reconnectAfter is a wait for one client.
func reconnectAfter() time.Duration {
	return minReconnectAfter + rand.N(reconnectJitter)
}

// reconnectWithin is a wait that leaves a client the time to leave before its
// connection is closed.
func reconnectWithin(grace time.Duration) time.Duration {
	return max(min(reconnectAfter(), rand.N(grace/2+1)), time.Millisecond)
}

// newSession makes the session of a login that was let in.
func (s *Server) newSession(l Login, v Verdict) *session.Session {
	now := s.live.Load()
	window := now.cfg.Session.Window
	if v.Window > 0 {
		window = min(window, v.Window)
	}
	one := session.New(session.State{
		ID: l.Session, Secret: session.NewID(), UID: v.UID, Device: l.Device, Attrs: v.Attrs,
		Service: v.Service, ConnectedAt: l.ConnectedAt, ExpiresAt: v.ExpiresAt, Window: window,
	}, now.sessions)
	one.Start(s.disp.Open(Origin{
		Session: l.Session, UID: v.UID, Device: l.Device, ClientIP: l.ClientIP,
		Transport: l.Transport, Attrs: v.Attrs, ConnectedAt: l.ConnectedAt,
	}, v.Service, one))
	return one
}

// welcome is the first frame of a session's connection, welcomeBack that of a
// later one. They are called with the session's lock held and do not keep st.
func (s *Server) welcome(st *session.State) wire.Frame { return s.welcomeFrame(st, false) }

func (s *Server) welcomeBack(st *session.State) wire.Frame { return s.welcomeFrame(st, true) }

func (s *Server) welcomeFrame(st *session.State, resumed bool) wire.Frame {
	cfg := &s.live.Load().cfg
	return wire.Frame{Type: wire.TypeWelcome, Payload: wire.AppendWelcome(nil, &wire.Welcome{
		Session: st.ID, Secret: st.Secret, UID: st.UID, Resumed: resumed,
		Gateway: s.name, ReturnTo: s.returnTo,
		HeartbeatMS:        cfg.Session.Heartbeat.Milliseconds(),
		HeartbeatTimeoutMS: cfg.Session.HeartbeatTimeout.Milliseconds(),
		RequestTimeoutMS:   cfg.Session.RequestTimeout.Milliseconds(),
		ResumeTTLMS:        cfg.Session.ResumeTTL.Milliseconds(),
		Window:             st.Window,
		MaxFrame:           cfg.Limits.FrameBytes,
		LastRequestID:      st.LastRequestID,
		TimeMS:             time.Now().UnixMilli(),
	})}
}

func goAway(code wire.CloseCode, reason string, deadline, reconnectAfter time.Duration) wire.Frame {
	return wire.Frame{Type: wire.TypeGoAway, Payload: wire.AppendGoAway(nil, &wire.GoAway{
		Code: code, Reason: reason,
		DeadlineMS: deadline.Milliseconds(), ReconnectAfterMS: reconnectAfter.Milliseconds(),
	})}
}
