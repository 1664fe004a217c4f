package session

import (
	"testing"
	"time"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// nowhere is a connection that takes everything and keeps nothing.
type nowhere struct{ Conn }

func (nowhere) Queue(wire.Frame) bool      { return true }
func (nowhere) QueueAll([]wire.Frame) bool { return true }
func (nowhere) Flush()                     {}
func (nowhere) Now() int64                 { return 1 }
func (nowhere) Pings() bool                { return true }

// echo answers at once with a payload of its own, as the dispatcher does.
type echo struct {
	Upstream
	s *Session
}

func (e echo) Submit(id uint32, _, payload []byte) {
	e.s.Reply(id, 0, append([]byte(nil), payload...))
	e.s.Flush()
}

type quietHome struct{}

func (quietHome) Refresh(*Session, uint32, string) {}
func (quietHome) Cut(*Session, string)             {}
func (quietHome) Ended(*Session, string)           {}

// newEcho is a session that answers its requests by itself.
func newEcho() *Attachment {
	m := NewMetrics(prometheus.NewRegistry())
	deps := &Deps{Home: quietHome{}, Metrics: m, Limits: &Limits{
		FrameBytesMax: 1 << 16, ResumeTTL: time.Minute, KeptReplyBytesMax: 256 << 10,
	}, Cut: NewCutSessions(time.Minute, 10, func() int64 { return 1 }, m)}
	s := New(State{ID: NewID(), Window: 64}, deps)
	s.Start(echo{s: s})
	return s.Attach(nowhere{}, func(*State) wire.Frame { return wire.Frame{Type: wire.TypeWelcome} })
}

func echoRequest() wire.Frame {
	return wire.Frame{Type: wire.TypeRequest, Command: []byte("echo.say"), Payload: make([]byte, 64)}
}

// BenchmarkRequestReply is a session's own part of a request and its reply: one
// at a time, no acknowledgements, so that as many replies as may be are kept.
func BenchmarkRequestReply(b *testing.B) {
	a, f := newEcho(), echoRequest()
	b.ReportAllocs()
	for b.Loop() {
		f.ID++
		a.Receive(f)
	}
}

// TestRequestReplyAllocates nothing but the reply itself, which is the
// dispatcher's to make.
func TestRequestReplyAllocates(t *testing.T) {
	a, f := newEcho(), echoRequest()
	one := func() {
		f.ID++
		a.Receive(f)
	}
	for range 100 { // until the room for kept replies has grown
		one()
	}
	if n := testing.AllocsPerRun(1000, one); n > 1 {
		t.Errorf("a request and its reply allocate %v times, want once", n)
	}
}

// TestSizes: an idle session is these two and its texts. The numbers are size
// classes of the allocator, so one byte more costs 32 or 16.
func TestSizes(t *testing.T) {
	if n := unsafe.Sizeof(Session{}); n > 448 {
		t.Errorf("a Session has %d bytes, want at most 448", n)
	}
	if n := unsafe.Sizeof(Attachment{}); n > 64 {
		t.Errorf("an Attachment has %d bytes, want at most 64", n)
	}
}
