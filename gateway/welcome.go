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
	window := s.cfg.Session.Window
	if v.Window > 0 {
		window = min(window, v.Window)
	}
	one := session.New(session.State{
		ID: l.Session, Secret: session.NewID(), UID: v.UID, Device: l.Device, Attrs: v.Attrs,
		Service: v.Service, ConnectedAt: l.ConnectedAt, ExpiresAt: v.ExpiresAt, Window: window,
	}, s.sessionDeps)
	one.Start(s.disp.Open(Origin{
		Session: l.Session, UID: v.UID, Device: l.Device, ClientIP: l.ClientIP,
		Transport: l.Transport, Attrs: v.Attrs, ConnectedAt: l.ConnectedAt,
	}, v.Service, one))
	return one
}

func (s *Server) welcome(one *session.Session) wire.Frame {
	st := one.Snapshot()
	return wire.Frame{Type: wire.TypeWelcome, Payload: wire.AppendWelcome(nil, &wire.Welcome{
		Session: st.ID, Secret: st.Secret, UID: st.UID,
		Gateway: s.cfg.Name, ReturnTo: s.returnTo,
		HeartbeatMS:        s.cfg.Session.Heartbeat.Milliseconds(),
		HeartbeatTimeoutMS: s.cfg.Session.HeartbeatTimeout.Milliseconds(),
		RequestTimeoutMS:   s.cfg.Session.RequestTimeout.Milliseconds(),
		Window:             st.Window,
		MaxFrame:           s.cfg.Limits.FrameBytes,
		TimeMS:             time.Now().UnixMilli(),
	})}
}

func goAway(code wire.CloseCode, reason string, deadline, reconnectAfter time.Duration) wire.Frame {
	return wire.Frame{Type: wire.TypeGoAway, Payload: wire.AppendGoAway(nil, &wire.GoAway{
		Code: code, Reason: reason,
		DeadlineMS: deadline.Milliseconds(), ReconnectAfterMS: reconnectAfter.Milliseconds(),
	})}
}
