package gateway_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway"
	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// guests logs one in by every way, each with a call open, and returns them by name.
func (e *edge) guests(t *testing.T, prefix string) map[string]visitor {
	t.Helper()
	all := make(map[string]visitor)
	for _, w := range ways {
		c, _ := e.loginBy(t, w, approach{}, prefix+w.name)
		linger(e, c)
		all[w.name] = c
	}
	return all
}

// TestDrainEverywhere: GOAWAY and then CLOSE 4000 on every transport, to a GET
// that waits and on a stream of events too; who comes meanwhile is refused the
// same way.
func TestDrainEverywhere(t *testing.T) {
	e := startEdge(t, func(c *gateway.Config) { c.Drain.Window = 2 * time.Second })
	all := e.guests(t, "u ")
	e.stop()
	var wg sync.WaitGroup
	for name, c := range all {
		wg.Go(func() { // each as it is told: they are not told at the same time
			f, ok := c.hear()
			g, err := wire.ParseGoAway(f.Payload)
			if !ok || f.Type != wire.TypeGoAway || err != nil || g.Code != 4000 || g.ReconnectAfterMS <= 0 || g.DeadlineMS <= 0 {
				t.Errorf("%s: came %s %s %+v, want GOAWAY 4000", name, f.Type, describe(f), c.end())
			}
			if _, how := rest(c); how.code != 4000 {
				t.Errorf("%s: ended with %+v, want 4000", name, how)
			}
		})
	}
	eventually(t, "the gateway is draining", e.srv.Draining)
	for _, w := range ways {
		late := e.come(t, w, approach{})
		late.say(hello("late"))
		wantEnd(t, late, 4000)
	}
	wg.Wait()
	if n := e.srv.Sessions(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
	e.end()
}

// TestDrainWhileJudged: a client whose login is judged while the gateway leaves is
// told so, whether the verdict comes in time or not, and the backend hears that
// nobody came in.
func TestDrainWhileJudged(t *testing.T) {
	for _, inTime := range []bool{true, false} {
		e := startEdge(t, func(c *gateway.Config) { c.Drain.Window = 300 * time.Millisecond })
		var wg sync.WaitGroup
		for _, w := range ways {
			c := e.come(t, w, approach{})
			wg.Go(func() {
				c.say(hello("wait"))
				if frames, how := rest(c); how.code != 4000 {
					t.Errorf("%s, verdict in time %v: came %s %+v, want 4000", w.name, inTime, types(frames), how)
				}
			})
		}
		var judged []func(gateway.Verdict)
		eventually(t, "the logins wait", func() bool { judged = append(judged, e.disp.takeWaiting()...); return len(judged) == len(ways) })
		e.stop()
		eventually(t, "the gateway is draining", e.srv.Draining)
		if !inTime {
			wg.Wait()
		}
		for _, done := range judged {
			go done(gateway.Verdict{UID: "u", Service: "test"})
		}
		wg.Wait()
		e.end()
		if ended := e.disp.endings(); len(ended) != len(ways) || e.srv.Sessions() != 0 {
			t.Errorf("the backend heard of %d endings of %d, %d sessions are left", len(ended), len(ways), e.srv.Sessions())
		}
	}
}

// TestKickEverywhere: KICKED within a second on every transport, and for a
// session that has lost its connection. A kicked session is not resumed.
func TestKickEverywhere(t *testing.T) {
	e := startEdge(t)
	all := e.guests(t, "live ")
	cut := make(map[string]wire.Welcome)
	for _, w := range ways {
		c, welcome := e.loginBy(t, w, approach{}, "cut "+w.name)
		c.cut()
		cut[w.name] = welcome
	}
	eventually(t, "those are cut", func() bool { return e.metric("holdfast_gateway_sessions_cut", "") == float64(len(ways)) })
	backend := e.backend()
	for _, w := range ways {
		began := time.Now()
		r, err := backend.Kick(t.Context(), &holdfast.KickRequest{Items: []*holdfast.KickItem{
			{To: toUID("live " + w.name), Reason: "out"}, {To: toUID("cut " + w.name), Reason: "out"},
		}})
		if err != nil || len(r.Kicked) != 2 || r.Kicked[0] != 1 || r.Kicked[1] != 1 {
			t.Errorf("%s: kick = %v, %v", w.name, r, err)
		}
		wantEnd(t, all[w.name], 4504)
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s: the kick took %v", w.name, took)
		}
		back := e.come(t, w, approach{})
		back.say(helloJSON(resumeOf(cut[w.name], 0)))
		wantRefused(t, w, back, 4004)
	}
}

// TestExpiryEverywhere: a warning and then 4507, on idle sessions of every
// transport and on those that have lost their connection.
func TestExpiryEverywhere(t *testing.T) {
	e := startEdge(t, func(c *gateway.Config) { c.Session.ExpiryWarning = time.Second })
	e.disp.judgeBy(func(l gateway.Login) gateway.Verdict {
		return gateway.Verdict{UID: l.Token, Service: "test", ExpiresAt: time.Now().Add(1500 * time.Millisecond)}
	})
	all := e.guests(t, "u ")
	gone, welcome := e.loginBy(t, ways[0], approach{}, "gone")
	gone.cut()
	for name, c := range all {
		f, ok := c.hear()
		if !ok || f.Type != wire.TypePush || f.Seq != 0 || string(f.Command) != "$expiring" || !strings.Contains(string(f.Payload), "expires_in_ms") {
			t.Errorf("%s: came %s %s %+v, want $expiring", name, f.Type, describe(f), c.end())
		}
		linger(e, c)
	}
	for name, c := range all {
		if _, how := rest(c); how.code != 4507 {
			t.Errorf("%s: ended with %+v, want 4507", name, how)
		}
	}
	eventually(t, "every session has ended", func() bool { return e.srv.Sessions() == 0 })
	back := e.come(t, ways[8], approach{})
	back.say(helloJSON(resumeOf(welcome, 0)))
	wantEnd(t, back, 4004)
}

// TestLifetimeEverywhere: 4008 when a connection's time is over, and the session
// goes on.
func TestLifetimeEverywhere(t *testing.T) {
	e := startEdge(t, func(c *gateway.Config) { c.Session.Lifetime, c.Session.LifetimeDither = 700*time.Millisecond, 0 })
	welcomes := make(map[string]wire.Welcome)
	all := make(map[string]visitor)
	for _, w := range ways {
		all[w.name], welcomes[w.name] = e.loginBy(t, w, approach{}, w.name)
		linger(e, all[w.name])
	}
	for _, w := range ways {
		wantEnd(t, all[w.name], 4008)
		back := e.come(t, w, approach{})
		back.say(helloJSON(resumeOf(welcomes[w.name], 0)))
		if again := wantWelcome(t, back); !again.Resumed {
			t.Errorf("%s: not resumed", w.name)
		}
	}
}

// TestSlowLoginIsNotForgotten: a client of long poll that goes away while its login
// is judged leaves no session behind that nobody can reach.
func TestSlowLoginIsNotForgotten(t *testing.T) {
	e := startEdge(t)
	for _, w := range ways {
		c := e.come(t, w, approach{})
		done := make(chan struct{})
		go func() { defer close(done); c.say(hello("wait")) }()
		var judged []func(gateway.Verdict)
		eventually(t, "the login waits", func() bool { judged = append(judged, e.disp.takeWaiting()...); return len(judged) == 1 })
		if h, ok := c.(*httpClient); ok {
			h.cancel()
			<-done
		}
		<-done
		c.cut()
		eventually(t, "the connection is gone", func() bool { return openConnections(t, e.reg) == 0 })
		judged[0](gateway.Verdict{UID: w.name, Service: "test"})
	}
	eventually(t, "all count as cut", func() bool {
		return float64(e.srv.Sessions()) == e.metric("holdfast_gateway_sessions_cut", "")
	})
}
