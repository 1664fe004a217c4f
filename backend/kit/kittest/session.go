package kittest

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// Session is a client as the backend sees it.
type Session struct {
	ID     string
	UID    string
	Device kit.Device
	Attrs  map[string]string // what the backend's Connect answered

	gateway *Gateway
	order   sync.Mutex // one packet at a time, as a lane
	seq     int64      // guarded by order

	// guarded by the gateway's mu
	pushes []Push
	pushed chan struct{} // closed and made anew when a push comes
	topics map[string]bool
	kicked int32
}

// Push is a push that reached a session.
type Push struct {
	Command  string
	Payload  []byte
	Reliable bool
	Key      string
}

// Reply is the answer to a request.
type Reply struct {
	Status      kit.Status
	Payload     []byte
	NotExecuted bool
	Reason      string
}

// Login logs in with a token and fails the test when it is refused.
func (g *Gateway) Login(t testing.TB, token string, device kit.Device) *Session {
	t.Helper()
	s, err := g.TryLogin(token, device)
	if err != nil {
		t.Fatalf("login: %v", err)
	}
	return s
}

// TryLogin logs in with a token. The error of a refusal is a *kit.Refusal.
func (g *Gateway) TryLogin(token string, device kit.Device) (*Session, error) {
	s := &Session{
		ID: rand.Text()[:22], Device: device, gateway: g,
		topics: map[string]bool{}, pushed: make(chan struct{}),
	}
	reply, err := g.Logic.Connect(context.Background(), &holdfast.ConnectRequest{Items: []*holdfast.ConnectItem{{
		Session: s.wire(), Token: token, Purpose: holdfast.ConnectPurpose_CONNECT, DeadlineMs: patience.Milliseconds(),
	}}})
	if err != nil {
		return nil, err
	}
	if len(reply.Results) != 1 {
		return nil, fmt.Errorf("%d results to one login", len(reply.Results))
	}
	r := reply.Results[0]
	if r.CloseCode != 0 {
		return nil, &kit.Refusal{
			Code: kit.CloseCode(r.CloseCode), Reason: r.CloseReason,
			RetryAfter: time.Duration(r.RetryAfterMs) * time.Millisecond,
		}
	}
	s.UID, s.Attrs = r.Uid, r.Attrs
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sessions[s.ID] = s
	return s, nil
}

// End forgets the session; pushes no longer reach it. The backend is not told:
// see Gateway.Event.
func (s *Session) End() {
	s.gateway.mu.Lock()
	defer s.gateway.mu.Unlock()
	delete(s.gateway.sessions, s.ID)
}

// Request sends one request and waits for its reply, also when it was deferred.
// Requests of one session wait for each other.
func (s *Session) Request(t testing.TB, command, payload string) Reply {
	t.Helper()
	s.order.Lock()
	defer s.order.Unlock()
	s.seq++
	r := s.gateway.Forward(t, s.Packet(s.seq, command, payload))[0]
	return Reply{Status: kit.Status(r.Status), Payload: r.Payload, NotExecuted: r.NotExecuted, Reason: r.Reason}
}

// Packet returns a packet of the session, for Gateway.Forward.
func (s *Session) Packet(seq int64, command, payload string) *holdfast.Packet {
	return &holdfast.Packet{
		Session: s.ID, Uid: s.UID, Seq: seq, Command: command, Payload: []byte(payload),
		Attempt: 1, Attrs: s.Attrs, DeviceId: s.Device.ID, Gateway: s.gateway.address,
	}
}

// NextPush returns the next push in order, and fails the test when none comes.
func (s *Session) NextPush(t testing.TB) Push {
	t.Helper()
	deadline := time.After(patience)
	for {
		s.gateway.mu.Lock()
		if len(s.pushes) > 0 {
			p := s.pushes[0]
			s.pushes = s.pushes[1:]
			s.gateway.mu.Unlock()
			return p
		}
		pushed := s.pushed
		s.gateway.mu.Unlock()
		select {
		case <-pushed:
		case <-deadline:
			t.Fatalf("session %s (uid %s): no push came", s.ID, s.UID)
		}
	}
}

// Pushes returns the pushes that have come and were not taken by NextPush.
func (s *Session) Pushes() []Push {
	s.gateway.mu.Lock()
	defer s.gateway.mu.Unlock()
	return append([]Push(nil), s.pushes...)
}

// Kicked returns the code that ended the session, 0 while it lives.
func (s *Session) Kicked() int {
	s.gateway.mu.Lock()
	defer s.gateway.mu.Unlock()
	return int(s.kicked)
}

func (s *Session) takeLocked(item *holdfast.PushItem) {
	s.pushes = append(s.pushes, Push{Command: item.Command, Payload: item.Payload, Reliable: item.Reliable, Key: item.Key})
	close(s.pushed)
	s.pushed = make(chan struct{})
}

func (s *Session) wire() *holdfast.Session {
	return &holdfast.Session{
		Id: s.ID, Uid: s.UID, Gateway: s.gateway.address, Epoch: s.gateway.epoch, Transport: "tcp", ClientIp: "192.0.2.1",
		Attrs: s.Attrs, ConnectedAtMs: time.Now().UnixMilli(),
		Device: &holdfast.Device{
			Id: s.Device.ID, DeviceClass: s.Device.Class, Os: s.Device.OS,
			App: s.Device.App, Version: s.Device.Version, Model: s.Device.Model,
		},
	}
}
