package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// hello takes the client's HELLO.
func (p *peer) hello() wire.Hello {
	p.t.Helper()
	h, err := wire.ParseHello(p.expect(wire.TypeHello).Payload)
	if err != nil {
		p.t.Fatalf("HELLO: %v", err)
	}
	return h
}

// resumed welcomes with a resume and this secret.
func (p *peer) resumed(secret string, lastID uint32) {
	p.t.Helper()
	p.welcome(func(w *wire.Welcome) { w.Resumed, w.Secret, w.LastRequestID = true, secret, lastID })
}

// TestResume is docs/protocol.md section 4: HELLO names the session, its secret and
// the last push, and still carries the token; each request without a reply is
// sent again with its id, before the first new one; pushes go on.
func TestResume(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		onPush, got := collect()
		cfg.OnPush = onPush
		var told []State
		cfg.OnState = func(ch Change) { told = append(told, ch.State) }
		c, p := dialed(t, g, cfg, nil)
		var answers []<-chan answer
		for i := range 4 {
			answers = append(answers, request(t.Context(), c, fmt.Sprint("q", i+1)))
			p.expect(wire.TypeRequest)
		}
		p.push(1, "one")
		p.push(2, "two")
		p.reply(2, "a2")
		if a := <-answers[1]; a.payload != "a2" {
			t.Errorf("second = %q, %v", a.payload, a.err)
		}
		p.expect(wire.TypeAck)
		p.conn.Close()
		waits := request(t.Context(), c, "new")

		p = g.accept()
		h := p.hello()
		if want := (wire.Resume{Session: "s1", Secret: "x1", Seq: 2}); h.Resume == nil || *h.Resume != want || h.Token != "tok" {
			t.Errorf("HELLO with resume %+v and token %q, want %+v and tok", h.Resume, h.Token, want)
		}
		p.resumed("x2", 3)
		for _, want := range []struct {
			id      uint32
			payload string
		}{{1, "q1"}, {3, "q3"}, {4, "q4"}, {5, "new"}} {
			f := p.expect(wire.TypeRequest)
			if f.ID != want.id || string(f.Payload) != want.payload || string(f.Command) != "test.echo" {
				t.Errorf("after the resume came %d %q, want %d %q", f.ID, f.Payload, want.id, want.payload)
			}
			p.reply(f.ID, "a"+string(f.Payload))
		}
		for i, want := range map[int]string{0: "aq1", 2: "aq3", 3: "aq4"} {
			if a := <-answers[i]; a.payload != want || a.err != nil {
				t.Errorf("request %d = %q, %v, want %q", i+1, a.payload, a.err, want)
			}
		}
		if a := <-waits; a.payload != "anew" {
			t.Errorf("request made while there was no connection = %q, %v", a.payload, a.err)
		}
		p.push(2, "two again")
		p.push(3, "three")
		if f := p.expect(wire.TypeAck); f.Seq != 3 {
			t.Errorf("ACK %d, want 3", f.Seq)
		}
		for _, want := range []string{"one", "two", "three"} {
			if s := <-got; s != want {
				t.Errorf("push %q, want %q", s, want)
			}
		}
		synctest.Wait()
		want := []State{StateConnecting, StateConnected, StateWaiting, StateConnecting, StateResumed}
		if !slices.Equal(told, want) || !c.Session().Resumed {
			t.Errorf("told %v, want %v", told, want)
		}
		p.conn.Close()
		p = g.accept()
		if h := p.hello(); h.Resume == nil || h.Resume.Secret != "x2" || h.Resume.Seq != 3 {
			t.Errorf("second resume %+v, want the new secret and seq 3", h.Resume)
		}
		p.conn.Close()
	})
}

// TestLostWelcome: the secret that the client has is good until a frame follows
// the WELCOME with the next, so it asks with the same.
func TestLostWelcome(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		cfg.RequestTimeout = time.Hour
		c, p := dialed(t, g, cfg, nil)
		got := request(t.Context(), c, "q")
		p.expect(wire.TypeRequest)
		p.conn.Close()
		for range 3 {
			p = g.accept()
			if h := p.hello(); h.Resume == nil || h.Resume.Secret != "x1" {
				t.Errorf("resume %+v, want the secret that arrived", h.Resume)
			}
			p.conn.Close()
		}
		p = g.accept()
		p.hello()
		p.resumed("x5", 1)
		if f := p.expect(wire.TypeRequest); f.ID != 1 {
			t.Errorf("id %d, want 1", f.ID)
		}
		p.reply(1, "a")
		if a := <-got; a.payload != "a" {
			t.Errorf("request = %q, %v", a.payload, a.err)
		}
	})
}

// TestResumeByCode: which CLOSE leads to a resume is in the table of section 5.
func TestResumeByCode(t *testing.T) {
	for _, code := range append(wire.CloseCodes(), 4042, 1001, 1006) {
		if !code.Reconnect().ComesBack() {
			continue
		}
		bubble(t, func(t *testing.T, g *scripted, cfg Config) {
			c, p := dialed(t, g, cfg, nil)
			got := request(t.Context(), c, "q")
			p.expect(wire.TypeRequest)
			p.close(code)
			p = g.accept()
			want := code.Reconnect().Resumes()
			if h := p.hello(); (h.Resume != nil) != want {
				t.Errorf("after CLOSE %d HELLO with resume %+v, want one: %v", code, h.Resume, want)
			}
			if !want {
				if a := <-got; !errors.Is(a.err, ErrOutcomeUnknown) {
					t.Errorf("after CLOSE %d: %v, want ErrOutcomeUnknown before the next session", code, a.err)
				}
			}
			p.conn.Close()
		})
	}
}

// TestResumeExpires: when the gateway has ended the session for want of a
// connection, whoever waits is told, and the next HELLO does not ask for it.
func TestResumeExpires(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		var down atomic.Bool
		g.refuse = func(string) error {
			if down.Load() {
				return errors.New("down")
			}
			return nil
		}
		cfg.RequestTimeout = time.Hour
		c, p := dialed(t, g, cfg, nil)
		got := request(t.Context(), c, "q")
		p.expect(wire.TypeRequest)
		began := time.Now()
		down.Store(true)
		p.conn.Close()
		if a := <-got; !errors.Is(a.err, ErrOutcomeUnknown) || time.Since(began) != time.Minute {
			t.Errorf("after %v: %v, want ErrOutcomeUnknown after resume_ttl of 1m", time.Since(began), a.err)
		}
		down.Store(false)
		p = g.accept()
		if h := p.hello(); h.Resume != nil {
			t.Errorf("HELLO asks for %+v after its time", h.Resume)
		}
		p.conn.Close()
	})
}

// TestResumeRefused: 4004 for a HELLO that asks for a session says that it is
// gone; a refusal for another reason leaves it to be asked for again.
func TestResumeRefused(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		c, p := dialed(t, g, cfg, nil)
		got := request(t.Context(), c, "q")
		p.expect(wire.TypeRequest)
		p.conn.Close()
		p = g.accept()
		p.hello()
		p.close(wire.CloseOverloaded)
		p = g.accept()
		if h := p.hello(); h.Resume == nil {
			t.Error("no resume after OVERLOADED")
		}
		p.close(wire.CloseSessionExpired)
		if a := <-got; !errors.Is(a.err, ErrOutcomeUnknown) {
			t.Errorf("in flight = %v, want ErrOutcomeUnknown", a.err)
		}
		p = g.accept()
		if h := p.hello(); h.Resume != nil {
			t.Errorf("asks for %+v after SESSION_EXPIRED", h.Resume)
		}
		p.conn.Close()
	})
}

// TestUnaskedResume: a WELCOME that gives back what was not asked for is a fault.
func TestUnaskedResume(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		go func() {
			p := g.accept()
			p.hello()
			p.resumed("x", 0)
		}()
		var broken *wire.ProtocolError
		if _, err := Dial(t.Context(), cfg); !errors.As(err, &broken) {
			t.Errorf("Dial = %v, want a protocol error", err)
		}
	})
}

// TestResumeBehindWhatWasTaken: a push that waited for room when the connection
// broke is not counted as received, and comes again.
func TestResumeBehindWhatWasTaken(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		cfg.PushBuffer = 2
		c, p := dialed(t, g, cfg, nil)
		for seq := range uint64(3) {
			p.push(seq+1, fmt.Sprint(seq+1))
		}
		synctest.Wait() // two are queued, the third waits
		c.current.cut(errors.New("the network broke"))
		p = g.accept()
		if h := p.hello(); h.Resume == nil || h.Resume.Seq != 2 {
			t.Errorf("resume %+v, want behind 2", h.Resume)
		}
		p.resumed("x2", 0)
		go func() {
			p.push(3, "3")
			p.push(4, "4")
		}()
		var got []string
		take := func(n int) {
			for push := range c.Pushes(t.Context()) {
				if got = append(got, string(push.Payload)); len(got) == n {
					break
				}
			}
		}
		take(4)
		if want := []string{"1", "2", "3", "4"}; !slices.Equal(got, want) {
			t.Errorf("pushes %v, want %v", got, want)
		}
		p.conn.Close()
	})
}

// TestReturnTo: a resume goes to the gateway that has the session, not through
// the balancer; when that does not answer, the configured endpoints have their turn.
func TestReturnTo(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		home := func(w *wire.Welcome) { w.ReturnTo = map[string]string{"tcp": "gw-1:7001", "ws": "gw-1:80"} }
		_, p := dialed(t, g, cfg, home)
		p.conn.Close()
		for i, want := range []string{"gw-1:7001", "gw-1:7001", "gw1:7000"} {
			// The first connection lived too short, so it counts as a failure.
			p = g.accept()
			if h := p.hello(); p.address != want || h.Resume == nil {
				t.Errorf("attempt %d at %s with resume %+v, want %s", i+1, p.address, h.Resume, want)
			}
			p.conn.Close()
		}
		p = g.accept()
		p.hello()
		p.welcome(home) // a new session
		synctest.Wait()
		p.close(wire.CloseSessionExpired)
		p = g.accept()
		if h := p.hello(); p.address != "gw1:7000" || h.Resume != nil {
			t.Errorf("fresh attempt at %s with resume %+v, want the configured endpoint", p.address, h.Resume)
		}
		p.conn.Close()
	})
}

// TestGoAwayIsNoResume: the session stays behind on the gateway that drains.
func TestGoAwayIsNoResume(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		_, p := dialed(t, g, cfg, nil)
		p.goAway(elsewhere("gw2:7000"))
		synctest.Wait()
		p.conn.Close()
		p = g.accept()
		if h := p.hello(); h.Resume != nil || p.address != "gw2:7000" {
			t.Errorf("HELLO at %s asks for %+v", p.address, h.Resume)
		}
		p.conn.Close()
	})
}

// TestResumeNeedsNoToken: a session is resumed while there is no token to be had.
func TestResumeNeedsNoToken(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		asked := 0
		cfg.Token = ""
		cfg.TokenFunc = func(context.Context) (string, error) {
			if asked++; asked > 1 {
				return "", errors.New("the login service is down")
			}
			return "t", nil
		}
		c, p := dialed(t, g, cfg, nil)
		p.conn.Close()
		p = g.accept()
		if h := p.hello(); h.Resume == nil || h.HasToken {
			t.Errorf("HELLO with resume %+v and token %q, want to resume without", h.Resume, h.Token)
		}
		p.resumed("x2", 0)
		got := request(t.Context(), c, "q")
		p.expect(wire.TypeRequest)
		p.reply(1, "a")
		if a := <-got; a.payload != "a" {
			t.Errorf("request = %q, %v", a.payload, a.err)
		}
	})
}
