package logic_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/backend/kit/kittest"
	"github.com/holdfast-io/holdfast/backend/logic"
	"github.com/holdfast-io/holdfast/backend/logic/keys"
)

var quiet = slog.New(slog.DiscardHandler)

// service is a logic service over real Kitex calls, with a gateway.
type service struct {
	t    *testing.T
	cfg  logic.Config
	keys keys.Folder
	gw   *kittest.Gateway
	stop func()
}

// start serves a new data folder on a unix socket, so that a restart finds the
// same address.
func start(t *testing.T, change func(*logic.Config)) *service {
	t.Helper()
	dir := t.TempDir()
	cfg := logic.DefaultConfig()
	cfg.Kit = kittest.Config("logic")
	cfg.Kit.Listen = "unix:" + filepath.Join(dir, "logic.sock")
	cfg.Data = filepath.Join(dir, "data")
	// A slow, loaded machine is no failure here.
	const patience = 2 * time.Minute
	cfg.Store.WriteWait = patience
	cfg.Presence.Lease = patience
	cfg.Kit.HandlerTimeout, cfg.Kit.ConnectTimeout, cfg.Kit.EventsTimeout = patience, patience, patience
	cfg.Kit.Gateways.Lease, cfg.Kit.Gateways.CallTimeout = patience, patience
	if change != nil {
		change(&cfg)
	}
	folder, err := keys.OpenFolder(cfg.Data, quiet)
	if err != nil {
		t.Fatal(err)
	}
	s := &service{t: t, cfg: cfg, keys: folder}
	srv := s.run()
	s.gw = kittest.NewGateway(t, srv.Addr(), kittest.Options{Service: "logic"})
	s.gw.Heartbeat(t)
	return s
}

// run starts a life of the service, which the test's end stops.
func (s *service) run() *logic.Service {
	s.t.Helper()
	srv, err := logic.New(s.cfg, quiet, prometheus.NewRegistry())
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	select {
	case <-srv.Ready():
	case err := <-ended:
		cancel()
		s.t.Fatalf("Run = %v before it was ready", err)
	}
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("Run = %v, want nil", err)
		}
	}
	s.t.Cleanup(s.stop)
	return srv
}

func (s *service) token(uid string) string {
	s.t.Helper()
	token, err := s.keys.Sign(uid, time.Hour)
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

func (s *service) login(uid, device string) *kittest.Session {
	s.t.Helper()
	return s.gw.Login(s.t, s.token(uid), kit.Device{ID: device, Class: "ios"})
}

// sent is the reply to msg.send.
type sent struct {
	MsgID        string `json:"msg_id"`
	Conversation string `json:"conversation"`
	Seq          int64  `json:"seq"`
	TimeMS       int64  `json:"time_ms"`
}

// message is an item of msg.new and msg.pull.
type message struct {
	Position int64 `json:"position"`
	sent
	From        string          `json:"from"`
	To          string          `json:"to"`
	ClientMsgID string          `json:"client_msg_id"`
	Type        string          `json:"type"`
	Content     json.RawMessage `json:"content"`
}

func (s *service) request(from *kittest.Session, command, payload string, reply any) {
	s.t.Helper()
	r := from.Request(s.t, command, payload)
	if r.Status != kit.OK {
		s.t.Fatalf("%s %.100s = %v %s %s", command, payload, r.Status, r.Payload, r.Reason)
	}
	if err := json.Unmarshal(r.Payload, reply); err != nil {
		s.t.Fatalf("%s: reply %q: %v", command, r.Payload, err)
	}
}

func (s *service) send(from *kittest.Session, to, id string) (reply sent) {
	s.t.Helper()
	s.request(from, "msg.send", fmt.Sprintf(`{"to":%q,"client_msg_id":%q,"type":"text","content":%q}`, to, id, "to "+to), &reply)
	return reply
}

// wantPush waits for the next push of a session.
func (s *service) wantPush(at *kittest.Session, position int64, id string, reply sent) {
	s.t.Helper()
	p := at.NextPush(s.t)
	var m message
	if err := json.Unmarshal(p.Payload, &m); err != nil {
		s.t.Fatalf("push %q: %v", p.Payload, err)
	}
	if p.Command != "msg.new" || !p.Reliable || m.Position != position || m.ClientMsgID != id || m.sent != reply {
		s.t.Errorf("push to %s = %s reliable %v %+v, want msg.new, reliable, position %d, id %s, %+v",
			at.UID, p.Command, p.Reliable, m, position, id, reply)
	}
}

func (s *service) wantNoPush(at ...*kittest.Session) {
	s.t.Helper()
	for _, session := range at {
		if got := session.Pushes(); len(got) != 0 {
			s.t.Errorf("%d pushes to %s, first %s, want none", len(got), session.UID, got[0].Payload)
		}
	}
}

func (s *service) pull(who *kittest.Session, payload string) (items []message, more bool) {
	s.t.Helper()
	var reply struct {
		Items []message
		More  bool
	}
	s.request(who, "msg.pull", payload, &reply)
	return reply.Items, reply.More
}
