package session

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// The commands that the gateway itself answers or sends.
const (
	commandTime     = "$time"
	commandRefresh  = "$refresh"
	commandExpiring = "$expiring"
)

// gatewayCommand answers a request whose command begins with $.
func (s *Session) gatewayCommand(f wire.Frame) {
	switch string(f.Command) {
	case commandTime:
		now := strconv.FormatInt(time.Now().UnixMilli(), 10)
		s.Reply(f.ID, uint8(wire.StatusOK), []byte(`{"time_ms":`+now+`}`))
	case commandRefresh:
		s.refresh(f)
		return // Home answers and flushes
	default:
		s.Refuse(f.ID, uint8(wire.StatusUnimplemented), "no_route", "the gateway has no such command", 0)
	}
	s.Flush()
}

func (s *Session) refresh(f wire.Frame) {
	var req struct {
		Token *string `json:"token"`
	}
	// The token's bound is checked on the payload first: unpacking cannot make
	// it longer, and nothing is unpacked that cannot fit.
	var problem string
	switch {
	case len(f.Payload) > 6*wire.TokenBytesMax+64: // every byte escaped as \u00xx
		problem = "token: longer than 8192 bytes"
	case json.Unmarshal(f.Payload, &req) != nil || req.Token == nil:
		problem = `payload: want {"token":"..."}`
	case len(*req.Token) > wire.TokenBytesMax:
		problem = "token: longer than 8192 bytes"
	}
	if problem != "" {
		s.Refuse(f.ID, uint8(wire.StatusInvalidArgument), "invalid_argument", problem, 0)
		s.Flush()
		return
	}
	s.deps.Home.Refresh(s, f.ID, *req.Token)
}

// Refreshed renews the credential in place.
func (s *Session) Refreshed(expires time.Time) {
	s.mu.Lock()
	s.state.ExpiresAt, s.warned = expires, false
	at := s.at
	s.mu.Unlock()
	if s.deps.Cut != nil {
		s.deps.Cut.renew(s, expires)
	}
	if at != nil && !expires.IsZero() {
		at.conn.WakeAt(at.conn.Now() + 1) // the wheel looks at the new time
	}
}

func (a *Attachment) warnExpiring(left time.Duration) {
	a.conn.Queue(wire.Frame{Type: wire.TypePush, Command: []byte(commandExpiring), Payload: ExpiresIn(left)})
	a.conn.Flush()
}

// ExpiresIn is the payload that tells how long a credential still holds.
func ExpiresIn(left time.Duration) []byte {
	return []byte(`{"expires_in_ms":` + strconv.FormatInt(left.Milliseconds(), 10) + `}`)
}
