package kit_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/backend/kit/kittest"
)

func noHandler(context.Context, kit.Packet) ([]byte, error) { return nil, nil }

// TestPushOrder gives pushes of several order keys from several goroutines and
// checks that none overtakes another of its key, and that they share calls.
func TestPushOrder(t *testing.T) {
	const keys, each = 10, 300
	srv, gw := start(t, noHandler, nil)
	s := gw.Login(t, "alice", kit.Device{})
	var sent, acked sync.WaitGroup
	for k := range keys {
		acked.Add(each)
		sent.Go(func() {
			for i := range each {
				err := srv.Pusher().PushAsync(gw.Address(), kit.Push{
					To: kit.ToSession(s.ID), Command: "n", Payload: fmt.Append(nil, i),
					Key: fmt.Sprint("k", k), Order: fmt.Sprint("order", k), Reliable: k%2 == 0,
				}, func(r kit.Result, err error) {
					if err != nil || r.Delivered != 1 {
						t.Errorf("push = %+v, %v", r, err)
					}
					acked.Done()
				})
				if err != nil {
					t.Error(err)
					acked.Done()
				}
			}
		})
	}
	sent.Wait()
	acked.Wait()
	next := map[string]int{}
	for _, p := range s.Pushes() {
		if want := fmt.Sprint(next[p.Key]); string(p.Payload) != want {
			t.Fatalf("key %s: %s came, want %s", p.Key, p.Payload, want)
		}
		if p.Reliable != (p.Key[1]%2 == 0) {
			t.Errorf("key %s: reliable = %v", p.Key, p.Reliable)
		}
		next[p.Key]++
	}
	if n := len(s.Pushes()); n != keys*each {
		t.Errorf("%d pushes arrived, want %d", n, keys*each)
	}
	if calls := gw.PushCalls(); calls > keys*each/2 {
		t.Errorf("%d pushes took %d calls: they do not gather", keys*each, calls)
	}
}

func TestPushTargets(t *testing.T) {
	srv, gw := start(t, noHandler, nil)
	a1, a2 := gw.Login(t, "alice", kit.Device{ID: "1"}), gw.Login(t, "alice", kit.Device{ID: "2"})
	b := gw.Login(t, "bob", kit.Device{})
	push := srv.Pusher()
	done, err := push.Subscribe(t.Context(), gw.Address(),
		kit.Subscription{Session: a2.ID, Join: []string{"news", "other"}, Leave: []string{"other"}},
		kit.Subscription{Session: "nobody", Join: []string{"news"}})
	if diff := cmp.Diff([]kit.Subscribed{kit.SubscribedDone, kit.SubscribedNoSession}, done); err != nil || diff != "" {
		t.Errorf("Subscribe() = %v, %v (-want +got):\n%s", done, err, diff)
	}
	tests := []struct {
		name string
		item kit.Push
		want kit.Result
	}{
		{"session", kit.Push{To: kit.ToSession(b.ID)}, kit.Result{Delivered: 1}},
		{"uid", kit.Push{To: kit.ToUID("alice")}, kit.Result{Delivered: 2}},
		{"others", kit.Push{To: kit.ToUID("alice"), ExceptSession: a1.ID}, kit.Result{Delivered: 1}},
		{"topic", kit.Push{To: kit.ToTopic("news")}, kit.Result{Delivered: 1}},
		{"all", kit.Push{To: kit.ToAll()}, kit.Result{Delivered: 3}},
		{"nobody", kit.Push{To: kit.ToUID("carol")}, kit.Result{Refusal: kit.NoSession}},
	}
	for _, tt := range tests {
		tt.item.Command = tt.name
		got, err := push.Push(t.Context(), gw.Address(), tt.item)
		if err != nil || got != tt.want {
			t.Errorf("%s: Push() = %+v, %v; want %+v", tt.name, got, err, tt.want)
		}
	}
	commands := func(s *kittest.Session) (out []string) {
		for _, p := range s.Pushes() {
			out = append(out, p.Command)
		}
		return out
	}
	got := [][]string{commands(a1), commands(a2), commands(b)}
	if diff := cmp.Diff([][]string{{"uid", "all"}, {"uid", "others", "topic", "all"}, {"session", "all"}}, got); diff != "" {
		t.Errorf("pushes (-want +got):\n%s", diff)
	}
	in, err := push.Inspect(t.Context(), gw.Address(), kit.ToUID("alice"), 1)
	if err != nil || in.Matched != 2 || len(in.Sessions) != 1 || in.Gateway.Sessions != 3 {
		t.Errorf("Inspect() = %+v, %v", in, err)
	}
	kicked, err := push.Kick(t.Context(), gw.Address(), kit.KickItem{To: kit.ToUID("alice"), Code: kit.CloseKicked, Reason: "bye"})
	if err != nil || len(kicked) != 1 || kicked[0] != 2 || a1.Kicked() != 4504 {
		t.Errorf("Kick() = %v, %v; session has %d", kicked, err, a1.Kicked())
	}
}

func TestInvalidPushIsRefusedBeforeItIsSent(t *testing.T) {
	srv, gw := start(t, noHandler, nil)
	for field, item := range map[string]kit.Push{
		"to: no":  {Command: "c"},
		"to: emp": {To: kit.ToUID(""), Command: "c"},
		"topic":   {To: kit.ToTopic(strings.Repeat("t", 129)), Command: "c"},
		"command": {To: kit.ToAll(), Command: "Bad"},
		"key":     {To: kit.ToAll(), Command: "c", Key: strings.Repeat("k", 65)},
		"ttl":     {To: kit.ToAll(), Command: "c", TTL: -1},
	} {
		_, err := srv.Pusher().Push(t.Context(), gw.Address(), item)
		if !errors.Is(err, kit.ErrInvalidPush) || !strings.Contains(err.Error(), field) {
			t.Errorf("Push(%+v) = %v, want ErrInvalidPush naming %q", item, err, field)
		}
	}
	if n := gw.PushCalls(); n != 0 {
		t.Errorf("%d calls were made", n)
	}
}

func TestPushToAGatewayThatFails(t *testing.T) {
	srv, gw := start(t, noHandler, nil)
	item := kit.Push{To: kit.ToAll(), Command: "c"}
	gw.Fail(errors.New("not now"))
	if _, err := srv.Pusher().Push(t.Context(), gw.Address(), item); err == nil || !strings.Contains(err.Error(), gw.Address()) {
		t.Errorf("Push() = %v, want an error that names the gateway", err)
	}
	gw.Fail(nil)
	if _, err := srv.Pusher().Push(t.Context(), gw.Address(), item); err != nil {
		t.Errorf("Push() afterwards = %v", err)
	}
	if _, err := srv.Pusher().Push(t.Context(), "gateway-without-port", item); err == nil {
		t.Error("Push() to a name that is no address = nil")
	}
}

// silent accepts connections and never answers.
func silent(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() }) // only the test's end
	return ln.Addr().String()
}

func TestPushesForAHungGatewayAreBounded(t *testing.T) {
	srv, gw := start(t, noHandler, func(c *kit.Config) {
		c.Gateways.Queue, c.Gateways.Batch, c.Gateways.CallTimeout = 5, 1, 100*time.Millisecond
	})
	hung := silent(t)
	item := kit.Push{To: kit.ToAll(), Command: "c"}
	var answered sync.WaitGroup
	full := 0
	for range 20 {
		answered.Add(1)
		err := srv.Pusher().PushAsync(hung, item, func(_ kit.Result, err error) {
			if err == nil {
				t.Error("a push to a silent gateway succeeded")
			}
			answered.Done()
		})
		if err != nil {
			answered.Done()
			if full++; !errors.Is(err, kit.ErrQueueFull) {
				t.Errorf("PushAsync() = %v, want ErrQueueFull", err)
			}
		}
	}
	if full < 12 {
		t.Errorf("%d of 20 refused with a queue of 5", full)
	}
	if _, err := srv.Pusher().Push(t.Context(), gw.Address(), item); err != nil {
		t.Errorf("another gateway suffers: %v", err)
	}
	answered.Wait()
}

func TestBroadcast(t *testing.T) {
	srv, gw1 := start(t, noHandler, nil)
	gw2 := kittest.NewGateway(t, srv.Addr(), kittest.Options{Service: "im"})
	gw1.Login(t, "alice", kit.Device{})
	gw2.Login(t, "alice", kit.Device{})
	gw2.Login(t, "bob", kit.Device{})
	item := kit.Push{To: kit.ToUID("alice"), Command: "c"}
	if r, err := srv.Pusher().Broadcast(t.Context(), item); err != nil || r.Delivered != 0 {
		t.Errorf("Broadcast() with no gateway alive = %+v, %v", r, err)
	}
	gw1.Heartbeat(t)
	gw2.Heartbeat(t)
	if r, err := srv.Pusher().Broadcast(t.Context(), item); err != nil || r != (kit.Result{Delivered: 2}) {
		t.Errorf("Broadcast() = %+v, %v; want 2 delivered", r, err)
	}
	item.To = kit.ToUID("bob")
	if r, err := srv.Pusher().Broadcast(t.Context(), item); err != nil || r != (kit.Result{Delivered: 1}) {
		t.Errorf("Broadcast() = %+v, %v; want 1 delivered", r, err)
	}
	gw1.Fail(errors.New("not now"))
	if r, err := srv.Pusher().Broadcast(t.Context(), item); err == nil || r.Delivered != 1 {
		t.Errorf("Broadcast() = %+v, %v; want 1 delivered and an error", r, err)
	}
}
