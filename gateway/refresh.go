package gateway

import (
	"time"

	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Refresh has a new token of a live session judged, and answers request id.
func (s *Server) Refresh(one *session.Session, id uint32, token string) {
	v := one.View()
	s.disp.Connect(Login{
		Session: v.ID, UID: v.UID, Refresh: true, Token: token, Device: v.Device,
		ClientIP: v.ClientIP, Transport: v.Transport, Attrs: v.Attrs, ConnectedAt: v.ConnectedAt,
	}, func(verdict Verdict) {
		s.refreshed(one, id, verdict)
	})
}

func (s *Server) refreshed(one *session.Session, id uint32, v Verdict) {
	switch {
	case v.CloseCode != 0:
		status := refreshStatus(wire.CloseCode(v.CloseCode))
		retryAfter := v.RetryAfter
		if status != wire.StatusUnavailable {
			retryAfter = 0
		} else {
			retryAfter = max(retryAfter, minReconnectAfter)
		}
		one.Refuse(id, uint8(status), "refresh_refused", v.Reason, retryAfter)
	case v.UID != one.UID():
		one.Close(wire.ClosePermissionDenied, "the new token is another user's")
		return
	default:
		one.Refreshed(v.ExpiresAt)
		one.Reply(id, uint8(wire.StatusOK), expiresPayload(v.ExpiresAt))
	}
	one.Flush()
}

// refreshStatus says what a refused login means for a request: the session
// itself goes on until its credential runs out.
func refreshStatus(code wire.CloseCode) wire.Status {
	switch code {
	case wire.CloseBackendUnavailable, wire.CloseOverloaded, wire.CloseRateLimited:
		return wire.StatusUnavailable
	case wire.ClosePermissionDenied, wire.CloseKicked:
		return wire.StatusPermissionDenied
	default:
		return wire.StatusUnauthenticated
	}
}

// expiresPayload tells the client how long the renewed credential holds.
func expiresPayload(at time.Time) []byte {
	if at.IsZero() {
		return []byte(`{}`)
	}
	return session.ExpiresIn(time.Until(at))
}
