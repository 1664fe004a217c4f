package kit_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/backend/kit/kittest"
)

func TestServe(t *testing.T) {
	srv, _ := kittest.Start(t, kittest.Config("im"), kit.Backend{
		Connect: func(_ context.Context, l kit.Login) (kit.Identity, error) {
			return kit.Identity{UID: l.Token}, nil
		},
		Handle: func(_ context.Context, p kit.Packet) ([]byte, error) {
			return fmt.Appendf(nil, "%s %s %d %s", p.UID, p.Command, p.Seq, p.Payload), nil
		},
	})
	gw := kittest.NewGateway(t, srv.Addr(), kittest.Options{Service: "im"})
	alice := gw.Login(t, "alice", kit.Device{ID: "d1"})
	r := alice.Request(t, "msg.send", "hello")
	if r.Status != kit.OK || string(r.Payload) != "alice msg.send 1 hello" {
		t.Errorf("Request() = %+v", r)
	}
	res, err := srv.Pusher().Push(t.Context(), gw.Address(), kit.Push{To: kit.ToUID("alice"), Command: "msg.new", Payload: []byte("x")})
	if err != nil || res.Delivered != 1 {
		t.Errorf("Push() = %+v, %v", res, err)
	}
	if p := alice.NextPush(t); string(p.Payload) != "x" {
		t.Errorf("NextPush() = %+v", p)
	}
}
