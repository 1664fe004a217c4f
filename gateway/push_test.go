package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudwego/kitex/client"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/gateway"
	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
	gatewayservice "github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast/gateway"
)

func discard() *slog.Logger             { return slog.New(slog.NewTextHandler(io.Discard, nil)) }
func newRegistry() *prometheus.Registry { return prometheus.NewRegistry() }

// backend is a Kitex client of the gateway, as a backend has one.
func (r *running) backend() gatewayservice.Client {
	r.t.Helper()
	c, err := gatewayservice.NewClient("holdfast.gateway", client.WithHostPorts(r.srv.Address()))
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func toSession(s string) *holdfast.Target { return &holdfast.Target{Session: &s} }
func toUID(s string) *holdfast.Target     { return &holdfast.Target{Uid: &s} }
func toTopic(s string) *holdfast.Target   { return &holdfast.Target{Topic: &s} }
func toAll() *holdfast.Target             { yes := true; return &holdfast.Target{All: &yes} }

func item(to *holdfast.Target, payload string, reliable bool) *holdfast.PushItem {
	return &holdfast.PushItem{To: to, Command: "test.push", Payload: []byte(payload), Reliable: reliable}
}

func push(t *testing.T, c gatewayservice.Client, items ...*holdfast.PushItem) []*holdfast.PushResult_ {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	r, err := c.Push(ctx, &holdfast.PushRequest{Items: items})
	if err != nil {
		t.Fatalf("Push: %v", err)
	}
	if len(r.Results) != len(items) {
		t.Fatalf("Push gave %d results for %d items", len(r.Results), len(items))
	}
	return r.Results
}

func (p *peer) wantPush(seq uint64, payload string) {
	p.t.Helper()
	f := p.next()
	if f.Type != wire.TypePush || f.Seq != seq || string(f.Command) != "test.push" || string(f.Payload) != payload {
		p.t.Errorf("came %s %s, want push %d %q", f.Type, describe(f), seq, payload)
	}
}

func TestPush(t *testing.T) {
	gw := start(t)
	c := gw.backend()
	a1, a2, b := gw.login("a"), gw.login("a"), gw.login("b")
	res := push(t, c,
		item(toUID("a"), "1", true),
		item(toUID("a"), "2", false),
		item(toUID("a"), "3", true),
		item(toAll(), "4", true),
		item(toUID("nobody"), "5", true),
	)
	for i, want := range []int32{2, 2, 2, 3, 0} {
		if res[i].Delivered != want || res[i].Refused != 0 {
			t.Errorf("item %d: %+v, want %d delivered", i, res[i], want)
		}
	}
	if res[4].Refusal != holdfast.PushRefusal_NO_SESSION {
		t.Errorf("nobody: %+v", res[4])
	}
	for _, p := range []*peer{a1, a2} {
		p.wantPush(1, "1")
		p.wantPush(0, "2")
		p.wantPush(2, "3")
		p.wantPush(3, "4")
		p.send(wire.Frame{Type: wire.TypeAck, Seq: 3})
		p.wantEcho(1)
	}
	b.wantPush(1, "4")

	ins, err := c.Inspect(t.Context(), &holdfast.InspectRequest{Who: toUID("a"), Limit: 10})
	if err != nil || ins.Matched != 2 || ins.Total != 3 || len(ins.Sessions) != 2 || ins.Name != "gw-test" || ins.Epoch == 0 {
		t.Fatalf("Inspect = %+v, %v", ins, err)
	}
	one := ins.Sessions[0]
	if one.LastSeq != 3 || one.AckedSeq != 3 || one.Session.Uid != "a" || one.Session.ClientIp != "127.0.0.1" || one.Session.Transport != "tcp" || one.Session.Gateway != gw.srv.Address() {
		t.Errorf("inspected = %+v %+v", one, one.Session)
	}
	except := one.Session.Id
	it := item(toUID("a"), "6", false)
	it.ExceptSession = &except
	if res := push(t, c, it, item(toSession(except), "7", false)); res[0].Delivered != 1 || res[1].Delivered != 1 {
		t.Errorf("except and session: %+v %+v", res[0], res[1])
	}
	var got []string
	for _, p := range []*peer{a1, a2} {
		got = append(got, string(p.next().Payload))
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{"6", "7"}) {
		t.Errorf("pushed %v, want 6 to the one and 7 to the other", got)
	}
}

func TestPushRefusals(t *testing.T) {
	gw := start(t)
	c := gw.backend()
	p := gw.login("a")
	uid := "a"
	yes := true
	bad := []*holdfast.PushItem{
		{Command: "x", Payload: []byte("no target")},
		{To: &holdfast.Target{}, Command: "x"},
		{To: &holdfast.Target{Uid: &uid, All: &yes}, Command: "x"},
		{To: toUID(""), Command: "x"},
		{To: toUID("a"), Command: ""},
		{To: toUID("a"), Command: "A"},
		{To: toUID("a"), Command: strings.Repeat("x", 65)},
		{To: toUID("a"), Command: "$expiring"},
		{To: toUID("a"), Command: "x", Key: strings.Repeat("k", 65)},
		{To: toUID("a"), Command: "x", TtlMs: -1},
	}
	for i, res := range push(t, c, bad...) {
		if res.Refusal != holdfast.PushRefusal_INVALID || res.Message == "" || res.Delivered != 0 {
			t.Errorf("item %d: %+v, want INVALID and why", i, res)
		}
	}
	res := push(t, c, item(toUID("a"), strings.Repeat("x", 64<<10), true), item(toUID("a"), "fits", true))
	if res[0].Refusal != holdfast.PushRefusal_TOO_LARGE || res[0].Refused != 1 || res[1].Delivered != 1 {
		t.Errorf("too large: %+v %+v", res[0], res[1])
	}
	p.wantPush(1, "fits")
	many := make([]*holdfast.PushItem, 4097)
	for i := range many {
		many[i] = item(toUID("a"), "x", false)
	}
	if _, err := c.Push(t.Context(), &holdfast.PushRequest{Items: many}); err == nil || !strings.Contains(err.Error(), "4096") {
		t.Errorf("4097 items = %v, want the limit named", err)
	}
	p.wantEcho(1)
}

func TestTopics(t *testing.T) {
	gw := start(t, func(c *gateway.Config) { c.Limits.Topics = 3 })
	c := gw.backend()
	a, b := gw.login("a"), gw.login("b")
	ids := map[string]string{}
	all, err := c.Inspect(t.Context(), &holdfast.InspectRequest{Who: toAll(), Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all.Sessions {
		ids[s.Session.Uid] = s.Session.Id
	}
	subscribe := func(session string, join, leave []string) holdfast.SubscribeResult_ {
		t.Helper()
		r, err := c.Subscribe(t.Context(), &holdfast.SubscribeRequest{Items: []*holdfast.SubscribeItem{{Session: session, Join: join, Leave: leave}}})
		if err != nil {
			t.Fatal(err)
		}
		return r.Results[0]
	}
	for _, tt := range []struct {
		session     string
		join, leave []string
		want        holdfast.SubscribeResult_
	}{
		{ids["a"], []string{"news", "sport"}, nil, holdfast.SubscribeResult__DONE},
		{ids["b"], []string{"news"}, nil, holdfast.SubscribeResult__DONE},
		{ids["a"], []string{"x", "y"}, nil, holdfast.SubscribeResult__TOO_MANY},
		{ids["a"], []string{"x", "y"}, []string{"sport"}, holdfast.SubscribeResult__DONE},
		{"nobody", []string{"news"}, nil, holdfast.SubscribeResult__NO_SESSION},
		{ids["a"], []string{""}, nil, holdfast.SubscribeResult__INVALID},
		{ids["a"], []string{strings.Repeat("t", 129)}, nil, holdfast.SubscribeResult__INVALID},
	} {
		if got := subscribe(tt.session, tt.join, tt.leave); got != tt.want {
			t.Errorf("subscribe join %.20q leave %q = %v, want %v", tt.join, tt.leave, got, tt.want)
		}
	}
	res := push(t, c, item(toTopic("news"), "n", true), item(toTopic("sport"), "s", true), item(toTopic("x"), "x", true))
	if res[0].Delivered != 2 || res[1].Delivered != 0 || res[2].Delivered != 1 {
		t.Errorf("topic pushes: %+v", res)
	}
	a.wantPush(1, "n")
	a.wantPush(2, "x")
	b.wantPush(1, "n")
	subscribe(ids["b"], nil, []string{"news"})
	a.Close()
	eventually(t, "nobody is subscribed", func() bool { return push(t, c, item(toTopic("news"), "-", false))[0].Delivered == 0 })
	b.wantEcho(1)
}

func TestKick(t *testing.T) {
	gw := start(t)
	c := gw.backend()
	a1, a2, b := gw.login("a"), gw.login("a"), gw.login("b")
	r, err := c.Kick(t.Context(), &holdfast.KickRequest{Items: []*holdfast.KickItem{
		{To: toUID("a"), Code: 4504, Reason: strings.Repeat("é", 100)},
		{To: toUID("nobody"), Code: 4504},
		{To: toAll(), Code: 4504},
	}})
	if err != nil || !slices.Equal(r.Kicked, []int32{2, 0, 0}) {
		t.Errorf("Kick = %v, %v, want [2 0 0]", r, err)
	}
	a1.wantClose(wire.CloseKicked)
	a2.wantClose(wire.CloseKicked)
	b.wantEcho(1)
	eventually(t, "the backend hears why", func() bool { return fmt.Sprint(gw.disp.endings()) == "[a KICKED a KICKED]" })
}

// TestDeferredReply: Reply finds the lane; an answer that nobody awaits is
// counted and dropped.
func TestDeferredReply(t *testing.T) {
	gw := start(t)
	c := gw.backend()
	p := gw.login("a")
	p.send(request(7, "hold.a", ""), request(8, "hold.a", ""))
	lanes := gw.disp.of("a")
	eventually(t, "both wait", func() bool { return len(lanes.submitted()) == 2 })
	answer := func(seq int64, payload string) *holdfast.DeferredReply {
		return &holdfast.DeferredReply{Session: lanes.origin.Session, Service: "test", Seq: seq, Attempt: 1, Reply: &holdfast.Reply{Payload: []byte(payload)}}
	}
	r, err := c.Reply(t.Context(), &holdfast.ReplyRequest{Incarnation: 42, Replies: []*holdfast.DeferredReply{
		answer(8, "eight"), answer(7, "seven"), answer(7, "again"), {Session: "nobody", Reply: &holdfast.Reply{}}, {}, nil,
	}})
	if err != nil || r.Accepted != 2 {
		t.Errorf("Reply = %v, %v, want 2 accepted", r, err)
	}
	for _, want := range []string{"eight", "seven"} {
		if f := p.next(); f.Type != wire.TypeReply || string(f.Payload) != want {
			t.Errorf("came %s %s, want %s", f.Type, describe(f), want)
		}
	}
	if got := gw.disp.heard(); !slices.Equal(got, []int64{42}) {
		t.Errorf("incarnations = %v", got)
	}
}

// TestUnacknowledged: pushes beyond what is kept cut the client with 4002.
func TestUnacknowledged(t *testing.T) {
	gw := start(t, func(c *gateway.Config) { c.Limits.KeptPushes = 3 })
	c := gw.backend()
	p, acking := gw.login("a"), gw.login("b")
	for i := range 3 {
		push(t, c, item(toAll(), "x", true))
		acking.wantPush(uint64(i+1), "x")
		acking.send(wire.Frame{Type: wire.TypeAck, Seq: uint64(i + 1)})
	}
	acking.wantEcho(1)
	res := push(t, c, item(toAll(), "one too many", true))
	if res[0].Delivered != 1 || res[0].Refused != 1 || res[0].Refusal != holdfast.PushRefusal_QUEUE_FULL {
		t.Errorf("the fourth: %+v", res[0])
	}
	acking.wantPush(4, "one too many")
	if before := p.wantClose(wire.CloseSlowConsumer); len(before) != 3 {
		t.Errorf("before CLOSE came %d frames, want the three pushes", len(before))
	}
}

// TestSlowReader: a client that does not read is cut at its bound with a CLOSE
// that it finds when it reads on, in the middle of nothing; nobody else waits.
func TestSlowReader(t *testing.T) {
	gw := start(t, func(c *gateway.Config) { c.Limits.OutboundBytes, c.Limits.KeptBytes = 128<<10, 128<<20 })
	c := gw.backend()
	slow, other := gw.login("slow"), gw.login("other")
	payload := strings.Repeat("x", 32<<10)
	sent := 0
	for ; sent < 2000; sent++ {
		res := push(t, c, item(toUID("slow"), payload, true))
		if res[0].Delivered > 0 {
			continue
		}
		if res[0].Refusal != holdfast.PushRefusal_QUEUE_FULL {
			t.Errorf("a reliable push behind a full queue: %+v", res[0])
		}
		break
	}
	if sent == 2000 {
		t.Fatal("64 MB went to a client that reads nothing")
	}
	other.wantEcho(1)
	eventually(t, "the session is over", func() bool {
		return push(t, c, item(toUID("slow"), "x", true))[0].Refusal == holdfast.PushRefusal_NO_SESSION
	})
	other.wantEcho(2)
	before := slow.wantClose(wire.CloseSlowConsumer)
	for _, f := range before {
		if f.Type != wire.TypePush || !bytes.Equal(f.Payload, []byte(payload)) {
			t.Fatalf("a torn frame: %s, %d bytes", f.Type, len(f.Payload))
		}
	}
	t.Logf("%d pushes of 32 KiB taken, %d frames arrived before CLOSE", sent, len(before))
}

// TestSlowReaderOfTransientPushes: they are dropped, oldest first, instead of the
// client; a reliable push takes their place, and arrives.
func TestSlowReaderOfTransientPushes(t *testing.T) {
	gw := start(t, func(c *gateway.Config) { c.Limits.OutboundBytes = 128 << 10 })
	c := gw.backend()
	slow := gw.login("slow")
	const n = 400
	for i := range n {
		payload := fmt.Sprintf("%05d%s", i, strings.Repeat("x", 32<<10))
		if res := push(t, c, item(toUID("slow"), payload, false)); res[0].Delivered != 1 {
			t.Fatalf("push %d: %+v", i, res[0])
		}
	}
	if res := push(t, c, item(toUID("slow"), "kept", true)); res[0].Delivered != 1 {
		t.Errorf("the reliable push: %+v", res[0])
	}
	got, last := 0, -1
	for {
		f := slow.next()
		if f.Type != wire.TypePush {
			t.Fatalf("came %s %s", f.Type, describe(f))
		}
		if f.Seq == 1 {
			break
		}
		i, err := strconv.Atoi(string(f.Payload[:5]))
		if err != nil || i <= last {
			t.Fatalf("push %d (%v) after %d", i, err, last)
		}
		got, last = got+1, i
	}
	if got == n || last < n-3 {
		t.Errorf("%d of %d transient pushes arrived, the last was %d: want some dropped, and none of the newest", got, n, last)
	}
	slow.wantEcho(1)
}

// TestDeafReader: a client that never reads again is gone after the write
// deadline and the linger, though its socket stays open.
func TestDeafReader(t *testing.T) {
	gw := start(t, func(c *gateway.Config) {
		c.Limits.WriteTimeout = time.Second
		c.Limits.OutboundBytes = 32 << 20
		c.Limits.KeptBytes = 32 << 20
	})
	c := gw.backend()
	deaf, other := gw.login("deaf"), gw.login("other")
	for range 400 {
		push(t, c, item(toUID("deaf"), strings.Repeat("x", 32<<10), true))
	}
	eventually(t, "the deaf one is gone", func() bool { return gw.srv.Sessions() == 1 })
	other.wantEcho(1)
	deaf.Close()
}
