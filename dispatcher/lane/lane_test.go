package lane

import (
	"slices"
	"testing"
	"unsafe"
)

func push(t *testing.T, l *Lane, ids ...uint32) {
	t.Helper()
	for _, id := range ids {
		if !l.Push(Packet{ID: id, Deadline: 100, Payload: []byte("12345678")}) {
			t.Fatalf("Push(%d) = false", id)
		}
	}
}

func ids(ps []Packet) (out []uint32) {
	for _, p := range ps {
		out = append(out, p.ID)
	}
	return out
}

func seqs(ps []Packet) (out []int64) {
	for _, p := range ps {
		out = append(out, p.Seq)
	}
	return out
}

func newLane(limit int) *Lane {
	l := &Lane{}
	l.Init(limit)
	return l
}

func TestBatchesKeepOrder(t *testing.T) {
	l := newLane(10)
	push(t, l, 1, 2, 3)
	first := l.Take(50, 2, 1000)
	if !slices.Equal(ids(first), []uint32{1, 2}) || !slices.Equal(seqs(first), []int64{1, 2}) {
		t.Fatalf("first batch = ids %v seqs %v, want 1 2", ids(first), seqs(first))
	}
	push(t, l, 4)
	if l.Sendable(0) {
		t.Error("a lane with a batch at the instance is sendable")
	}
	for i := range first {
		if _, owed := l.Done(i); !owed {
			t.Errorf("packet %d is not owed an answer", i)
		}
	}
	l.Returned()
	if !l.Sendable(0) {
		t.Fatal("the lane is not sendable after its batch returned")
	}
	second := l.Take(60, 10, 1000)
	if !slices.Equal(ids(second), []uint32{3, 4}) || !slices.Equal(seqs(second), []int64{3, 4}) {
		t.Errorf("second batch = ids %v seqs %v, want 3 4", ids(second), seqs(second))
	}
}

func TestTakeStopsAtBytes(t *testing.T) {
	l := newLane(10)
	push(t, l, 1, 2, 3)
	if got := l.Take(0, 10, 1); len(got) != 1 {
		t.Errorf("Take with room for a byte = %d packets, want 1", len(got))
	}
	l = newLane(10)
	push(t, l, 1, 2, 3)
	if got := l.Take(0, 10, 9); len(got) != 2 {
		t.Errorf("Take with room for 9 bytes = %d packets of 8, want 2", len(got))
	}
}

func TestLimitCountsWhatIsAtTheInstance(t *testing.T) {
	l := newLane(2)
	push(t, l, 1, 2)
	l.Take(50, 1, 1000)
	if l.Push(Packet{ID: 3}) {
		t.Error("Push above the limit = true")
	}
	l.Done(0)
	l.Returned()
	if !l.Push(Packet{ID: 3}) {
		t.Error("Push after one packet was done = false")
	}
}

func TestDeferredClosesTheLane(t *testing.T) {
	l := newLane(10)
	push(t, l, 1, 2, 3)
	l.Take(50, 2, 1000)
	l.Defer(0)
	l.Done(1)
	l.Returned()
	if l.Sendable(0) || !l.HoldsDeferred() || l.Open() != 1 {
		t.Fatalf("with a deferred packet: sendable %v, holds %v, open %d", l.Sendable(0), l.HoldsDeferred(), l.Open())
	}
	for _, wrong := range []struct {
		seq     int64
		attempt int32
	}{{1, 2}, {2, 1}, {3, 1}, {0, 1}, {99, 1}, {-1 << 62, 1}} {
		if _, owed := l.Answer(wrong.seq, wrong.attempt); owed {
			t.Errorf("Answer%v was taken", wrong)
		}
	}
	if id, owed := l.Answer(1, 1); id != 1 || !owed {
		t.Fatalf("Answer(1, 1) = %d, %v, want 1, true", id, owed)
	}
	if _, owed := l.Answer(1, 1); owed {
		t.Error("the second answer was taken, the first wins")
	}
	if !l.Sendable(0) {
		t.Error("the lane is closed after the deferred answer")
	}
}

// TestAnswerOvertakesReply is the race between Gateway.Reply and the reply of the
// call that says "deferred".
func TestAnswerOvertakesReply(t *testing.T) {
	l := newLane(10)
	push(t, l, 1, 2)
	l.Take(50, 1, 1000)
	if id, owed := l.Answer(1, 1); id != 1 || !owed {
		t.Fatalf("Answer before the reply = %d, %v", id, owed)
	}
	if l.Sendable(0) {
		t.Error("the lane opened before its call returned")
	}
	l.Defer(0)
	l.Returned()
	if !l.Sendable(0) || l.Open() != 0 {
		t.Errorf("after the reply: sendable %v, open %d", l.Sendable(0), l.Open())
	}
}

func TestExpiry(t *testing.T) {
	waiting := newLane(10)
	push(t, waiting, 1, 2)
	if got := waiting.Expire(99, nil); len(got) != 0 {
		t.Errorf("Expire before the deadline = %v", got)
	}
	if got := waiting.Expire(100, nil); !slices.Equal(got, []Expiry{{1, NotSent, nil}, {2, NotSent, nil}}) {
		t.Errorf("Expire of waiting packets = %v", got)
	}

	calling := newLane(10)
	push(t, calling, 1)
	calling.Take(150, 10, 1000)
	if got := calling.Expire(100, nil); !slices.Equal(got, []Expiry{{1, NoReply, nil}}) {
		t.Errorf("Expire of a packet in a call = %v", got)
	}
	if calling.Idle() {
		t.Error("the call is still under way, but the lane is idle")
	}
	if _, owed := calling.Done(0); owed {
		t.Error("the reply after the deadline is still owed")
	}

	late := newLane(10)
	push(t, late, 1, 2)
	late.Take(50, 1, 1000)
	late.Defer(0)
	late.Returned()
	if next := late.Next(0); next != 50 {
		t.Errorf("Next with a deferred packet = %d, want 50", next)
	}
	if got := late.Expire(50, nil); !slices.Equal(got, []Expiry{{1, NoAnswer, nil}}) {
		t.Errorf("Expire of a deferred packet = %v", got)
	}
	if !late.Sendable(50) {
		t.Error("the lane is closed after start_by has passed")
	}
	if _, owed := late.Answer(1, 1); owed {
		t.Error("an answer after the deadline was taken")
	}
}

func TestUnknownClosesUntilStartBy(t *testing.T) {
	l := newLane(10)
	push(t, l, 1, 2)
	l.Take(50, 1, 1000)
	l.Done(0)
	l.Unknown()
	l.Returned()
	if l.Sendable(49) || !l.Closed(49) {
		t.Error("the lane is open before start_by has passed")
	}
	if next := l.Next(20); next != 50 {
		t.Errorf("Next of a closed lane = %d, want 50", next)
	}
	if !l.Sendable(50) {
		t.Error("the lane is closed after start_by has passed")
	}
	if next := l.Next(50); next != 100 {
		t.Errorf("Next of an open lane = %d, want the packet's deadline, 100", next)
	}
}

func TestLost(t *testing.T) {
	l := newLane(10)
	push(t, l, 1, 2, 3)
	l.Take(50, 2, 1000)
	l.Defer(0)
	l.Done(1)
	l.Unknown()
	l.Returned()
	if got := l.Lost(nil); !slices.Equal(got, []Expiry{{1, Gone, nil}}) {
		t.Errorf("Lost = %v", got)
	}
	if !l.Sendable(0) {
		t.Error("the lane is closed though its instance is known to be gone")
	}
}

func TestEnd(t *testing.T) {
	l := newLane(10)
	push(t, l, 1, 2, 3)
	l.Take(50, 2, 1000)
	if waiting, open := l.End(); waiting != 1 || open != 2 {
		t.Errorf("End = %d, %d, want 1 waiting and 2 open", waiting, open)
	}
	if l.Push(Packet{ID: 4}) || l.Sendable(0) || l.Next(0) != Never {
		t.Error("the lane lives on after End")
	}
	if _, owed := l.Answer(1, 1); owed {
		t.Error("an answer after End was taken")
	}
}

// TestSizes holds what an idle session costs: each has a lane, most are empty.
func TestSizes(t *testing.T) {
	if n := unsafe.Sizeof(Packet{}); n > 64 {
		t.Errorf("a Packet has %d bytes, want at most 64", n)
	}
	if n := unsafe.Sizeof(Lane{}); n > 144 {
		t.Errorf("a Lane has %d bytes, want at most 144", n)
	}
}

// TestSteadyStateDoesNotAllocate: one request at a time needs no queue memory.
func TestSteadyStateDoesNotAllocate(t *testing.T) {
	l := newLane(10)
	payload := []byte("x")
	if n := testing.AllocsPerRun(100, func() {
		l.Push(Packet{ID: 1, Deadline: 100, Payload: payload})
		l.Take(50, 10, 1000)
		l.Done(0)
		l.Returned()
	}); n != 0 {
		t.Errorf("a request allocates %v times in its lane, want 0", n)
	}
}
