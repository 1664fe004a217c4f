package session

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// The tests here follow docs/protocol.md section 4, sentence by sentence.

// TestOutlivesItsConnection by resume_ttl_ms; the backend is told of cut, resume
// and end.
func TestOutlivesItsConnection(t *testing.T) {
	w := newWorld()
	s, a, c, l := w.open()
	secret := secretIn(c)
	a.Closed()
	if v := s.View(); !v.Cut || v.Transport != "" || s.Attached() {
		t.Errorf("View = %+v, want a cut session", v)
	}
	w.pass(59 * time.Second)
	a, c = w.resume(t, s, secret, 0)
	if v := s.View(); v.Cut || v.Connections != 2 || v.Transport != "tcp" {
		t.Errorf("View = %+v, want a session on its second connection", v)
	}
	w.pass(time.Hour)
	a.Closed()
	secret = secretIn(c)
	w.pass(60 * time.Second)
	if _, out := s.Resume(&fakeConn{world: w}, ResumeRequest{Secret: secret}, welcome); out != ResumeNot {
		t.Errorf("Resume after the time = %v", out)
	}
	want(t, "the backend heard", l.heard(), "cut connection_lost, resumed tcp 192.0.2.1, cut connection_lost, ended resume_ttl")
	want(t, "the gateway heard", fmt.Sprint(w.cut, w.ended), "[connection_lost connection_lost] [resume_ttl]")
	if w.reg.Len() != 0 || w.deps.Cut.Len() != 0 {
		t.Errorf("%d sessions, %d cut ones are left", w.reg.Len(), w.deps.Cut.Len())
	}
	if got := w.metric(w.deps.Metrics.resumes[ResumeOK]) + 10*w.metric(w.deps.Metrics.resumes[ResumeNot]); got != 11 {
		t.Errorf("resumes are counted as %v, want one of each", got)
	}
}

// TestNoResume: with resume_ttl 0 a session ends with its connection.
func TestNoResume(t *testing.T) {
	w := newWorld(func(l *Limits) { l.ResumeTTL = 0 })
	s, a, c, l := w.open()
	a.Receive(ask(1, "echo.say"))
	if v := s.View(); v.KeptReplies != 0 {
		t.Errorf("%d replies are kept for nobody", v.KeptReplies)
	}
	if _, out := s.Resume(&fakeConn{world: w}, ResumeRequest{Secret: secretIn(c)}, welcome); out != ResumeNot {
		t.Errorf("Resume = %v", out)
	}
	a.Closed()
	want(t, "the backend heard", l.heard(), "ended connection_lost")
}

// TestTakeOver: before WELCOME the gateway stops accepting from the old
// connection, which gets CLOSE 4009 if still open.
func TestTakeOver(t *testing.T) {
	w := newWorld()
	s, old, c, l := w.open()
	old.Receive(ask(1, "hold.it"))
	_, now := w.resume(t, s, secretIn(c), 0)
	want(t, "the old connection was told", c.said(), "close 4009")
	old.Receive(ask(2, "hold.it"))
	old.Receive(ack(99))
	old.Receive(wire.Frame{Type: wire.TypeClose, Code: wire.CloseNormal})
	old.Refuse(&wire.ProtocolError{Code: wire.CloseProtocolError})
	old.Closed()
	old.Away()
	if next := old.Expire(1 << 40); next != 0 {
		t.Errorf("the old connection wants to be woken at %d", next)
	}
	want(t, "submitted", l.submitted(), "[1]")
	want(t, "the new connection was told", now.said(), "welcome")
	want(t, "the backend heard", l.heard(), "resumed tcp 192.0.2.1")
	if w.deps.Cut.Len() != 0 {
		t.Error("a session that is on a connection counts as cut")
	}
}

// TestCredentialHolds: a session whose credential has run out is not resumed,
// and is over.
func TestCredentialHolds(t *testing.T) {
	w := newWorld()
	s, a, c, l := w.open(func(st *State) { st.ExpiresAt = time.Now().Add(-time.Second) })
	a.Closed()
	if _, out := s.Resume(&fakeConn{world: w}, ResumeRequest{Secret: secretIn(c)}, welcome); out != ResumeExpired {
		t.Errorf("Resume = %v, want token_expired", out)
	}
	want(t, "the backend heard", l.heard(), "cut connection_lost, ended TOKEN_EXPIRED")
}

// TestSecrets: WELCOME has a new one; the old one holds until the first frame or
// call after it; others never do.
func TestSecrets(t *testing.T) {
	w := newWorld()
	s, _, c, _ := w.open()
	first := secretIn(c)
	for _, wrong := range []string{"", "x", first[1:], first + "x", NewID()} {
		if _, out := s.Resume(&fakeConn{world: w}, ResumeRequest{Secret: wrong}, welcome); out != ResumeNot {
			t.Errorf("Resume with %q = %v", wrong, out)
		}
	}
	_, c = w.resume(t, s, first, 0)
	second := secretIn(c) // which is lost
	_, c = w.resume(t, s, first, 0)
	third := secretIn(c)
	a, c := w.resume(t, s, third, 0)
	fourth := secretIn(c)
	if len(map[string]bool{first: true, second: true, third: true, fourth: true}) != 4 {
		t.Error("a secret is used twice")
	}
	refused := func(secret, when string) {
		t.Helper()
		if _, out := s.Resume(&fakeConn{world: w}, ResumeRequest{Secret: secret}, welcome); out != ResumeNot {
			t.Errorf("Resume %s = %v", when, out)
		}
	}
	refused(first, "with a secret that was replaced twice")
	refused(second, "with a secret that nobody knows")
	a.Receive(wire.Frame{Type: wire.TypePing})
	refused(third, "with the old secret after a frame")
	w.resume(t, s, fourth, 0)
}

// TestAuthenticate: calls may carry the old secret until one has carried the new.
func TestAuthenticate(t *testing.T) {
	w := newWorld()
	s, _, c, _ := w.open()
	first := secretIn(c)
	p := &fakeConn{world: w, poll: true}
	a, _ := s.Resume(p, ResumeRequest{Secret: first}, welcome)
	for _, step := range []struct {
		secret string
		want   bool
	}{{first, true}, {"", false}, {"x", false}, {secretIn(p), true}, {first, false}, {secretIn(p), true}} {
		a.Receive(ack(0)) // a frame of a call proves nothing by itself
		if got := s.Authenticate(step.secret); got != step.want {
			t.Errorf("Authenticate(%q) = %v, want %v", step.secret, got, step.want)
		}
	}
	s.EndWith(wire.CloseKicked, "")
	if s.Authenticate(secretIn(p)) {
		t.Error("Authenticate lets into a session that is over")
	}
}

// TestKeptPushes: every push after the client's seq is sent again, in order,
// before any new one.
func TestKeptPushes(t *testing.T) {
	w := newWorld()
	s, a, c, _ := w.open()
	for _, name := range []string{"a", "b", "c"} {
		s.Push(reliable(name))
	}
	secret := secretIn(c)
	want(t, "first", c.said(), "welcome, push 1 a, push 2 b, push 3 c")
	a.Receive(ack(1))
	a.Closed()
	s.Push(reliable("d"))
	if got := s.Push(&Push{Command: []byte("transient")}); got != PushCut {
		t.Errorf("a transient push to a cut session = %v", got)
	}
	if v := s.View(); v.KeptPushes != 3 || v.AckedSeq != 1 || v.PushSeq != 4 {
		t.Errorf("View = %+v", v)
	}
	if _, out := s.Resume(&fakeConn{world: w}, ResumeRequest{Secret: secret, Seq: 5}, welcome); out != ResumeBadSeq {
		t.Errorf("Resume above what was sent = %v", out)
	}
	_, c = w.resume(t, s, secret, 0) // below what was acknowledged
	s.Push(reliable("e"))
	secret = secretIn(c)
	want(t, "resumed", c.said(), "welcome, push 2 b, push 3 c, push 4 d, push 5 e")
	_, c = w.resume(t, s, secret, 4)
	want(t, "resumed again", c.said(), "welcome, push 5 e")
}

// TestQueuedAsOne: what is sent again is never too much for a queue in which
// nothing waits.
func TestQueuedAsOne(t *testing.T) {
	w := newWorld()
	s, a, c, _ := w.open()
	a.Closed()
	for range 8 {
		s.Push(reliable("x"))
	}
	next := &fakeConn{world: w, max: 2}
	if _, out := s.Resume(next, ResumeRequest{Secret: secretIn(c)}, welcome); out != ResumeOK || len(next.out) != 9 {
		t.Errorf("Resume = %v, %d frames, want WELCOME and 8 pushes", out, len(next.out))
	}
}

// TestRepeats: a request that the client sends again is answered by the kept
// reply, or when its answer comes, once for each sending, and not run again.
func TestRepeats(t *testing.T) {
	w := newWorld()
	s, a, c, l := w.open()
	a.Receive(ask(1, "echo.say"))
	a.Receive(ask(3, "hold.it"))
	a.Receive(ask(4, "hold.it"))
	a.Receive(ask(7, "hold.it"))
	secret := secretIn(c)
	a.Closed()
	l.answer(3, "three") // while there is nobody
	a, c = w.resume(t, s, secret, 0)
	if f := c.out[0]; f.ID != 7 {
		t.Errorf("last_request_id = %d, want 7", f.ID)
	}
	l.answer(4, "four") // before the client asks again
	want(t, "unasked", c.said(), "welcome")
	for _, id := range []uint32{4, 7, 1, 3} {
		a.Receive(ask(id, "hold.it"))
	}
	want(t, "repeats of what is answered", c.said(), "reply 4, reply 1, reply 3")
	l.answer(7, "seven")
	want(t, "when ready", c.said(), "reply 7")
	want(t, "submitted", l.submitted(), "[1 3 4 7]")
	if v := s.View(); v.Unanswered != 0 || v.KeptReplies != 4 {
		t.Errorf("View = %+v, want four kept replies", v)
	}
	a.Receive(ask(7, "hold.it"))
	want(t, "twice on one connection", c.said(), "close 4500")
	want(t, "the backend heard", l.heard(), "cut connection_lost, resumed tcp 192.0.2.1, ended PROTOCOL_ERROR")
}

// TestBadRepeats: ids that go back are an error but for repeats after a resume.
func TestBadRepeats(t *testing.T) {
	for _, tt := range []struct {
		name   string
		resume bool
		id     uint32
	}{
		{"never accepted", true, 3}, {"pending, sent twice", true, 5}, {"without a resume", false, 4},
		{"without a resume, answered", false, 2}, {"accepted on this connection", true, 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			s, a, c, _ := w.open()
			a.Receive(ask(2, "echo.say"))
			a.Receive(ask(4, "hold.it"))
			a.Receive(ask(5, "hold.it"))
			if tt.resume {
				a, c = w.resume(t, s, secretIn(c), 0)
				a.Receive(ask(5, "hold.it"))
				a.Receive(ask(8, "hold.it"))
			}
			c.said()
			a.Receive(ask(tt.id, "hold.it"))
			want(t, "it was told", c.said(), "close 4500")
		})
	}
}

// TestRepeatsAndWindow: a repeat does not count twice.
func TestRepeatsAndWindow(t *testing.T) {
	w := newWorld()
	s, a, c, l := w.open()
	for id := uint32(1); id <= 4; id++ {
		a.Receive(ask(id, "hold.it"))
	}
	a, c = w.resume(t, s, secretIn(c), 0)
	for id := uint32(1); id <= 4; id++ {
		a.Receive(ask(id, "hold.it"))
	}
	l.answer(2, "")
	a.Receive(ask(5, "hold.it"))
	want(t, "within the window", c.said(), "welcome, reply 2")
	a.Receive(ask(6, "hold.it"))
	want(t, "beyond", c.said(), "close 4506")
}

// TestGatewayCommandsOnce: what the gateway answers itself is run once, too.
func TestGatewayCommandsOnce(t *testing.T) {
	w := newWorld()
	s, a, c, _ := w.open()
	a.Receive(ask(1, "$time"))
	a.Receive(wire.Frame{Type: wire.TypeRequest, ID: 2, Command: []byte("$refresh"), Payload: []byte(`{"token":"t"}`)})
	said := c.read(-1)
	a, c = w.resume(t, s, string(said[0].Payload), 0)
	a.Receive(ask(1, "$time"))
	a.Receive(ask(2, "$refresh"))
	got := c.read(-1)
	if len(got) != 2 || got[1].ID != 1 || !bytes.Equal(got[1].Payload, said[1].Payload) {
		t.Errorf("$time again = %v, want the reply of the first time", got)
	}
	s.Refreshed(time.Time{})
	s.Reply(2, 0, []byte("{}"))
	want(t, "$refresh", c.said(), "reply 2")
}

// TestHandOver: a Snapshot goes on in another registry, as it will in another
// process.
func TestHandOver(t *testing.T) {
	w := newWorld()
	s, a, c, _ := w.open()
	a.Receive(ask(1, "echo.say"))
	a.Receive(ask(2, "hold.it"))
	s.Push(reliable("x"))
	secret := secretIn(c)
	st := s.Snapshot()
	a.Receive(ask(3, "echo.say")) // after the copy: none of its business
	s.Push(reliable("y"))
	s.EndWith(wire.CloseDraining, "")

	other := newWorld()
	moved := New(st, other.deps)
	l := &lanes{s: moved}
	moved.Start(l)
	other.reg.Add(moved)
	c = &fakeConn{world: other}
	found, a, out := other.reg.Resume(moved.ID(), c, ResumeRequest{Secret: secret}, welcome)
	if found != moved || out != ResumeOK || c.out[0].ID != 2 {
		t.Fatalf("Resume = %v, %v, %v", found, out, c.out)
	}
	a.Receive(ask(1, "echo.say"))
	a.Receive(ask(2, "hold.it"))
	l.answer(2, "two")
	want(t, "after the hand-over", c.said(), "welcome, push 1 x, reply 1, reply 2")
	want(t, "submitted again", l.submitted(), "[]")
	if _, _, out := other.reg.Resume("unknown", c, ResumeRequest{}, welcome); out != ResumeNot {
		t.Errorf("Resume of an unknown session = %v", out)
	}
}

// TestResumeGoesWrong: a connection that is gone already, or takes nothing, costs
// the client nothing but another resume; a wrong seq not even that.
func TestResumeGoesWrong(t *testing.T) {
	w := newWorld()
	s, a, c, l := w.open()
	secret := secretIn(c)
	s.Push(reliable("x"))
	if _, out := s.Resume(&fakeConn{world: w}, ResumeRequest{Secret: secret, Seq: 2}, welcome); out != ResumeBadSeq {
		t.Errorf("Resume = %v", out)
	}
	a.Receive(ask(1, "echo.say"))
	want(t, "the connection goes on", c.said(), "welcome, push 1 x, reply 1")

	gone := &fakeConn{world: w}
	gone.CloseWith(wire.CloseInternal, "")
	a, _ = s.Resume(gone, ResumeRequest{Secret: secret}, welcome)
	a.Closed()
	deaf := &deafConn{fakeConn{world: w}}
	if _, out := s.Resume(deaf, ResumeRequest{Secret: secret}, welcome); out != ResumeOK || s.Attached() {
		t.Errorf("Resume = %v, attached %v", out, s.Attached())
	}
	want(t, "the deaf one was told", deaf.said(), "close 4002")
	_, c = w.resume(t, s, secret, 0)
	want(t, "in the end", c.said(), "welcome, push 1 x")
	want(t, "the backend heard", l.heard(), "resumed tcp 192.0.2.1, cut connection_lost, "+
		"resumed tcp 192.0.2.1, cut SLOW_CONSUMER, resumed tcp 192.0.2.1")
}

type deafConn struct{ fakeConn }

func (*deafConn) QueueAll([]wire.Frame) bool { return false }
