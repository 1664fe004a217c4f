package logic

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/holdfast-io/holdfast/backend/presence"
)

// announce does what the service does with an event PRESENT.
func (b *bench) announce(uid, session, gateway string) {
	b.online(uid, session, gateway)
	b.announced(uid, session, gateway)
}

// TestCatchUp plays a restart: sessions live on at gateways, messages come before
// the gateways have announced them.
func TestCatchUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.start()
		b.message("a", "a1", "b")
		b.message("a", "a1", "b")
		b.want()
		b.announce("b", "b1", "g1")
		b.want("g1 b@1", "g1 b@2")
		b.message("a", "a1", "b")
		b.want("g1 b@3")
		b.announce("b", "b2", "g1") // the push before reached it too
		b.want()
		b.announce("b", "b3", "g2")
		b.want("g2 b@1", "g2 b@2", "g2 b@3")
		b.announce("a", "a1", "g1") // sent them all itself
		b.want()
		b.announce("a", "a2", "g1")
		b.want("g1 a@1 a1", "g1 a@2 a1", "g1 a@3 a1")

		time.Sleep(b.cfg.CatchUp)
		synctest.Wait()
		b.announce("b", "b4", "g3") // it is over: whoever comes now pulls
		b.want()
		b.renewed("g1")
		b.renewed("g2")
		b.message("a", "a1", "b")
		b.want("g1 b@4", "g2 b@4", "g3 b@4", "g1 a@4 a1")
	})
}

func TestHeldIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *DeliveryConfig) { c.HeldBytes = 300 })
		b.start()
		b.message("a", "a1", "a") // one item of some 130 bytes each
		b.message("a", "a1", "a")
		b.want()
		b.online("a", "a2", "g1")
		b.message("a", "a1", "a")
		b.want("g1 a@3 a1") // is not held, but pushed
		if got := testutil.ToFloat64(b.m.drops[dropHeldFull]); got != 1 {
			t.Errorf("dropped %v, want 1", got)
		}
		b.announce("a", "a3", "g2")
		b.want("g2 a@1 a1", "g2 a@2 a1")
	})
}

// TestCatchUpRace announces a session while messages for it are delivered: each
// arrives exactly once and in order.
func TestCatchUpRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.start()
		const n = 200
		go func() {
			for range n {
				b.message("a", "a1", "b")
			}
		}()
		b.announce("b", "b1", "g1")
		synctest.Wait()
		if len(b.push.sent) != n {
			t.Fatalf("%d pushes, want %d", len(b.push.sent), n)
		}
		for i, got := range b.push.sent {
			if want := fmt.Sprint("g1 b@", i+1); got != want {
				t.Fatalf("push %d = %q, want %q", i, got, want)
			}
		}
	})
}

// gonePresence answers nothing.
type gonePresence struct{ Presence }

func (gonePresence) Online(ctx context.Context, _ ...string) ([]presence.Record, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestPresenceThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.delivery.presence = gonePresence{}
		b.start()
		b.message("a", "a1", "b")
		time.Sleep(3 * presenceTimeout)
		synctest.Wait()
		if got := testutil.ToFloat64(b.m.drops[dropPresence]); got != 2 {
			t.Errorf("dropped %v, want both users' pushes", got)
		}
	})
}
