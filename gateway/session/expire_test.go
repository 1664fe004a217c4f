package session

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// TestLifetimesDoNotHerd: 10,000 connections that began at the same moment are
// closed evenly over the dither's span. At 2,000 a minute a deviation of 20 % is
// ten times the standard one, so chance alone never fails this.
func TestLifetimesDoNotHerd(t *testing.T) {
	const sessions, minutes = 10_000, 5
	w := newWorld(func(l *Limits) {
		l.Lifetime, l.LifetimeDither = 10*time.Minute, 0.5
		l.Heartbeat = time.Hour
	})
	w.deps.Cut.SetMax(sessions)
	type one struct {
		a  *Attachment
		c  *fakeConn
		at int64
	}
	open := make([]one, sessions)
	start := w.clock()
	for i := range open {
		_, a, c, _ := w.open()
		open[i] = one{a, c, start + 1}
	}
	perMinute := make([]int, 10)
	for now := start; now <= start+10*time.Minute.Milliseconds(); now += 1000 {
		w.now = now
		for i := range open {
			o := &open[i]
			if o.at == 0 || now < o.at {
				continue
			}
			if o.at = o.a.Expire(now); o.at == 0 {
				perMinute[min((now-start)/60_000, 9)]++
				want(t, "it was told", fmt.Sprint(o.c.code), wire.CloseLifetime.String())
			}
		}
	}
	if before := slices.Max(perMinute[:5]); before != 0 {
		t.Errorf("%d connections closed in a minute before the span", before)
	}
	span, even := perMinute[5:], sessions/minutes
	least, most, sum := slices.Min(span), slices.Max(span), 0
	for _, n := range span {
		sum += n
	}
	if sum != sessions || least < even*8/10 || most > even*12/10 {
		t.Errorf("closed in each minute of the span: %v, want %d give or take 20 %%", span, even)
	}
	if w.deps.Cut.Len() != sessions {
		t.Errorf("%d sessions can be resumed, want all", w.deps.Cut.Len())
	}
	testenv.Figure(t, "P8", "%d sessions over %d minutes: %d to %d closes a minute, %+.1f %% to %+.1f %% of even",
		sessions, minutes, least, most, 100*float64(least-even)/float64(even), 100*float64(most-even)/float64(even))
}

func TestLifetimeEnd(t *testing.T) {
	if got := (&Limits{}).lifetimeEnd(1000); got != 0 {
		t.Errorf("lifetimeEnd without a lifetime = %d, want never", got)
	}
	if got := (&Limits{Lifetime: time.Minute}).lifetimeEnd(1000); got != 61_000 {
		t.Errorf("lifetimeEnd without dither = %d, want 61000", got)
	}
}

// TestHeartbeat: PING after the silence, 4001 after a further one, and the
// session can be resumed.
func TestHeartbeat(t *testing.T) {
	w := newWorld()
	s, a, c, l := w.open()
	secret := secretIn(c)
	c.lastRead = 1000
	if next := a.Expire(1000); next != 26_000 {
		t.Errorf("Expire = %d, want 26000", next)
	}
	if next := a.Expire(26_000); next != 34_000 {
		t.Errorf("Expire after the silence = %d, want 34000", next)
	}
	a.Expire(27_000)
	want(t, "asked once", c.said(), "welcome, ping")
	a.Expire(34_000)
	want(t, "told", c.said(), "close 4001")
	w.resume(t, s, secret, 0)
	want(t, "the backend heard", l.heard(), "cut HEARTBEAT_TIMEOUT, resumed tcp 192.0.2.1")
}

// TestExpiring: a warning before the credential runs out, again on a new
// connection, then 4507. Long poll too.
func TestExpiring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s, a, c, l := w.openPoll(func(st *State) { st.ExpiresAt = time.Now().Add(90 * time.Second) })
		secret := secretIn(c)
		if next := a.Expire(1000); next != 31_000 {
			t.Errorf("Expire = %d, want 31000, a minute before the end", next)
		}
		time.Sleep(30 * time.Second)
		a.Expire(31_000)
		a.Expire(32_000)
		want(t, "told", c.said(), "welcome, push 0 $expiring")
		a, _ = s.Resume(&fakeConn{world: w, poll: true}, ResumeRequest{Secret: secret}, welcome)
		c = s.Conn().(*fakeConn)
		a.Expire(33_000)
		want(t, "told again", c.said(), "welcome, push 0 $expiring")
		time.Sleep(time.Minute)
		a.Expire(91_000)
		want(t, "in the end", c.said(), "close 4507")
		want(t, "the backend heard", l.heard(), "resumed poll 192.0.2.1, ended TOKEN_EXPIRED")
	})
}
