package kit

import (
	"fmt"
	"time"

	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// This file turns the contract's types into the kit's.

func session(s *holdfast.Session) Session {
	if s == nil {
		return Session{}
	}
	out := Session{
		ID: s.Id, UID: s.Uid, Gateway: s.Gateway, Epoch: s.Epoch, ClientIP: s.ClientIp,
		Transport: s.Transport, Attrs: s.Attrs, ConnectedAt: time.UnixMilli(s.ConnectedAtMs),
	}
	if d := s.Device; d != nil {
		out.Device = Device{ID: d.Id, Class: d.DeviceClass, OS: d.Os, App: d.App, Version: d.Version, Model: d.Model}
	}
	return out
}

func login(item *holdfast.ConnectItem) Login {
	l := Login{Session: session(item.Session), Token: item.Token, Purpose: PurposeConnect, ClientAttrs: item.ClientAttrs}
	if item.Purpose == holdfast.ConnectPurpose_REFRESH {
		l.Purpose = PurposeRefresh
	}
	return l
}

// event fails on a kind that this version does not know, so that the gateway
// keeps what cannot be understood instead of believing it delivered.
func event(e *holdfast.Event) (Event, error) {
	kinds := map[holdfast.EventKind]EventKind{
		holdfast.EventKind_CUT: Cut, holdfast.EventKind_RESUMED: Resumed,
		holdfast.EventKind_ENDED: Ended, holdfast.EventKind_PRESENT: Present,
	}
	kind, ok := kinds[e.Kind]
	if !ok {
		return Event{}, fmt.Errorf("event of session %s: unknown kind %d", e.Session.GetId(), e.Kind)
	}
	return Event{Session: session(e.Session), Kind: kind, Reason: e.Reason, At: time.UnixMilli(e.AtMs)}, nil
}

func packet(service string, p *holdfast.Packet) Packet {
	return Packet{
		Service: service, Session: p.Session, UID: p.Uid, Seq: p.Seq, Attempt: int(p.Attempt), Command: p.Command,
		Payload: p.Payload, Attrs: p.Attrs, DeviceID: p.DeviceId, Gateway: p.Gateway,
	}
}
