package load

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestScheduleIsEven checks the plan against its definition: request k is due
// at the last beat before start + k/rate, and a connection's own requests are
// exactly its share.
func TestScheduleIsEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.Int64Range(0, 1e12).Draw(t, "start")
		rate := rapid.Float64Range(1, 1e6).Draw(t, "rate")
		conns := rapid.IntRange(1, 5000).Draw(t, "conns")
		k := rapid.Int64Range(0, 1e8).Draw(t, "k")
		s := newSchedule(start, rate, conns)
		want := float64(start) + float64(k)*1e9/rate
		slack := 1 + want/1e12 // of floating point
		if d := want - float64(s.due(k)); d < -slack || d >= float64(beat)+slack {
			t.Fatalf("due(%d) = %d, want at most a beat before %.0f", k, s.due(k), want)
		}
		if off := (s.due(k) - start) % int64(beat); off != 0 {
			t.Fatalf("due(%d) = %d, %d after a beat", k, s.due(k), off)
		}
		if s.due(k+1) < s.due(k) {
			t.Fatalf("due(%d) = %d, before due(%d) = %d", k+1, s.due(k+1), k, s.due(k))
		}
		c := s.conn(k)
		if got := s.dueOf(c, k/int64(conns)); got != s.due(k) {
			t.Fatalf("dueOf(%d, %d) = %d, want due(%d) = %d", c, k/int64(conns), got, k, s.due(k))
		}
	})
}

// TestStampTellsRequestsApart walks all short sizes: what was stamped is
// recognised, and no other request's stamp or length passes for it.
func TestStampTellsRequestsApart(t *testing.T) {
	for size := range 80 {
		a, b := make([]byte, size), make([]byte, size)
		stamp(a, 7, 1)
		if !stamped(a, size, 7, 1) {
			t.Errorf("stamped(stamp) of %d bytes = false", size)
		}
		if stamped(append(a, 0), size, 7, 1) {
			t.Errorf("%d bytes and one more pass", size)
		}
		if size < 4 {
			continue // too few bytes to differ for sure
		}
		for _, other := range []struct {
			conn int
			id   uint32
		}{{7, 2}, {8, 1}} {
			if stamp(b, other.conn, other.id); stamped(b, size, 7, 1) {
				t.Errorf("request %v of %d bytes passes for another", other, size)
			}
		}
		if a[size-1]++; stamped(a, size, 7, 1) {
			t.Errorf("a changed last byte of %d passes", size)
		}
	}
}

func TestSpan(t *testing.T) {
	tests := []struct {
		span    span
		at, now int64
		want    bool
	}{
		{span{}, 0, 0, false}, // the zero span measures nothing
		{span{from: 10, until: 20}, 5, 10, true},
		{span{from: 10, until: 20}, 15, 20, false},
		{span{from: 10, until: 20, byDue: true}, 5, 15, false},
		{span{from: 10, until: 20, byDue: true}, 19, 99, true}, // late, but due in time
	}
	for _, tt := range tests {
		if got := tt.span.has(tt.at, tt.now); got != tt.want {
			t.Errorf("%+v.has(%d, %d) = %v, want %v", tt.span, tt.at, tt.now, got, tt.want)
		}
	}
}

func TestTally(t *testing.T) {
	a, b := NewTally(), NewTally()
	for i := range 1000 {
		a.record(int64(time.Duration(i+1) * time.Microsecond))
		a.Done++
	}
	b.record(int64(time.Hour)) // beyond the histogram: clamped, not lost
	b.record(-5)
	b.Done, b.Elapsed = 2, 2*time.Second
	b.fail(KindEOF)
	a.fail(KindEOF)
	a.Add(b)
	if a.Done != 1002 || a.Rate() != 501 || a.Failures() != 2 || a.Errors[KindEOF] != 2 {
		t.Errorf("sum = %d done, rate %v, errors %v", a.Done, a.Rate(), a.Errors)
	}
	if p := a.Percentile(50); p < 495*time.Microsecond || p > 505*time.Microsecond {
		t.Errorf("median %v, want 500us", p)
	}
	if p := a.Percentile(100); p < time.Minute*99/100 {
		t.Errorf("largest %v, want the bound of a minute", p)
	}
	if r := NewTally().Rate(); r != 0 {
		t.Errorf("rate of an empty tally = %v", r)
	}
}

// TestHotPathDoesNotAllocate covers what happens per echo: making a request,
// splitting the reply, checking and recording it.
func TestHotPathDoesNotAllocate(t *testing.T) {
	for _, mode := range []Mode{Holdfast, Raw} {
		l := &loop{cfg: Config{Mode: mode, Threads: 1}, phase: holdPhase{}, tally: NewTally(), command: []byte(echoCommand),
			epoch: time.Now(), span: span{until: 1 << 62}, wbuf: make([]byte, 0, 1024)}
		l.setSize(64)
		c := &conn{state: stateOpen, window: 8, inflight: make([]sent, 0, 8)}
		reply := make([]byte, 0, 1024)
		allocs := testing.AllocsPerRun(100, func() {
			l.wbuf = l.wbuf[:0]
			l.request(c, 1)
			reply = append(reply[:0], l.wbuf...)
			if mode == Holdfast {
				reply = replyTo(reply, l)
			}
			if rest := l.take(c, reply, 2); len(rest) != 0 {
				t.Fatalf("rest %d bytes", len(rest))
			}
		})
		if allocs != 0 {
			t.Errorf("mode %d: %v allocations an echo, want 0", mode, allocs)
		}
		if len(l.tally.Errors) > 0 || l.tally.Done == 0 {
			t.Errorf("mode %d: done %d, errors %v", mode, l.tally.Done, l.tally.Errors)
		}
	}
}

// replyTo turns the stream bytes of a REQUEST into those of its REPLY, in
// place: length, type, id, then status and flags where the command was.
func replyTo(request []byte, l *loop) []byte {
	payload := request[len(request)-len(l.payload):]
	head := request[:4+1+4]
	head[3] = byte(1 + 4 + 2 + len(payload))
	head[4] = 0x04
	out := append(head, 0, 0)
	return append(out, payload...)
}
