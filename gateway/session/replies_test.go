package session

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// lastPing is the data of the last PING on c, and takes all that waits.
func lastPing(t *testing.T, c *fakeConn) wire.Frame {
	t.Helper()
	var ping wire.Frame
	for _, f := range c.read(-1) {
		if f.Type == wire.TypePing {
			ping = f
		}
	}
	if ping.Type == 0 {
		t.Fatal("no PING")
	}
	return wire.Frame{Type: wire.TypePong, Payload: ping.Payload}
}

func keptIDs(s *Session) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for i := 0; s.state.Requests != nil && i < s.state.Requests.n; i++ {
		ids = append(ids, fmt.Sprint(s.state.Requests.at(i).id))
	}
	return strings.Join(ids, " ")
}

// TestRepliesAreKept: the last window of them, until a later ACK or a PONG to a
// later PING, on the connection that carried them.
func TestRepliesAreKept(t *testing.T) {
	w := newWorld()
	s, a, c, _ := w.open()
	for id := uint32(1); id <= 6; id++ {
		a.Receive(ask(id, "echo.say"))
	}
	want(t, "the last window", keptIDs(s), "3 4 5 6")
	s.Push(reliable("x"))
	a.Receive(ask(7, "echo.say"))
	a.Receive(ack(1))
	want(t, "after an ACK", keptIDs(s), "7")
	c.lastRead = 0
	w.now = 30_000
	a.Expire(w.now)
	a.Receive(ask(8, "echo.say"))
	pong := lastPing(t, c)
	for _, data := range []string{"", "1", "\x00\x00\x00\x00", "\x00\x00\x00\x09", "12345678"} {
		a.Receive(wire.Frame{Type: wire.TypePong, Payload: []byte(data)})
	}
	want(t, "after PONGs to no PING", keptIDs(s), "7 8")
	a.Receive(pong)
	want(t, "after a PONG", keptIDs(s), "8")
	a.Receive(pong)
	want(t, "after the same again", keptIDs(s), "8")
	s.Push(reliable("y"))
	a.Receive(ack(2))
	if s.state.Requests != nil {
		t.Error("a session with nothing to remember keeps memory for it")
	}
}

// TestArrivalElsewhere: what proves that one connection works says nothing of
// what another lost, until the client has asked for all it lacks.
func TestArrivalElsewhere(t *testing.T) {
	w := newWorld()
	s, a, c, l := w.open()
	a.Receive(ask(1, "echo.say"))
	a.Receive(ask(2, "hold.it"))
	s.Push(reliable("x")) // both are lost
	a, c = w.resume(t, s, secretIn(c), 0)
	a.Receive(ack(1)) // of the second sending
	want(t, "after an ACK of what was sent again", keptIDs(s), "1")
	a.Receive(ask(2, "hold.it"))
	s.Push(reliable("y"))
	a.Receive(ack(2))
	want(t, "after an ACK of something new", keptIDs(s), "1")
	a.Receive(ask(3, "hold.it")) // a new id: the client lacks only 2
	l.answer(2, "")
	s.Push(reliable("z"))
	a.Receive(ack(3))
	want(t, "after the first new id and an ACK", keptIDs(s), "")
	if got := secretIn(c); got == "" {
		t.Error("WELCOME had no secret")
	}
}

// TestResumeAcknowledges: the seq of a resume is an ACK that the old connection
// lost.
func TestResumeAcknowledges(t *testing.T) {
	w := newWorld()
	s, a, c, _ := w.open()
	a.Receive(ask(1, "echo.say"))
	s.Push(reliable("x"))
	a.Receive(ask(2, "echo.say"))
	w.resume(t, s, secretIn(c), 1)
	want(t, "kept", keptIDs(s), "2")
	if v := s.View(); v.AckedSeq != 1 || v.KeptPushes != 0 {
		t.Errorf("View = %+v", v)
	}
}

// TestShed: beyond their bytes the oldest replies are given up, and say so; at
// half of it the gateway asks what has arrived.
func TestShed(t *testing.T) {
	w := newWorld(func(l *Limits) { l.KeptReplyBytesMax = 100 })
	s, a, c, l := w.open()
	for id := uint32(1); id <= 3; id++ {
		a.Receive(ask(id, "hold.it"))
		l.answer(id, strings.Repeat("x", 45))
	}
	secret := secretIn(c)
	want(t, "sent", c.said(), "welcome, reply 1, reply 2, ping, reply 3")
	if v := s.View(); v.KeptReplies != 3 || v.KeptReplyBytes != 90 {
		t.Errorf("View = %+v, want two replies of 45 bytes and one that was shed", v)
	}
	a, c = w.resume(t, s, secret, 0)
	for _, id := range []uint32{3, 1, 2} {
		a.Receive(ask(id, "hold.it"))
	}
	got := c.read(-1)[1:]
	e, err := wire.ParseErrorPayload(got[1].Payload)
	if got[1].Flags != wire.FlagOriginGateway || err != nil || e.Reason != "reply_shed" || e.RetryAfterMS != 0 {
		t.Errorf("the reply that was shed: %+v, %v", e, err)
	}
	c.out = got
	want(t, "again", c.said(), "reply 3, reply 1 DATA_LOSS, reply 2")
	want(t, "submitted", l.submitted(), "[1 2 3]")
}

// TestOneLargeReply goes out though it is too large to be kept.
func TestOneLargeReply(t *testing.T) {
	w := newWorld(func(l *Limits) { l.KeptReplyBytesMax = 100 })
	s, a, c, l := w.open()
	a.Receive(ask(1, "hold.it"))
	l.answer(1, strings.Repeat("x", 101))
	if f := c.out[1]; len(f.Payload) != 101 {
		t.Errorf("%s of %d bytes", word(f), len(f.Payload))
	}
	if v := s.View(); v.KeptReplyBytes != 0 || v.KeptReplies != 1 {
		t.Errorf("View = %+v", v)
	}
}

// meterOf admits the requests whose payload is not "slow down".
type meterOf struct{ calls int }

func (m *meterOf) Request(uid string, buckets *[2]int64, command []byte, n int) (string, time.Duration) {
	m.calls++
	buckets[0]++
	if string(command) == "too.fast" && uid == "u1" && n > 0 {
		return "session_requests", 250 * time.Millisecond
	}
	return "", 0
}

// TestMeter: a request that comes too fast is accepted and answered at once, and
// its answer kept like any other; id and window are judged before.
func TestMeter(t *testing.T) {
	w := newWorld()
	m := &meterOf{}
	w.deps.Meter = m
	s, a, c, l := w.open()
	a.Receive(ask(1, "too.fast"))
	secret, got := secretIn(c), c.read(-1)[1]
	e, err := wire.ParseErrorPayload(got.Payload)
	if got.ID != 1 || got.Status != wire.StatusResourceExhausted || got.Flags != wire.FlagOriginGateway ||
		err != nil || e.Reason != "session_requests" || e.RetryAfterMS != 250 {
		t.Errorf("%s, %+v, %v", word(got), e, err)
	}
	if v := s.View(); v.Unanswered != 0 || v.KeptReplies != 1 || s.meter[0] != 1 {
		t.Errorf("View = %+v, meter %v", v, s.meter)
	}
	a.Closed()
	a, c = w.resume(t, s, secret, 0)
	a.Receive(ask(1, "too.fast"))
	want(t, "again", c.said(), "welcome, reply 1 RESOURCE_EXHAUSTED")
	for id := uint32(2); id <= 5; id++ {
		a.Receive(ask(id, "hold.it"))
	}
	a.Receive(ask(6, "too.fast"))
	want(t, "beyond the window", c.said(), "close 4506")
	if m.calls != 5 {
		t.Errorf("the meter was asked %d times, want 5: not for the repeat, nor for 6 beyond the window", m.calls)
	}
	want(t, "submitted", l.submitted(), "[2 3 4 5]")
}
