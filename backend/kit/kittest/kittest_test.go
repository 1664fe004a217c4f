package kittest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/backend/kit/kittest"
)

// TestMain fails the package when a goroutine outlives the tests, except what
// netpoll and Kitex keep by design: pollers, and workers for calls with a deadline.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/cloudwego/netpoll.(*defaultPoll).Wait"),
		goleak.IgnoreAnyFunction("github.com/cloudwego/kitex/client.(*timeoutPool).createWorker.func1"),
		goleak.IgnoreAnyFunction("github.com/cloudwego/kitex/client.(*timeoutPool).createTicker.func1"),
	)
}

// TestBackend is how a backend's own test looks: a chat room, spoken to by two.
func TestBackend(t *testing.T) {
	var srv *kit.Server
	srv, stop := kittest.Start(t, kittest.Config("room"), kit.Backend{
		Connect: func(_ context.Context, l kit.Login) (kit.Identity, error) {
			if l.Token == "" {
				return kit.Identity{}, kit.Refuse(kit.CloseUnauthenticated, "who are you?", time.Second)
			}
			return kit.Identity{UID: l.Token, Attrs: map[string]string{"os": l.Session.Device.OS}}, nil
		},
		Handle: func(ctx context.Context, p kit.Packet) ([]byte, error) {
			_, err := srv.Pusher().Push(ctx, p.Gateway, kit.Push{To: kit.ToAll(), ExceptSession: p.Session, Command: "room.said", Payload: p.Payload})
			return []byte(p.Attrs["os"]), err
		},
	})
	gw := kittest.NewGateway(t, srv.Addr(), kittest.Options{Service: "room"})
	alice, bob := gw.Login(t, "alice", kit.Device{OS: "plan9"}), gw.Login(t, "bob", kit.Device{})
	for _, text := range []string{"hello", "anyone?"} {
		if r := alice.Request(t, "room.say", text); r.Status != kit.OK || string(r.Payload) != "plan9" {
			t.Errorf("Request() = %+v", r)
		}
		if p := bob.NextPush(t); string(p.Payload) != text || p.Command != "room.said" {
			t.Errorf("NextPush() = %+v, want %q", p, text)
		}
	}
	if n := len(alice.Pushes()); n != 0 {
		t.Errorf("the speaker got %d pushes", n)
	}
	var refusal *kit.Refusal
	if _, err := gw.TryLogin("", kit.Device{}); !errors.As(err, &refusal) || refusal.Code != kit.CloseUnauthenticated || refusal.RetryAfter != time.Second {
		t.Errorf("TryLogin() = %v", err)
	}
	stop()
	stop() // twice is harmless
}
