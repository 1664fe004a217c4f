package push

import (
	"context"

	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// Inspect tells what the gateway knows of sessions.
func (s *Service) Inspect(_ context.Context, req *holdfast.InspectRequest) (*holdfast.InspectReply, error) {
	if req.Limit < 0 || req.Limit > inspectMax {
		return nil, tooMany("limit", int(req.Limit), inspectMax)
	}
	who, err := parseTarget(req.Who)
	if err != nil {
		return nil, err
	}
	name, epoch := s.gateway.Self()
	reply := &holdfast.InspectReply{
		Name: name, Epoch: epoch, Total: s.sessions.Len(), Draining: s.gateway.Draining(),
	}
	if who.kind == toAll && req.Limit == 0 {
		reply.Matched = reply.Total
		return reply, nil
	}
	s.each(who, func(one *session.Session) bool {
		reply.Matched++
		if len(reply.Sessions) < int(req.Limit) {
			reply.Sessions = append(reply.Sessions, s.inspected(one, epoch))
		}
		return true
	})
	return reply, nil
}

func (s *Service) inspected(one *session.Session, epoch int64) *holdfast.InspectedSession {
	v := one.View()
	d := v.Device
	return &holdfast.InspectedSession{
		Session: &holdfast.Session{
			Id: v.ID, Uid: v.UID, Gateway: s.gateway.Address(), Epoch: epoch,
			Device: &holdfast.Device{
				Id: d.ID, DeviceClass: d.Class, Os: d.OS, App: d.App, Version: d.Version, Model: d.Model,
			},
			ClientIp: v.ClientIP, Transport: v.Transport, Attrs: v.Attrs,
			ConnectedAtMs: v.ConnectedAt.UnixMilli(),
		},
		LastSeq: int64(v.PushSeq), AckedSeq: int64(v.AckedSeq),
		Unanswered: int32(v.Unanswered), QueuedBytes: int64(v.QueuedBytes), Topics: v.Topics,
	}
}
