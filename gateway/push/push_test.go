package push

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// netpoll's pollers live as long as the process.
		goleak.IgnoreAnyFunction("github.com/cloudwego/netpoll.(*defaultPoll).Wait"),
		goleak.IgnoreAnyFunction("github.com/bytedance/gopkg/util/gopool.(*worker).run.func1"),
	)
}

type fakeGateway struct{}

func (fakeGateway) Self() (string, int64) { return "gw", 7 }
func (fakeGateway) Address() string       { return "unix:/gw.sock" }
func (fakeGateway) Draining() bool        { return false }
func (fakeGateway) Incarnation(int64)     {}

func newTestService() *Service {
	reg := prometheus.NewRegistry()
	return NewService(session.NewRegistry(session.NewMetrics(reg)), fakeGateway{}, nil, NewMetrics(reg))
}

func TestParseTarget(t *testing.T) {
	name, empty, yes, no := "x", "", true, false
	tests := []struct {
		name string
		in   *holdfast.Target
		want target
		ok   bool
	}{
		{"session", &holdfast.Target{Session: &name}, target{toSession, "x"}, true},
		{"uid", &holdfast.Target{Uid: &name}, target{toUID, "x"}, true},
		{"topic", &holdfast.Target{Topic: &name}, target{toTopic, "x"}, true},
		{"all", &holdfast.Target{All: &yes}, target{kind: toAll}, true},
		{"missing", nil, target{}, false},
		{"none set", &holdfast.Target{}, target{}, false},
		{"all set to false", &holdfast.Target{All: &no}, target{}, false},
		{"two set", &holdfast.Target{Session: &name, Uid: &name}, target{}, false},
		{"one and all", &holdfast.Target{Uid: &name, All: &yes}, target{}, false},
		{"an empty name", &holdfast.Target{Uid: &empty}, target{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseTarget(tt.in)
			if (err == nil) != tt.ok || tt.ok && got != tt.want {
				t.Errorf("parseTarget(%v) = %v, %v, want %v, ok %v", tt.in, got, err, tt.want, tt.ok)
			}
		})
	}
}

// TestBounds: a list beyond its bound is refused whole, with the field and the
// limit in the error.
func TestBounds(t *testing.T) {
	s, ctx := newTestService(), context.Background()
	_, errPush := s.Push(ctx, &holdfast.PushRequest{Items: make([]*holdfast.PushItem, pushItemsMax+1)})
	_, errReply := s.Reply(ctx, &holdfast.ReplyRequest{Replies: make([]*holdfast.DeferredReply, replyItemsMax+1)})
	_, errKick := s.Kick(ctx, &holdfast.KickRequest{Items: make([]*holdfast.KickItem, kickItemsMax+1)})
	_, errSubscribe := s.Subscribe(ctx, &holdfast.SubscribeRequest{Items: make([]*holdfast.SubscribeItem, subscribeItemsMax+1)})
	_, errInspect := s.Inspect(ctx, &holdfast.InspectRequest{Limit: inspectMax + 1})
	for _, tt := range []struct {
		err  error
		want string
	}{
		{errPush, "items: 4097 items, at most 4096"}, {errReply, "replies: 4097 items, at most 4096"},
		{errKick, "items: 1025 items, at most 1024"}, {errSubscribe, "items: 1025 items, at most 1024"},
		{errInspect, "limit: 1001 items, at most 1000"},
	} {
		if tt.err == nil || tt.err.Error() != tt.want {
			t.Errorf("error = %v, want %s", tt.err, tt.want)
		}
	}
}

// TestMissingItems: a list with holes is answered item by item.
func TestMissingItems(t *testing.T) {
	s, ctx := newTestService(), context.Background()
	push, err := s.Push(ctx, &holdfast.PushRequest{Items: []*holdfast.PushItem{nil}})
	if err != nil || push.Results[0].Refusal != holdfast.PushRefusal_INVALID || push.Epoch != 7 {
		t.Errorf("Push = %v, %v", push, err)
	}
	sub, err := s.Subscribe(ctx, &holdfast.SubscribeRequest{Items: []*holdfast.SubscribeItem{nil}})
	if err != nil || sub.Results[0] != holdfast.SubscribeResult__INVALID {
		t.Errorf("Subscribe = %v, %v", sub, err)
	}
	kick, err := s.Kick(ctx, &holdfast.KickRequest{Items: []*holdfast.KickItem{nil, {}}})
	if err != nil || kick.Kicked[0] != 0 || kick.Kicked[1] != 0 {
		t.Errorf("Kick = %v, %v", kick, err)
	}
}

// TestServer: the socket is private, Run returns when told, and the address is
// free afterwards.
func TestServer(t *testing.T) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	path := filepath.Join(t.TempDir(), "gw.sock")
	for range 2 {
		srv, err := Listen(Config{Listen: "unix:" + path}, log)
		if err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("socket: %v, %v, want mode 0600", st, err)
		}
		if got := srv.Address(); got != "unix:"+path {
			t.Errorf("Address = %s", got)
		}
		if _, err := Listen(Config{Listen: "unix:" + path}, log); err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("a second Listen = %v, want in use", err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- srv.Run(ctx, newTestService()) }()
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run = %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("Run does not return")
		}
	}
}
