package poll

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/gateway/wheel"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// fatal is what the property test and plain tests have in common.
type fatal interface {
	Helper()
	Fatalf(format string, a ...any)
	Errorf(format string, a ...any)
}

// realm is a Server with real sessions behind it. Every login is let in at once.
type realm struct {
	t        fatal
	wheel    *wheel.Wheel
	now      int64
	srv      *Server
	sessions *session.Registry
	cut      *session.CutSessions
	deps     *session.Deps
	window   int

	mu    sync.Mutex // guards the following
	lanes map[string]*lanes
}

func newRealm(t fatal) *realm {
	reg := prometheus.NewRegistry()
	m := session.NewMetrics(reg)
	r := &realm{t: t, wheel: wheel.New(10 * time.Millisecond), now: 1, window: 4, lanes: map[string]*lanes{}, sessions: session.NewRegistry(m)}
	r.cut = session.NewCutSessions(time.Minute, 1000, r.wheel.Now, m)
	r.deps = &session.Deps{Home: r, Metrics: m, Cut: r.cut, Limits: &session.Limits{
		ResumeTTL: time.Minute, FrameBytesMax: 2048, KeptPushesMax: 100, KeptBytesMax: 1 << 16, KeptReplyBytesMax: 1 << 16,
	}}
	r.srv = New(testConfig(), r, r.wheel, NewMetrics(reg), slog.New(slog.DiscardHandler))
	return r
}

func (r *realm) pass(d time.Duration) {
	r.now += d.Milliseconds()
	r.wheel.Advance(r.now)
	r.cut.Sweep(r.now)
}

func (r *realm) Refresh(*session.Session, uint32, string) {}
func (r *realm) Cut(*session.Session, string)             {}
func (r *realm) Ended(s *session.Session, _ string)       { r.sessions.Remove(s) }

func (r *realm) Accept(c *Conn) Receiver { return &doorman{realm: r, conn: c} }

func (r *realm) Find(id, secret string) (*Conn, wire.CloseCode, string) {
	s := r.sessions.ByID(id)
	if s == nil || !s.Authenticate(secret) {
		return nil, wire.CloseNormal, "no such session"
	}
	if c, ok := s.Conn().(*Conn); ok {
		return c, 0, ""
	}
	return nil, wire.CloseSessionExpired, "resume it"
}

func (r *realm) welcome(resumed bool) func(*session.State) wire.Frame {
	return func(st *session.State) wire.Frame {
		return wire.Frame{Type: wire.TypeWelcome, Payload: wire.AppendWelcome(nil, &wire.Welcome{
			Session: st.ID, Secret: st.Secret, UID: st.UID, Window: st.Window, MaxFrame: 2048, Resumed: resumed, LastRequestID: st.LastRequestID,
		})}
	}
}

// doorman is the handshake.
type doorman struct {
	realm *realm
	conn  *Conn

	mu   sync.Mutex // guards the following
	gone bool
	next *session.Attachment
}

func (d *doorman) Receive(f wire.Frame) {
	hello, err := wire.ParseHello(f.Payload)
	if err != nil {
		d.conn.CloseWith(wire.CloseProtocolError, err.Error())
		return
	}
	r := d.realm
	var at *session.Attachment
	if hello.Resume != nil {
		var outcome session.ResumeOutcome
		_, at, outcome = r.sessions.Resume(hello.Resume.Session, d.conn, session.ResumeRequest{Secret: hello.Resume.Secret, Seq: hello.Resume.Seq}, r.welcome(true))
		if outcome != session.ResumeOK {
			d.conn.CloseWith(wire.CloseSessionExpired, outcome.String())
			return
		}
	} else {
		s := session.New(session.State{ID: session.NewID(), Secret: session.NewID(), UID: "u", Window: r.window}, r.deps)
		l := &lanes{realm: r, s: s}
		s.Start(l)
		r.mu.Lock()
		r.lanes[s.ID()] = l
		r.mu.Unlock()
		at = s.Attach(d.conn, r.welcome(false))
		r.sessions.Add(s)
	}
	d.mu.Lock()
	d.next = at
	gone := d.gone
	d.conn.SetReceiver(at)
	d.mu.Unlock()
	if gone {
		at.Closed()
		return
	}
	d.conn.WakeAt(d.conn.Now() + 1)
	d.conn.Flush()
}

func (d *doorman) Closed() {
	d.mu.Lock()
	d.gone = true
	next := d.next
	d.mu.Unlock()
	if next != nil {
		next.Closed()
	}
}
func (d *doorman) Refuse(err *wire.ProtocolError) { d.conn.CloseWith(err.Code, err.Message) }
func (d *doorman) Expire(int64) int64             { return 0 }
func (d *doorman) Away()                          {}
func (d *doorman) Back()                          {}
func (d *doorman) Arrived(uint32)                 {}

// lanes answer when the test says so.
type lanes struct {
	realm *realm
	s     *session.Session

	mu   sync.Mutex // guards the following
	ran  []uint32
	open []uint32
	end  string
}

func (l *lanes) Submit(id uint32, command, _ []byte) {
	l.mu.Lock()
	if slices.Contains(l.ran, id) {
		l.realm.t.Errorf("request %d was run twice", id)
	}
	l.ran = append(l.ran, id)
	if string(command) != "now" {
		l.open = append(l.open, id)
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	l.s.Reply(id, 0, []byte(fmt.Sprint(id)))
	l.s.Flush()
}

// answer answers the nth open request.
func (l *lanes) answer(n int) {
	l.mu.Lock()
	id := l.open[n]
	l.open = slices.Delete(l.open, n, n+1)
	l.mu.Unlock()
	l.s.Reply(id, 0, []byte(fmt.Sprint(id)))
	l.s.Flush()
}

func (l *lanes) waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

func (l *lanes) Answer(string, int64, int32, int32, []byte, bool, string, time.Duration) bool {
	return false
}
func (l *lanes) Cut(string)             {}
func (l *lanes) Resumed(string, string) {}
func (l *lanes) End(why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = why
}
