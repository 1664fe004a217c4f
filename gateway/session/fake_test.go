package session

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// fakeConn is a connection whose client reads when the test says so.
type fakeConn struct {
	world *world
	poll  bool
	max   int // frames that may wait; 0: no bound
	enc   wire.Encoding

	mu       sync.Mutex
	out      []wire.Frame // not read yet
	loose    []string     // transient pushes, as "key until dropOldest bytes"
	full     bool         // transient pushes do not fit
	code     wire.CloseCode
	lastRead int64
	wakeAt   int64
	flushes  int
}

func (c *fakeConn) Queue(f wire.Frame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queueLocked(f)
}

func (c *fakeConn) QueueAll(frames []wire.Frame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queueLocked(frames...)
}

func (c *fakeConn) queueLocked(frames ...wire.Frame) bool {
	if c.code != 0 {
		return true
	}
	if c.max > 0 && len(c.out) > 0 && len(c.out)+len(frames) > c.max {
		return false
	}
	for _, f := range frames {
		f.Payload, f.Command = bytes.Clone(f.Payload), bytes.Clone(f.Command)
		c.out = append(c.out, f)
	}
	return true
}

func (c *fakeConn) QueueTransient(b []byte, key string, until int64, dropOldest bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.full && !dropOldest {
		return false
	}
	c.loose = append(c.loose, fmt.Sprint(key, " ", until, " ", dropOldest, " ", len(b)))
	return true
}

func (c *fakeConn) CloseWith(code wire.CloseCode, _ string, before ...wire.Frame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.code != 0 {
		return false
	}
	c.code = code
	c.out = append(slices.Clone(before), wire.Frame{Type: wire.TypeClose, Code: code})
	return true
}

func (c *fakeConn) Encoding() wire.Encoding { return c.enc }
func (c *fakeConn) Flush()                  { c.mu.Lock(); c.flushes++; c.mu.Unlock() }
func (c *fakeConn) LastRead() int64         { c.mu.Lock(); defer c.mu.Unlock(); return c.lastRead }
func (c *fakeConn) Now() int64              { return c.world.clock() }
func (c *fakeConn) WakeAt(at int64)         { c.mu.Lock(); c.wakeAt = at; c.mu.Unlock() }
func (c *fakeConn) Queued() int             { c.mu.Lock(); defer c.mu.Unlock(); return 100 * len(c.out) }
func (c *fakeConn) Transport() string       { return map[bool]string{false: "tcp", true: "poll"}[c.poll] }
func (c *fakeConn) RemoteIP() string        { return "192.0.2.1" }
func (c *fakeConn) Pings() bool             { return !c.poll }

// read takes up to n frames, all with n < 0.
func (c *fakeConn) read(n int) []wire.Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n < 0 || n > len(c.out) {
		n = len(c.out)
	}
	got := c.out[:n:n]
	c.out = c.out[n:]
	return got
}

// said is what waits for the client, in words, and takes it.
func (c *fakeConn) said() string {
	var words []string
	for _, f := range c.read(-1) {
		words = append(words, word(f))
	}
	return strings.Join(words, ", ")
}

func word(f wire.Frame) string {
	switch f.Type {
	case wire.TypeReply:
		text := fmt.Sprintf("reply %d", f.ID)
		if f.Status != 0 {
			text += " " + f.Status.String()
		}
		return text
	case wire.TypePush:
		return fmt.Sprintf("push %d %s", f.Seq, f.Command)
	case wire.TypeClose:
		return fmt.Sprintf("close %d", f.Code)
	default:
		return f.Type.String()
	}
}

// lanes is an Upstream that answers when the test says so. Command echo.* is
// answered at once.
type lanes struct {
	s *Session

	mu     sync.Mutex
	got    []uint32 // ids, in order
	open   []uint32
	events []string
}

func (l *lanes) Submit(id uint32, command, payload []byte) {
	l.mu.Lock()
	l.got = append(l.got, id)
	at := bytes.HasPrefix(command, []byte("echo."))
	if !at {
		l.open = append(l.open, id)
	}
	l.mu.Unlock()
	if at {
		l.s.Reply(id, 0, bytes.Clone(payload))
		l.s.Flush()
	}
}

func (l *lanes) Answer(string, int64, int32, int32, []byte, bool, string, time.Duration) bool {
	return false
}

func (l *lanes) Cut(why string)                { l.event("cut " + why) }
func (l *lanes) Resumed(transport, ip string)  { l.event("resumed " + transport + " " + ip) }
func (l *lanes) End(why string)                { l.event("ended " + why) }
func (l *lanes) event(e string)                { l.mu.Lock(); l.events = append(l.events, e); l.mu.Unlock() }
func (l *lanes) heard() string                 { l.mu.Lock(); defer l.mu.Unlock(); return strings.Join(l.events, ", ") }
func (l *lanes) submitted() string             { l.mu.Lock(); defer l.mu.Unlock(); return fmt.Sprint(l.got) }
func (l *lanes) answer(id uint32, text string) { l.s.Reply(id, 0, []byte(text)); l.s.Flush() }

// world is a gateway around sessions.
type world struct {
	mu    sync.Mutex
	now   int64
	deps  *Deps
	reg   *Registry
	ended []string
	cut   []string
}

func newWorld(change ...func(*Limits)) *world {
	w := &world{now: 1000}
	m := NewMetrics(prometheus.NewRegistry())
	l := &Limits{
		Heartbeat: 25 * time.Second, HeartbeatTimeout: 8 * time.Second, ExpiryWarning: time.Minute,
		ResumeTTL: time.Minute, FrameBytesMax: 1 << 16, KeptPushesMax: 8, KeptBytesMax: 1 << 16,
		KeptReplyBytesMax: 1 << 16, TopicsMax: 3,
	}
	for _, fn := range change {
		fn(l)
	}
	w.reg = NewRegistry(m)
	w.deps = &Deps{Limits: l, Home: w, Metrics: m, Cut: NewCutSessions(l.ResumeTTL, 100, w.clock, m)}
	return w
}

func (w *world) clock() int64 { w.mu.Lock(); defer w.mu.Unlock(); return w.now }

// pass lets time go by, and the gateway look around.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	w.now += d.Milliseconds()
	w.mu.Unlock()
	w.deps.Cut.Sweep(w.clock())
}

func (w *world) Refresh(*Session, uint32, string) {}

func (w *world) Cut(s *Session, why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = append(w.cut, why)
}

func (w *world) Ended(s *Session, why string) {
	w.reg.Remove(s)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = append(w.ended, why)
}

func welcome(st *State) wire.Frame {
	return wire.Frame{Type: wire.TypeWelcome, ID: st.LastRequestID, Payload: []byte(st.Secret)}
}

// open makes a session on a connection of its own.
func (w *world) open(change ...func(*State)) (*Session, *Attachment, *fakeConn, *lanes) {
	st := State{ID: NewID(), Secret: NewID(), UID: "u1", Window: 4}
	for _, fn := range change {
		fn(&st)
	}
	s := New(st, w.deps)
	l := &lanes{s: s}
	s.Start(l)
	c := &fakeConn{world: w}
	a := s.Attach(c, welcome)
	w.reg.Add(s)
	return s, a, c, l
}

// resume puts s on a new connection.
func (w *world) resume(t *testing.T, s *Session, secret string, seq uint64) (*Attachment, *fakeConn) {
	t.Helper()
	c := &fakeConn{world: w}
	a, out := s.Resume(c, ResumeRequest{Secret: secret, Seq: seq}, welcome)
	if out != ResumeOK {
		t.Fatalf("Resume = %v, want resumed", out)
	}
	return a, c
}

// secretIn is the secret of the WELCOME that waits on c, which it leaves there.
func secretIn(c *fakeConn) string { return string(c.out[0].Payload) }

func ask(id uint32, command string) wire.Frame {
	return wire.Frame{Type: wire.TypeRequest, ID: id, Command: []byte(command), Payload: []byte(fmt.Sprint(id))}
}

func ack(seq uint64) wire.Frame { return wire.Frame{Type: wire.TypeAck, Seq: seq} }

func reliable(command string) *Push {
	return &Push{Command: []byte(command), Payload: []byte("p"), Reliable: true}
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s = %q, want %q", what, got, want)
	}
}

func (w *world) metric(c prometheus.Collector) float64 { return testutil.ToFloat64(c) }
