package session

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

func testContext(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

// openPoll is a session on a connection made of calls.
func (w *world) openPoll(change ...func(*State)) (*Session, *Attachment, *fakeConn, *lanes) {
	st := State{ID: NewID(), Secret: NewID(), UID: "u1", Window: 4}
	for _, fn := range change {
		fn(&st)
	}
	s := New(st, w.deps)
	l := &lanes{s: s}
	s.Start(l)
	c := &fakeConn{world: w, poll: true}
	a := s.Attach(c, welcome)
	w.reg.Add(s)
	return s, a, c, l
}

// The tests here follow docs/protocol.md section 6.

// TestAway: while no call is open the session counts as cut. The backend hears of
// it when it lasts.
func TestAway(t *testing.T) {
	w := newWorld()
	s, a, c, l := w.openPoll()
	for range 3 { // polls, with short gaps
		a.Away()
		a.Away()
		w.pass(1900 * time.Millisecond)
		a.Back()
		a.Back()
		w.pass(15 * time.Second)
	}
	want(t, "of polls the backend heard", l.heard(), "")
	a.Away()
	if v := s.View(); !v.Cut || w.deps.Cut.Len() != 1 {
		t.Errorf("View = %+v, %d cut", v, w.deps.Cut.Len())
	}
	w.pass(2 * time.Second)
	s.Push(reliable("x"))
	s.Push(&Push{Command: []byte("y")})
	want(t, "queued meanwhile", fmt.Sprint(c.said(), c.loose), "welcome, push 1 x[ 0 true 15]")
	a.Back()
	a.Away()
	w.pass(59 * time.Second)
	want(t, "the backend heard", l.heard(), "cut no_call, resumed poll 192.0.2.1, cut no_call")
	w.pass(time.Second)
	want(t, "in the end", l.heard(), "cut no_call, resumed poll 192.0.2.1, cut no_call, ended resume_ttl")
	want(t, "the connection was told", c.said(), "close 4004")
}

// TestAwayAndResume: a session that is away is resumed like one that is cut.
func TestAwayAndResume(t *testing.T) {
	w := newWorld()
	s, a, c, l := w.openPoll()
	a.Away()
	_, tcp := w.resume(t, s, secretIn(c), 0)
	want(t, "the old one was told", c.said(), "close 4009")
	a.Back()
	a.Arrived(1)
	w.pass(time.Hour)
	want(t, "the new one was told", tcp.said(), "welcome")
	want(t, "the backend heard", l.heard(), "resumed tcp 192.0.2.1")
}

// TestAwayAndLost: a connection that ends while no call is open keeps its place
// among the cut ones.
func TestAwayAndLost(t *testing.T) {
	w := newWorld()
	s, a, _, l := w.openPoll()
	a.Away()
	w.pass(30 * time.Second)
	a.Closed()
	if s.Attached() {
		t.Error("Attached after Closed")
	}
	w.pass(30 * time.Second)
	want(t, "the backend heard", l.heard(), "cut no_call, ended resume_ttl")
}

// TestKickOfAway: a kick reaches it, and its connection.
func TestKickOfAway(t *testing.T) {
	w := newWorld()
	s, a, c, _ := w.openPoll()
	a.Away()
	if !s.Close(wire.CloseKicked, "") {
		t.Error("Close = false")
	}
	want(t, "it was told", c.said(), "close 4504")
	if w.deps.Cut.Len() != 0 {
		t.Error("it still counts as cut")
	}
}

// TestPollRepeats: an id at or below the last accepted is always a repeat, never
// an error.
func TestPollRepeats(t *testing.T) {
	w := newWorld()
	s, a, c, l := w.openPoll()
	a.Receive(ask(2, "echo.say"))
	a.Receive(ask(4, "hold.it"))
	c.said()
	for _, id := range []uint32{4, 2, 3, 2, 4} {
		a.Receive(ask(id, "echo.say"))
	}
	want(t, "again", c.said(), "reply 2, reply 3 DATA_LOSS, reply 2")
	l.answer(4, "four")
	want(t, "when ready, once", c.said(), "reply 4")
	a.Receive(ask(4, "hold.it"))
	a.Arrived(99)
	a.Arrived(3)
	want(t, "kept", keptIDs(s), "2 4")
	a.Receive(ask(5, "echo.say"))
	a.Arrived(4)
	want(t, "kept after replies=4", keptIDs(s), "5")
	a.Receive(ask(4, "echo.say"))
	want(t, "then", c.said(), "reply 4, reply 5, reply 4 DATA_LOSS")
	want(t, "submitted", l.submitted(), "[2 4 5]")
}

// TestPollArrival: an ACK lets go of the replies before its push, and there are
// no PINGs.
func TestPollArrival(t *testing.T) {
	w := newWorld(func(l *Limits) { l.KeptReplyBytesMax = 4 })
	s, a, c, _ := w.openPoll()
	a.Receive(ask(1, "echo.say"))
	a.Receive(ask(2, "echo.say"))
	s.Push(reliable("x"))
	a.Receive(ask(3, "echo.say"))
	a.Receive(ack(1))
	want(t, "kept", keptIDs(s), "3")
	want(t, "sent", c.said(), "welcome, reply 1, reply 2, push 1 x, reply 3")
	if next := a.Expire(1 << 40); next != 0 {
		t.Errorf("Expire = %d, want never", next)
	}
}

// TestArrivedElsewhere: replies= names what this connection has carried; what a
// former one may have lost stays.
func TestArrivedElsewhere(t *testing.T) {
	w := newWorld()
	s, a, _, _ := w.openPoll()
	a.Receive(ask(1, "echo.say"))
	a.Receive(ask(2, "echo.say"))
	c := &fakeConn{world: w, poll: true}
	a, _ = s.Resume(c, ResumeRequest{Secret: s.Snapshot().Secret}, welcome)
	a.Arrived(2) // not sent on this connection
	a.Receive(ask(2, "echo.say"))
	a.Arrived(2)
	want(t, "kept", keptIDs(s), "1")
	a.Receive(ask(1, "echo.say"))
	want(t, "sent", c.said(), "welcome, reply 2, reply 1")
	a.Receive(ask(3, "hold.it"))
	a, _ = s.Resume(&fakeConn{world: w, poll: true}, ResumeRequest{Secret: s.Snapshot().Secret}, welcome)
	a.Receive(ask(1, "echo.say"))
	s.Reply(3, 0, nil) // nobody has asked again
	a.Arrived(3)
	want(t, "kept at the end", keptIDs(s), "1 3")
}
