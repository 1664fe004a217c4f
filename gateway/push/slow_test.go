package push

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// TestPushOf: key, ttl_ms and the policy of the command's class are a transient
// push's. Where the latest is enough, a command without a key is its own.
func TestPushOf(t *testing.T) {
	reg := prometheus.NewRegistry()
	policies := map[string]session.Slow{"pos.moved": session.SlowConflate, "live.tick": session.SlowDisconnect}
	s := NewService(session.NewRegistry(session.NewMetrics(reg)), fakeGateway{},
		func(command []byte) session.Slow { return policies[string(command)] }, NewMetrics(reg))
	for _, tt := range []struct {
		command, key string
		reliable     bool
		wantKey      string
		wantSlow     session.Slow
		wantTTL      time.Duration
	}{
		{"msg.new", "", false, "", session.SlowDropOldest, time.Second},
		{"msg.new", "k", false, "k", session.SlowDropOldest, time.Second},
		{"pos.moved", "", false, "pos.moved", session.SlowConflate, time.Second},
		{"pos.moved", "k", false, "k", session.SlowConflate, time.Second},
		{"live.tick", "", false, "", session.SlowDisconnect, time.Second},
		{"pos.moved", "k", true, "", session.SlowDropOldest, 0},
	} {
		name := "x"
		it, err := s.parse(&holdfast.PushItem{
			To: &holdfast.Target{Uid: &name}, Command: tt.command, Key: tt.key, TtlMs: 1000, Reliable: tt.reliable,
		})
		if p := it.push; err != nil || p.Key != tt.wantKey || p.Slow != tt.wantSlow || p.TTL != tt.wantTTL {
			t.Errorf("%+v: key %q, slow %d, ttl %v, %v", tt, p.Key, p.Slow, p.TTL, err)
		}
	}
}

// TestCount: what a slow client missed is refused; what nobody was there for is
// neither.
func TestCount(t *testing.T) {
	for o, want := range map[session.PushOutcome]holdfast.PushResult_{
		session.PushTaken:    {Delivered: 1},
		session.PushSlow:     {Refused: 1, Refusal: holdfast.PushRefusal_QUEUE_FULL},
		session.PushDropped:  {Refused: 1, Refusal: holdfast.PushRefusal_QUEUE_FULL},
		session.PushNoOne:    {},
		session.PushCut:      {},
		session.PushTooLarge: {Refused: 1, Refusal: holdfast.PushRefusal_TOO_LARGE},
	} {
		var got holdfast.PushResult_
		count(&got, o)
		if got.Delivered != want.Delivered || got.Refused != want.Refused || got.Refusal != want.Refusal {
			t.Errorf("count(%v) = %+v, want %+v", o, got, want)
		}
	}
}
