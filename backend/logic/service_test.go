package logic_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/backend/kit/kittest"
	"github.com/holdfast-io/holdfast/backend/logic"
	"github.com/holdfast-io/holdfast/backend/logic/keys"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

func TestLogin(t *testing.T) {
	s := start(t, nil)
	other, err := keys.OpenFolder(t.TempDir(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.Sign("1001", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	expired, err := s.keys.Key.Sign("1001", time.Now().Add(-2*time.Hour), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, token string
		want        kit.Refusal
	}{
		{"none", "", kit.Refusal{Code: kit.CloseUnauthenticated, Reason: "token required"}},
		{"no token", "1001", kit.Refusal{Code: kit.CloseUnauthenticated, Reason: "token refused"}},
		{"another folder's", foreign, kit.Refusal{Code: kit.CloseUnauthenticated, Reason: "token refused"}},
		{"too long", strings.Repeat("a", 9000), kit.Refusal{Code: kit.CloseUnauthenticated, Reason: "token refused"}},
		{"expired", expired, kit.Refusal{Code: kit.CloseTokenExpired, Reason: "token expired"}},
	} {
		_, err := s.gw.TryLogin(tt.token, kit.Device{})
		var got *kit.Refusal
		if !errors.As(err, &got) || *got != tt.want {
			t.Errorf("login with token %s = %v, want %v", tt.name, err, &tt.want)
		}
	}
	if got := s.login("1001", "d"); got.UID != "1001" {
		t.Errorf("uid = %q, want 1001", got.UID)
	}
}

// TestRefresh judges a new token of a live session as it judges a login, but
// writes no presence.
func TestRefresh(t *testing.T) {
	s := start(t, nil)
	before := time.Now()
	ask := func(token string) *holdfast.ConnectResult_ {
		reply, err := s.gw.Logic.Connect(t.Context(), &holdfast.ConnectRequest{Items: []*holdfast.ConnectItem{{
			Session: &holdfast.Session{Id: "s1", Uid: "1001", Gateway: s.gw.Address(), Epoch: s.gw.Epoch(), Device: &holdfast.Device{}},
			Token:   token, Purpose: holdfast.ConnectPurpose_REFRESH, DeadlineMs: 30_000,
		}}})
		if err != nil {
			t.Fatal(err)
		}
		return reply.Results[0]
	}
	r := ask(s.token("1001"))
	expires := time.UnixMilli(r.ExpiresAtMs)
	if r.Uid != "1001" || r.CloseCode != 0 || expires.Before(before.Add(59*time.Minute)) || expires.After(time.Now().Add(61*time.Minute)) {
		t.Errorf("refresh = %+v, want uid 1001 for an hour", r)
	}
	if r := ask("x"); r.CloseCode != int32(kit.CloseUnauthenticated) {
		t.Errorf("refresh with a bad token = %+v, want 4502", r)
	}
	s.send(s.login("2", "d"), "1001", "c1")
	if n := s.gw.PushCalls(); n != 0 {
		t.Errorf("%d pushes, want none: a refresh is no session", n)
	}
}

func TestSend(t *testing.T) {
	s := start(t, nil)
	a1, a2 := s.login("1001", "a1"), s.login("1001", "a2")
	b1, b2 := s.login("1002", "b1"), s.login("1002", "b2")
	other := s.login("1003", "c")

	first := s.send(a1, "1002", "m1")
	if first.Seq != 1 || first.TimeMS == 0 || len(first.MsgID) != 19 || first.Conversation == "" {
		t.Errorf("reply = %+v, want seq 1, a time, a conversation and an id of 19 digits", first)
	}
	for _, at := range []*kittest.Session{b1, b2, a2} {
		s.wantPush(at, 1, "m1", first)
	}
	if again := s.send(a2, "1002", "m1"); again != first { // from another device too
		t.Errorf("reply to a repeat = %+v, want %+v", again, first)
	}
	second := s.send(b1, "1001", "m1") // the other way, with the same id
	if second.Conversation != first.Conversation || second.Seq != 2 || second.MsgID <= first.MsgID {
		t.Errorf("reply = %+v, want the same conversation, seq 2, a higher id than %s", second, first.MsgID)
	}
	for _, at := range []*kittest.Session{a1, a2, b2} { // and so no push for the repeat
		s.wantPush(at, 2, "m1", second)
	}
	note := s.send(a1, "1001", "note")
	s.wantPush(a2, 3, "note", note)
	s.wantNoPush(a1, a2, b1, b2, other)
}

// TestPushOrder lets many send to one at once: pushes arrive in the order of
// positions, none is missing, and each sender's messages keep their order.
func TestPushOrder(t *testing.T) {
	s := start(t, nil)
	const senders, each = 8, 12
	hub := s.login("hub", "d")
	var packets []*holdfast.Packet
	for i := range senders {
		from := s.login(fmt.Sprint("u", i), "d")
		for m := range each {
			packets = append(packets, from.Packet(int64(m+1), "msg.send",
				fmt.Sprintf(`{"to":"hub","client_msg_id":"%d","type":"text","content":%d}`, m, m)))
		}
	}
	for i, r := range s.gw.Forward(t, packets...) {
		if kit.Status(r.Status) != kit.OK {
			t.Fatalf("packet %d = %v %s", i, kit.Status(r.Status), r.Payload)
		}
	}
	next := map[string]int{}
	for position := range int64(senders * each) {
		var m message
		if err := json.Unmarshal(hub.NextPush(t).Payload, &m); err != nil {
			t.Fatal(err)
		}
		if m.Position != position+1 || m.ClientMsgID != fmt.Sprint(next[m.From]) {
			t.Fatalf("push %d = position %d, message %s of %s, want %d", position+1, m.Position, m.ClientMsgID, m.From, next[m.From])
		}
		next[m.From]++
	}
}

// TestPull reads a timeline of large messages: pages by limit, and by bytes.
func TestPull(t *testing.T) {
	s := start(t, nil)
	a, b := s.login("a", "d"), s.login("b", "d")
	big := strings.Repeat("é", 15<<10) // 30 KiB
	const n = 6
	for i := range n {
		var reply sent
		s.request(a, "msg.send", fmt.Sprintf(`{"to":"b","client_msg_id":"c%d","type":"text","content":%q}`, i, big), &reply)
	}
	if items, more := s.pull(b, `{"after":4,"limit":1}`); len(items) != 1 || !more || items[0].Position != 5 {
		t.Errorf("pull with limit 1 = %d items, more %v", len(items), more)
	}
	position, pages := int64(0), 0
	for more := true; more; pages++ {
		r := b.Request(t, "msg.pull", fmt.Sprintf(`{"after":%d}`, position))
		if len(r.Payload) > s.cfg.Messages.PullBytes {
			t.Errorf("reply of %d bytes, at most %d", len(r.Payload), s.cfg.Messages.PullBytes)
		}
		var items []message
		items, more = s.pull(b, fmt.Sprintf(`{"after":%d}`, position))
		for _, m := range items {
			position++
			if m.Position != position || m.ClientMsgID != fmt.Sprint("c", position-1) || len(m.Content) != len(big)+2 {
				t.Errorf("item %d = position %d, id %s, %d bytes", position, m.Position, m.ClientMsgID, len(m.Content))
			}
		}
	}
	if position != n || pages < n/2 {
		t.Errorf("pulled %d messages in %d pages, want %d", position, pages, n)
	}
	if items, more := s.pull(s.login("nobody", "d"), ``); len(items) != 0 || more {
		t.Errorf("pull of an empty timeline = %d items, more %v", len(items), more)
	}
}

func TestBadRequests(t *testing.T) {
	s := start(t, nil)
	a := s.login("a", "d")
	for _, tt := range []struct {
		command, payload string
		status           kit.Status
		want             string
	}{
		{"msg.send", `[]`, kit.InvalidArgument, `{"message":"payload: not a JSON object"}`},
		{"msg.send", ``, kit.InvalidArgument, `{"message":"payload: not a JSON object"}`},
		{"msg.send", `{"to":"b","client_msg_id":"c","type":"t","content":"` + strings.Repeat("x", 32<<10) + `"}`,
			kit.InvalidArgument, `{"message":"content: 32770 bytes, at most 32768"}`},
		{"msg.pull", `{"after":"1"}`, kit.InvalidArgument, `{"message":"after: want a whole number from 0 to 9007199254740991"}`},
		{"msg", `{}`, kit.Unimplemented, `{"message":"unknown command"}`},
		{"msg.new", `{}`, kit.Unimplemented, `{"message":"unknown command"}`},
	} {
		r := a.Request(t, tt.command, tt.payload)
		if r.Status != tt.status || string(r.Payload) != tt.want {
			t.Errorf("%s %.40s = %v %s, want %v %s", tt.command, tt.payload, r.Status, r.Payload, tt.status, tt.want)
		}
	}
	if items, _ := s.pull(a, `{}`); len(items) != 0 {
		t.Errorf("%d messages were stored", len(items))
	}
}

// TestEnded goes on pushing to a session that was cut, and stops when it has ended.
func TestEnded(t *testing.T) {
	s := start(t, nil)
	a, a2, b := s.login("a", "d"), s.login("a", "d2"), s.login("b", "d")
	send := func(position int64, id string) sent {
		reply := s.send(a, "b", id)
		s.wantPush(a2, position, id, reply) // so the receiver's sessions have been looked up
		return reply
	}
	for i, kind := range []holdfast.EventKind{holdfast.EventKind_CUT, holdfast.EventKind_RESUMED} {
		if err := s.gw.Event(t, kind, b); err != nil {
			t.Fatal(err)
		}
		s.wantPush(b, int64(i+1), kind.String(), send(int64(i+1), kind.String()))
	}
	if err := s.gw.Event(t, holdfast.EventKind_ENDED, b); err != nil {
		t.Fatal(err)
	}
	send(3, "nobody is there")
	s.login("b", "d") // this gateway pushes to both, as the first has not ended there
	s.wantPush(b, 4, "somebody is", send(4, "somebody is"))
}

// TestRestart plays what happens when the process is replaced while clients stay
// connected to their gateway: a message that comes before the gateway has
// announced its sessions is pushed when it has.
func TestRestart(t *testing.T) {
	s := start(t, nil)
	a, b1, b2 := s.login("a", "a1"), s.login("b", "b1"), s.login("b", "b2")
	first := s.send(a, "b", "m1")
	s.wantPush(b1, 1, "m1", first)
	s.wantPush(b2, 1, "m1", first)

	s.stop()
	s.run()
	if again := s.send(a, "b", "m1"); again != first {
		t.Errorf("reply to a repeat after the restart = %+v, want %+v", again, first)
	}
	second := s.send(a, "b", "m2")
	if !s.gw.Heartbeat(t).Resync {
		t.Error("the new process asks for no resync")
	}
	if err := s.gw.Event(t, holdfast.EventKind_PRESENT, a, b1, b2); err != nil {
		t.Fatal(err)
	}
	third := s.send(a, "b", "m3")
	for _, at := range []*kittest.Session{b1, b2} {
		s.wantPush(at, 2, "m2", second)
		s.wantPush(at, 3, "m3", third)
	}
	s.wantNoPush(a, b1, b2)
	if items, more := s.pull(b1, `{"after":1}`); len(items) != 2 || more {
		t.Errorf("pull = %d items, more %v, want 2", len(items), more)
	}
}

// TestGatewayThatFails keeps storing and answering while pushes fail.
func TestGatewayThatFails(t *testing.T) {
	// The gateway refuses deferred answers too, so nothing may be deferred here.
	s := start(t, func(c *logic.Config) { c.Kit.DeferAfter = 30 * time.Second })
	a, b := s.login("a", "d"), s.login("b", "d")
	s.gw.Fail(errors.New("down"))
	s.send(a, "b", "m1")
	for deadline := time.Now().Add(30 * time.Second); s.gw.PushCalls() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no push was tried")
		}
	}
	s.gw.Fail(nil)
	if items, _ := s.pull(b, ``); len(items) != 1 {
		t.Errorf("pull = %d items, want the message that was not pushed", len(items))
	}
	s.wantNoPush(b)
	s.wantPush(b, 2, "m2", s.send(a, "b", "m2"))
}

func TestNewErrors(t *testing.T) {
	good := logic.DefaultConfig()
	good.Kit.Listen = "127.0.0.1:0"
	for name, change := range map[string]func(*logic.Config){
		"folder": func(c *logic.Config) { c.Data = "/dev/null/data" },
		"key": func(c *logic.Config) {
			c.Data, c.Keys = t.TempDir(), []keys.Config{{Kid: "k", Algorithm: keys.HS256, File: "/no/such/key"}}
		},
		"store": func(c *logic.Config) { c.Data, c.Store.Path = t.TempDir(), "/no/such/folder/im.db" },
	} {
		cfg := good
		change(&cfg)
		_, err := logic.New(cfg, quiet, prometheus.NewRegistry())
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("New with a bad %s = %v, want one line", name, err)
		}
	}
}

// TestConfiguredKeys takes the keys of the configuration and not the folder's.
func TestConfiguredKeys(t *testing.T) {
	elsewhere := t.TempDir()
	signer, err := keys.OpenFolder(elsewhere, quiet)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, func(c *logic.Config) {
		c.Keys = []keys.Config{{Kid: "local", Algorithm: keys.HS256, File: filepath.Join(elsewhere, "token.key")}}
	})
	if _, err := s.gw.TryLogin(s.token("1001"), kit.Device{}); err == nil {
		t.Error("a token of the data folder's own key is taken")
	}
	s.keys = signer
	if got := s.login("1001", "d"); got.UID != "1001" {
		t.Errorf("uid = %q", got.UID)
	}
}
