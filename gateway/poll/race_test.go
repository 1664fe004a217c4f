package poll

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// rudeCall is a call whose connection breaks while it is being answered: it says
// so from within the answer, as a transport might.
type rudeCall struct {
	*fakeCall
	rude bool
}

func (k rudeCall) Answer(status int, retryAfter time.Duration, body []byte) {
	if k.rude {
		k.lose()
	}
	k.fakeCall.Answer(status, retryAfter, body)
}

func (k rudeCall) Event(b []byte) bool {
	if k.rude {
		k.lose()
	}
	return k.fakeCall.Event(b)
}

// TestManyAtOnce: calls of one session on many HTTP connections, pushes, answers,
// the wheel, resumes and closes, all at once. The race detector and the checks of
// the session watch; every call is answered or lost, and none is left open.
func TestManyAtOnce(t *testing.T) {
	r := newRealm(t)
	r.window = 1 << 15
	first := &client{t: t, realm: r}
	first.hello(false)
	l := r.lanes[first.session]
	var bearer atomic.Pointer[string]
	text := first.bearer()
	bearer.Store(&text)

	var mu sync.Mutex
	var calls []*fakeCall
	var id atomic.Uint32
	serve := func(rng *rand.Rand, k *fakeCall) {
		mu.Lock()
		calls = append(calls, k)
		mu.Unlock()
		r.srv.Serve(rudeCall{k, rng.IntN(4) == 0})
		if rng.IntN(3) == 0 {
			k.lose()
		}
	}
	caller := func(rng *rand.Rand) {
		b := *bearer.Load()
		switch rng.IntN(12) {
		case 0, 1, 2, 3:
			serve(rng, newCall("GET", "/v1/poll?seq=0", b, ""))
		case 4, 5:
			serve(rng, newCall("GET", "/v1/events", b, ""))
		case 6, 7, 8, 9:
			n := id.Add(1)
			serve(rng, newCall("POST", "/v1/poll/frames?wait_ms=50", b, `[{"type":"request","id":`+digits(n)+`,"command":"later"}]`))
		case 10:
			serve(rng, newCall("POST", "/v1/poll/frames", b, `[{"type":"ack","seq":`+digits(uint32(l.s.View().PushSeq))+`}]`))
		case 11:
			if rng.IntN(8) == 0 {
				l.s.Close(wire.CloseLifetime, "test")
			}
		}
	}
	var callers, others sync.WaitGroup
	stop := make(chan struct{})
	for i := range 4 {
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		callers.Go(func() {
			for range 3000 {
				caller(rng)
			}
		})
	}
	loop := func(fn func()) {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					fn()
				}
			}
		})
	}
	now := int64(1)
	loop(func() { now += 10; r.wheel.Advance(now); time.Sleep(time.Millisecond) })
	loop(func() {
		l.s.Push(&session.Push{Command: []byte("a.b"), Reliable: true})
		l.s.Push(&session.Push{Command: []byte("a.c")})
		l.s.Flush()
		for l.waiting() > 0 {
			l.answer(0)
		}
		time.Sleep(100 * time.Microsecond)
	})
	loop(func() { // the client comes back whenever its connection is over
		if c, ok := l.s.Conn().(*Conn); ok && !c.Closing() {
			time.Sleep(time.Millisecond)
			return
		}
		again := &client{t: t, realm: r, session: l.s.ID(), secret: l.s.Snapshot().Secret, seq: l.s.View().PushSeq}
		k := newCall("POST", "/v1/poll", "", helloOf(again))
		r.srv.Serve(k)
		for !k.done() { // the pusher may be the one that answers
			time.Sleep(100 * time.Microsecond)
		}
		if w, err := wire.ParseWelcome([]byte(k.body)); err == nil && w.Session != "" {
			text := w.Session + "." + w.Secret
			bearer.Store(&text)
		}
	})
	callers.Wait()
	close(stop)
	others.Wait()
	l.s.Close(wire.CloseKicked, "the end")
	r.pass(time.Hour)
	for _, k := range calls {
		k.mu.Lock()
		if k.answers > 1 || !k.deaf && k.answers == 0 && !k.ended && !k.streaming {
			t.Errorf("%s %s: %d answers, lost %v", k.req.Method, k.req.Path, k.answers, k.deaf)
		}
		k.mu.Unlock()
	}
	if got := testutil.ToFloat64(r.srv.metrics.open); got != 0 {
		t.Errorf("%v calls are open at the end, want 0", got)
	}
}
