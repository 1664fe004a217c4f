package push

import (
	"context"

	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// Kick ends sessions, those too that wait for a resume or for the next call of a
// long poll. A code below 4500 closes the connection alone; KICKED does not.
func (s *Service) Kick(_ context.Context, req *holdfast.KickRequest) (*holdfast.KickReply, error) {
	if n := len(req.Items); n > kickItemsMax {
		return nil, tooMany("items", n, kickItemsMax)
	}
	kicked := make([]int32, len(req.Items))
	for i, item := range req.Items {
		if item != nil {
			kicked[i] = s.kick(item)
		}
	}
	return &holdfast.KickReply{Kicked: kicked}, nil
}

func (s *Service) kick(item *holdfast.KickItem) (kicked int32) {
	to, err := parseTarget(item.To)
	if err != nil || to.kind == toTopic || to.kind == toAll {
		s.metrics.invalid.Inc()
		return 0
	}
	// A code outside the range would tell clients something that the gateway
	// does not mean. The reason is cut to what CLOSE holds.
	code := wire.CloseKicked
	if item.Code >= 4000 && item.Code <= 4999 {
		code = wire.CloseCode(item.Code)
	}
	reason := item.Reason
	s.each(to, func(one *session.Session) bool {
		if item.ExceptSession == nil || *item.ExceptSession != one.ID() {
			if one.Close(code, reason) {
				kicked++
			}
		}
		return true
	})
	return kicked
}
