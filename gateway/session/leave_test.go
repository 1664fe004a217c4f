package session

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// TestCodes: from either side 1000 and 4500 to 4999 end a session at once, every
// other code leaves it resumable. docs/protocol.md section 5.
func TestCodes(t *testing.T) {
	codes := append(wire.CloseCodes(), 1001, 1006, 4321, 4999)
	for _, code := range codes {
		ends := code == 1000 || code >= 4500 && code <= 4999
		for from, leave := range map[string]func(*Session, *Attachment){
			"client":  func(_ *Session, a *Attachment) { a.Receive(wire.Frame{Type: wire.TypeClose, Code: code}) },
			"gateway": func(s *Session, _ *Attachment) { s.Close(code, "because") },
			"refusal": func(_ *Session, a *Attachment) { a.Refuse(&wire.ProtocolError{Code: code}) },
		} {
			w := newWorld()
			s, a, c, l := w.open()
			secret := secretIn(c)
			leave(s, a)
			heard := "cut "
			if ends {
				heard = "ended "
			}
			want(t, fmt.Sprint(from, " ", code), l.heard(), heard+code.String())
			_, out := s.Resume(&fakeConn{world: w}, ResumeRequest{Secret: secret}, welcome)
			if (out == ResumeOK) == ends {
				t.Errorf("%s %d: Resume = %v", from, code, out)
			}
		}
	}
}

// TestCloseOfCut: a kick reaches a session that has lost its connection.
func TestCloseOfCut(t *testing.T) {
	w := newWorld()
	s, a, _, l := w.open()
	a.Closed()
	if s.Close(wire.CloseOverloaded, "") {
		t.Error("Close with a code that only cuts changed a session that is cut")
	}
	if !s.Close(wire.CloseKicked, "") || s.Close(wire.CloseKicked, "") {
		t.Error("Close does not say that it ended the session, once")
	}
	want(t, "the backend heard", l.heard(), "cut connection_lost, ended KICKED")
	if w.deps.Cut.Len() != 0 || w.metric(w.deps.Metrics.cut) != 0 || w.metric(w.deps.Metrics.endings["KICKED"]) != 1 {
		t.Error("a session that is over counts as cut")
	}
	if got := s.Push(reliable("x")); got != PushNoOne {
		t.Errorf("Push = %v", got)
	}
}

// TestKickAfterSlow: a connection that is closing already does not save its
// session from an end.
func TestKickAfterSlow(t *testing.T) {
	w := newWorld()
	s, a, c, l := w.open()
	c.CloseWith(wire.CloseSlowConsumer, "the transport's write deadline")
	if !s.Close(wire.CloseKicked, "") {
		t.Error("Close = false")
	}
	a.Closed()
	want(t, "the backend heard", l.heard(), "ended KICKED")
}

// TestReplaced: a fresh login of the device ends its session, cut or live, with
// 4009, though that code alone would not.
func TestReplaced(t *testing.T) {
	w := newWorld()
	device := func(st *State) { st.Device.ID = "phone" }
	live, _, c, l := w.open(device)
	gone, a, _, l2 := w.open(device)
	a.Closed()
	next := New(State{ID: NewID(), UID: "u1", Device: Device{ID: "phone"}}, w.deps)
	replaced := w.reg.Add(next)
	if len(replaced) != 2 {
		t.Fatalf("%d sessions are replaced, want 2", len(replaced))
	}
	for _, s := range replaced {
		s.EndWith(wire.CloseTakenOver, "the device has come back")
	}
	want(t, "the live one's client was told", c.said(), "close 4009")
	want(t, "the backend heard", l.heard()+"; "+l2.heard(), "ended TAKEN_OVER; cut connection_lost, ended TAKEN_OVER")
	for _, s := range []*Session{live, gone} {
		if v := s.View(); v.Cut {
			t.Error("a session that is over counts as cut")
		}
	}
}

// TestKeptPushesExceeded: 4002, and the session can no longer be resumed; a
// session that is cut ends likewise.
func TestKeptPushesExceeded(t *testing.T) {
	for _, live := range []bool{true, false} {
		w := newWorld(func(l *Limits) { l.KeptPushesMax = 2 })
		s, a, c, l := w.open()
		secret := secretIn(c)
		if !live {
			a.Closed()
		}
		for i, want := range []PushOutcome{PushTaken, PushTaken, PushSlow, PushNoOne} {
			if got := s.Push(reliable("x")); got != want {
				t.Errorf("live %v, push %d = %v, want %v", live, i, got, want)
			}
		}
		if live {
			want(t, "the client was told", c.said(), "close 4002")
		}
		if !strings.HasSuffix(l.heard(), "ended SLOW_CONSUMER") {
			t.Errorf("the backend heard %s", l.heard())
		}
		if _, out := s.Resume(&fakeConn{world: w}, ResumeRequest{Secret: secret}, welcome); out != ResumeNot {
			t.Errorf("Resume = %v", out)
		}
	}
}

// TestQueueFull: what does not fit the connection's queue cuts the client, which
// gets it after a resume.
func TestQueueFull(t *testing.T) {
	w := newWorld()
	s, a, c, l := w.open()
	a.Receive(ask(1, "hold.it"))
	c.max = 1
	secret := secretIn(c)
	if got := s.Push(reliable("x")); got != PushTaken {
		t.Errorf("Push = %v, want taken: it is kept", got)
	}
	want(t, "it was told", c.said(), "close 4002")
	a, c = w.resume(t, s, secret, 0)
	c.max = 2
	a.Receive(ask(1, "hold.it"))
	secret = secretIn(c)
	l.answer(1, "one")
	want(t, "it was told", c.said(), "close 4002")
	a, c = w.resume(t, s, secret, 1)
	a.Receive(ask(1, "hold.it"))
	want(t, "in the end", c.said(), "welcome, reply 1")
	want(t, "the backend heard", l.heard(),
		"cut SLOW_CONSUMER, resumed tcp 192.0.2.1, cut SLOW_CONSUMER, resumed tcp 192.0.2.1")
}

// TestCutSessionsBound: when there are too many, the oldest end first.
func TestCutSessionsBound(t *testing.T) {
	w := newWorld()
	w.deps.Cut.SetMax(2)
	var ls []*lanes
	var ss []*Session
	var secrets []string
	for range 4 {
		s, a, c, l := w.open()
		secrets = append(secrets, secretIn(c))
		a.Closed()
		ls, ss = append(ls, l), append(ss, s)
	}
	for i, l := range ls {
		heard := "cut connection_lost"
		if i < 2 {
			heard += ", ended cut_sessions_max"
		}
		want(t, fmt.Sprint("of session ", i), l.heard(), heard)
	}
	w.resume(t, ss[2], secrets[2], 0)
	if w.deps.Cut.Len() != 1 || w.metric(w.deps.Metrics.cut) != 1 {
		t.Errorf("%d are cut, want 1", w.deps.Cut.Len())
	}
	w.deps.Cut.SetMax(0)
	want(t, "of the last", ls[3].heard(), "cut connection_lost, ended cut_sessions_max")
	if got := w.metric(w.deps.Metrics.endings[whyCutMax]); got != 3 {
		t.Errorf("%v endings for want of room, want 3", got)
	}
}

// TestShorterTTL: when memory is short sessions wait less long, those that wait
// already included.
func TestShorterTTL(t *testing.T) {
	w := newWorld()
	_, a, _, l := w.open()
	a.Closed()
	w.pass(20 * time.Second)
	want(t, "after 20 s", l.heard(), "cut connection_lost")
	w.deps.Cut.SetTTL(15 * time.Second)
	w.pass(0)
	want(t, "with a TTL of 15 s", l.heard(), "cut connection_lost, ended resume_ttl")
}

// TestCredentialOfCut: a credential runs out for sessions without a connection
// too, unless it is renewed meanwhile.
func TestCredentialOfCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(func(l *Limits) { l.ResumeTTL = time.Hour })
		soon := func(st *State) { st.ExpiresAt = time.Now().Add(10 * time.Second) }
		_, a1, _, l1 := w.open(soon)
		s2, a2, _, l2 := w.open(soon)
		_, a3, _, l3 := w.open()
		for _, a := range []*Attachment{a1, a2, a3} {
			a.Closed()
		}
		time.Sleep(9 * time.Second)
		w.pass(9 * time.Second)
		s2.Refreshed(time.Now().Add(time.Minute))
		time.Sleep(2 * time.Second)
		w.pass(2 * time.Second)
		want(t, "the first", l1.heard(), "cut connection_lost, ended TOKEN_EXPIRED")
		want(t, "the renewed", l2.heard(), "cut connection_lost")
		time.Sleep(time.Minute)
		w.pass(time.Minute)
		want(t, "the renewed, later", l2.heard(), "cut connection_lost, ended TOKEN_EXPIRED")
		want(t, "one without an end", l3.heard(), "cut connection_lost")
	})
}

// TestRun sweeps by itself.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		start := time.Now()
		w.deps.Cut = NewCutSessions(time.Minute, 10, func() int64 { return time.Since(start).Milliseconds() + 1 }, w.deps.Metrics)
		_, a, _, l := w.open()
		a.Closed()
		ctx, stop := testContext(t)
		done := make(chan error)
		go func() { done <- w.deps.Cut.Run(ctx) }()
		time.Sleep(59 * time.Second)
		want(t, "after 59 s", l.heard(), "cut connection_lost")
		time.Sleep(2 * time.Second)
		want(t, "after 61 s", l.heard(), "cut connection_lost, ended resume_ttl")
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}
