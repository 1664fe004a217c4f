package logic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/backend/presence"
	"github.com/holdfast-io/holdfast/backend/store"
)

// fakePusher notes what is pushed where and answers what the test chose.
type fakePusher struct {
	sent   []string // "gateway target-less payload position except"
	result func(gateway string) (kit.Result, error)
	refuse error
}

func (f *fakePusher) PushAsync(gateway string, p kit.Push, done func(kit.Result, error)) error {
	if f.refuse != nil {
		return f.refuse
	}
	position, _, _ := strings.Cut(strings.TrimPrefix(string(p.Payload), `{"position":`), ",")
	f.sent = append(f.sent, strings.TrimSpace(fmt.Sprintf("%s %s@%s %s", gateway, p.Order, position, p.ExceptSession)))
	if p.Command != "msg.new" || !p.Reliable || p.To != kit.ToUID(p.Order) {
		f.sent = append(f.sent, fmt.Sprintf("unexpected push %+v", p))
	}
	res, err := kit.Result{Delivered: 1}, error(nil)
	if f.result != nil {
		res, err = f.result(gateway)
	}
	go done(res, err)
	return nil
}

// bench is a delivery with everything around it, inside a synctest bubble.
type bench struct {
	*delivery
	t        *testing.T
	push     *fakePusher
	presence *presence.Memory
	next     int64
}

func newBench(t *testing.T, change func(*DeliveryConfig)) *bench {
	t.Helper()
	reg := prometheus.NewRegistry()
	mem, err := presence.NewMemory(presence.DefaultConfig(), time.Now, reg)
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig().Delivery
	if change != nil {
		change(&cfg)
	}
	b := &bench{t: t, push: &fakePusher{}, presence: mem}
	b.delivery = newDelivery(cfg, mem, b.push, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if b.m, err = newMetrics(reg, b.waiting); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) start() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.run(ctx) }()
	b.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("run = %v", err)
		}
	})
}

func (b *bench) online(uid, session, gateway string) {
	b.t.Helper()
	g := presence.Gateway{Address: gateway, Epoch: 1}
	if _, err := b.presence.Renew(context.Background(), g); err != nil {
		b.t.Fatal(err)
	}
	if err := b.presence.Put(context.Background(), presence.Record{UID: uid, Session: session, Gateway: g}); err != nil {
		b.t.Fatal(err)
	}
}

// message offers a message from one session's user to another user. Its positions
// are one number for both.
func (b *bench) message(from, session, to string) {
	b.next++
	b.offer(job{session: session, stored: store.Stored{FromPosition: b.next, ToPosition: b.next,
		Message: store.Message{From: from, To: to, Content: []byte(`1`)}}})
}

func (b *bench) want(want ...string) {
	b.t.Helper()
	synctest.Wait()
	if !slices.Equal(b.push.sent, want) {
		b.t.Errorf("pushed %q, want %q", b.push.sent, want)
	}
	b.push.sent = nil
}

func (b *bench) wantSessions(uid string, want ...string) {
	b.t.Helper()
	synctest.Wait()
	records, err := b.presence.Online(context.Background(), uid)
	if err != nil {
		b.t.Fatal(err)
	}
	got := []string{}
	for _, r := range records {
		got = append(got, r.Session)
	}
	if !slices.Equal(got, want) {
		b.t.Errorf("sessions of %s = %v, want %v", uid, got, want)
	}
}

func TestDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.start()
		b.message("a", "a1", "b") // nobody is online
		b.want()
		b.online("a", "a1", "g1")
		b.message("a", "a1", "b") // the sender's own session gets nothing
		b.want()
		b.online("b", "b1", "g1")
		b.online("b", "b2", "g1")
		b.online("b", "b3", "g2")
		b.message("a", "a1", "b") // one push a gateway reaches all sessions there
		b.want("g1 b@3", "g2 b@3")
		b.online("a", "a2", "g2")
		b.online("a", "a3", "g1")
		b.message("a", "a1", "b") // and the sender's other devices
		b.want("g1 b@4", "g2 b@4", "g2 a@4 a1", "g1 a@4 a1")
		b.message("a", "a1", "a") // a note to oneself stands once in the timeline
		b.want("g2 a@5 a1", "g1 a@5 a1")
		if got := testutil.ToFloat64(b.m.pushes[pushDelivered]); got != 8 {
			t.Errorf("delivered = %v, want 8", got)
		}
	})
}

// TestDeliveryIsBounded fills the queue by count and by bytes while nothing runs.
func TestDeliveryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *DeliveryConfig) { c.Queue, c.QueueBytes = 3, 100 })
		for range 5 {
			b.message("a", "a1", "b")
		}
		if got := testutil.ToFloat64(b.m.drops[dropQueueFull]); got != 2 || b.waiting() != 3 {
			t.Errorf("dropped %v, waiting %v, want 2 and 3", got, b.waiting())
		}
		b.start()
		synctest.Wait()
		big := store.Stored{Message: store.Message{From: "a", To: "b", Content: make([]byte, 101)}}
		b.offer(job{stored: big})
		if got := testutil.ToFloat64(b.m.drops[dropQueueFull]); got != 3 {
			t.Errorf("dropped %v after one of too many bytes, want 3", got)
		}
		b.online("b", "b1", "g1")
		b.message("a", "a1", "b")
		b.want("g1 b@6")
		if n := b.bytes.Load(); n != 0 {
			t.Errorf("%d bytes are still counted", n)
		}
	})
}

// TestStaleSessions lets gateways say that they have no such session.
func TestStaleSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.start()
		b.online("b", "b1", "g1")
		b.online("b", "b2", "g2")
		b.push.result = func(g string) (kit.Result, error) {
			if g == "g1" {
				return kit.Result{Refusal: kit.NoSession}, nil
			}
			return kit.Result{Delivered: 1}, nil
		}
		b.message("a", "a1", "b")
		b.wantSessions("b", "b1", "b2") // b1's login may be under way
		time.Sleep(b.cfg.Grace + time.Second)
		b.online("b", "b2", "g2")
		if _, err := b.presence.Renew(t.Context(), presence.Gateway{Address: "g1", Epoch: 1}); err != nil {
			t.Fatal(err)
		}
		b.message("a", "a1", "b")
		b.wantSessions("b", "b2")

		// The session that sent is left out of the push and so no news of it comes.
		b.online("a", "a1", "g1")
		b.online("a", "a2", "g1")
		time.Sleep(b.cfg.Grace + time.Second)
		b.renewed("g1")
		b.message("a", "a1", "b")
		b.wantSessions("a", "a1")
	})
}

func (b *bench) renewed(gateway string) {
	b.t.Helper()
	if _, err := b.presence.Renew(context.Background(), presence.Gateway{Address: gateway, Epoch: 1}); err != nil {
		b.t.Fatal(err)
	}
}

func TestPushResults(t *testing.T) {
	for _, tt := range []struct {
		name string
		res  kit.Result
		err  error // of the call
		not  error // of PushAsync
		want pushResult
	}{
		{"delivered", kit.Result{Delivered: 2}, nil, nil, pushDelivered},
		{"nobody there", kit.Result{Refusal: kit.NoSession}, nil, nil, pushNoSession},
		{"one of two is slow", kit.Result{Delivered: 1, Refused: 1, Refusal: kit.SlowClient}, nil, nil, pushSlow},
		{"too large", kit.Result{Refusal: kit.PushTooLarge}, nil, nil, pushRefused},
		{"invalid", kit.Result{Refusal: kit.InvalidPush}, nil, nil, pushRefused},
		{"no answer", kit.Result{}, errors.New("timed out"), nil, pushFailed},
		{"queue full", kit.Result{}, nil, fmt.Errorf("gateway g1: %w", kit.ErrQueueFull), pushQueueFull},
		{"not running", kit.Result{}, nil, kit.ErrNotRunning, pushFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil)
				b.push.result = func(string) (kit.Result, error) { return tt.res, tt.err }
				b.push.refuse = tt.not
				b.start()
				b.online("b", "b1", "g1")
				b.message("a", "a1", "b")
				synctest.Wait()
				for r, c := range b.m.pushes {
					want := 0.0
					if r == tt.want {
						want = 1
					}
					if got := testutil.ToFloat64(c); got != want {
						t.Errorf("pushes with result %s = %v, want %v", r, got, want)
					}
				}
			})
		})
	}
}

// TestEndDeliversTheRest ends run with messages in the queue.
func TestEndDeliversTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.online("b", "b1", "g1")
		b.message("a", "a1", "b")
		b.message("a", "a1", "b")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.run(ctx); err != nil {
			t.Fatal(err)
		}
		b.want("g1 b@1", "g1 b@2")
	})
}
