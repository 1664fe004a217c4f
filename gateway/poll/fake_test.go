package poll

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/gateway/transport/http1"
	"github.com/holdfast-io/holdfast/gateway/wheel"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// fakeCall is one HTTP call whose client the test is.
type fakeCall struct {
	req    *http1.Request
	ip     string
	secure bool

	mu         sync.Mutex
	answers    int
	status     int
	retryAfter time.Duration
	body       string
	fields     map[string]string
	streaming  bool
	ended      bool
	slow       bool // Event takes nothing
	deaf       bool // the connection is gone
	text       strings.Builder
	gone       func()
}

func newCall(method, target, bearer, body string) *fakeCall {
	path, query, _ := strings.Cut(target, "?")
	r := &http1.Request{Method: method, Path: path, RawQuery: query, Minor: 1, Header: http.Header{}}
	if body != "" {
		r.Body = []byte(body)
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	return &fakeCall{req: r, ip: "192.0.2.7", fields: map[string]string{}}
}

func (k *fakeCall) Request() *http1.Request { return k.req }
func (k *fakeCall) RemoteIP() string        { return k.ip }
func (k *fakeCall) Secure() bool            { return k.secure }

func (k *fakeCall) SetField(name, value string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fields[name] = value
}

func (k *fakeCall) Answer(status int, retryAfter time.Duration, body []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.answers++
	if k.deaf {
		return
	}
	k.status, k.retryAfter, k.body, k.gone = status, retryAfter, string(body), nil
}

func (k *fakeCall) Stream() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.streaming = !k.deaf
	return k.streaming
}

func (k *fakeCall) Event(b []byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.streaming || k.ended || k.slow || k.deaf {
		return false
	}
	k.text.Write(b)
	return true
}

func (k *fakeCall) End() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended, k.gone = true, nil
}

func (k *fakeCall) OnGone(fn func()) {
	k.mu.Lock()
	deaf := k.deaf
	if !deaf && k.answers == 0 && !k.ended {
		k.gone = fn
	}
	k.mu.Unlock()
	if deaf {
		fn()
	}
}

// lose cuts the connection of the call.
func (k *fakeCall) lose() {
	k.mu.Lock()
	fn := k.gone
	k.gone, k.deaf = nil, true
	k.mu.Unlock()
	if fn != nil {
		fn()
	}
}

// done reports whether it has been answered.
func (k *fakeCall) done() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.answers > 0
}

// said is the answer as "status frame, frame", or "waits".
func (k *fakeCall) said() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.answers > 1:
		return fmt.Sprintf("%d answers", k.answers)
	case k.streaming:
		return k.streamSaid()
	case k.answers == 0:
		return "waits"
	}
	return strings.TrimSpace(fmt.Sprint(k.status, " ", words([]byte(k.body))))
}

// streamSaid is what a stream has said so far, and "end".
func (k *fakeCall) streamSaid() string {
	var out []string
	for _, event := range strings.Split(strings.TrimSuffix(k.text.String(), "\n\n"), "\n\n") {
		var data []string
		for _, line := range strings.Split(event, "\n") {
			if line == ":" {
				out = append(out, "beat")
			}
			if d, ok := strings.CutPrefix(line, "data: "); ok {
				data = append(data, d)
			}
		}
		if data != nil {
			out = append(out, words([]byte(strings.Join(data, "\n"))))
		}
	}
	if k.ended {
		out = append(out, "end")
	}
	return "stream " + strings.Join(out, ", ")
}

// framesOf parses an answer's body: an array, or one object.
func framesOf(b []byte) []wire.Frame {
	if len(b) > 0 && b[0] == '{' {
		b = []byte("[" + string(b) + "]")
	}
	frames, err := wire.ParseJSONArray(nil, b, wire.FromGateway)
	if err != nil {
		return []wire.Frame{{Type: wire.TypePing, Payload: []byte(err.Error())}}
	}
	return frames
}

func words(b []byte) string {
	var out []string
	for _, f := range framesOf(b) {
		switch f.Type {
		case wire.TypeReply:
			out = append(out, fmt.Sprintf("reply %d", f.ID))
		case wire.TypePush:
			out = append(out, fmt.Sprintf("push %d %s", f.Seq, f.Command))
		case wire.TypeClose:
			out = append(out, fmt.Sprintf("close %d", f.Code))
		case wire.TypePing:
			out = append(out, fmt.Sprintf("unreadable: %s in %s", f.Payload, b))
		default:
			out = append(out, f.Type.String())
		}
	}
	return strings.Join(out, ", ")
}

// fakeReceiver is a session that notes what it hears and answers as the test
// says.
type fakeReceiver struct {
	world *world
	conn  *Conn

	mu      sync.Mutex
	heard   []string
	max     uint64              // the highest seq that was sent
	inside  int                 // calls under way
	next    int64               // what Expire returns
	receive func(wire.Frame)    // instead of the default
	login   func(*fakeReceiver) // what becomes of HELLO
}

func (r *fakeReceiver) hear(format string, a ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = append(r.heard, fmt.Sprintf(format, a...))
}

// heardAll is what it has heard since the last time.
func (r *fakeReceiver) heardAll() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := strings.Join(r.heard, ", ")
	r.heard = nil
	return s
}

func (r *fakeReceiver) turn(d int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inside += d
	if r.inside > 1 {
		r.world.t.Error("the receiver is called twice at once")
	}
}

func (r *fakeReceiver) Receive(f wire.Frame) {
	r.turn(1)
	defer r.turn(-1)
	switch f.Type {
	case wire.TypeHello:
		r.hear("hello")
		r.login(r)
		return
	case wire.TypeRequest:
		r.hear("request %d %s %s", f.ID, f.Command, f.Payload)
	case wire.TypeAck:
		r.hear("ack %d", f.Seq)
		if f.Seq > r.max {
			r.conn.CloseWith(wire.CloseProtocolError, "ack seq: a push that was not sent")
		}
	case wire.TypeClose:
		r.hear("close %d", f.Code)
		r.conn.CloseWith(wire.CloseNormal, "")
	}
	if r.receive != nil {
		r.receive(f)
	}
}

func (r *fakeReceiver) Refuse(err *wire.ProtocolError) {
	r.hear("refuse %d", err.Code)
	r.conn.CloseWith(err.Code, err.Message)
}

func (r *fakeReceiver) Closed() { r.hear("closed") }

func (r *fakeReceiver) Expire(int64) int64 {
	r.hear("expire")
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next
}
func (r *fakeReceiver) Away()             { r.turn(1); r.hear("away"); r.turn(-1) }
func (r *fakeReceiver) Back()             { r.turn(1); r.hear("back"); r.turn(-1) }
func (r *fakeReceiver) Arrived(id uint32) { r.turn(1); r.hear("arrived %d", id); r.turn(-1) }

// world is a Server with one client, whose bearer is "s.x".
type world struct {
	t      testing.TB
	srv    *Server
	wheel  *wheel.Wheel
	now    int64
	reg    *prometheus.Registry
	r      *fakeReceiver // of the last HELLO
	login  func(*fakeReceiver)
	accept func(*Conn) bool

	find func(session, secret string) (*Conn, wire.CloseCode, string)
}

func (w *world) Accept(c *Conn) Receiver {
	w.r = &fakeReceiver{world: w, conn: c, login: w.login}
	if w.accept != nil && !w.accept(c) {
		return w.r
	}
	return w.r
}

func (w *world) Find(session, secret string) (*Conn, wire.CloseCode, string) {
	if w.find != nil {
		return w.find(session, secret)
	}
	if session != "s" || secret != "x" || w.r == nil {
		return nil, wire.CloseNormal, "no such session"
	}
	return w.r.conn, 0, ""
}

func testConfig() Config {
	cfg := DefaultConfig()
	cfg.FrameBytesMax, cfg.OutboundBytesMax, cfg.ReplyBytesMax, cfg.FramesPerCall = 2048, 4096, 2048, 8
	return cfg
}

// letIn answers HELLO with WELCOME.
func letIn(r *fakeReceiver) {
	r.conn.Queue(welcomeFrame(4))
	r.conn.Flush()
}

func welcomeFrame(window int) wire.Frame {
	return wire.Frame{Type: wire.TypeWelcome, Payload: wire.AppendWelcome(nil, &wire.Welcome{
		Session: "s", Secret: "x", Window: window, MaxFrame: 2048,
	})}
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, wheel: wheel.New(time.Millisecond), now: 1, reg: prometheus.NewRegistry(), login: letIn}
	w.srv = New(testConfig(), w, w.wheel, NewMetrics(w.reg), slog.New(slog.DiscardHandler))
	return w
}

// begin is a world with a session: HELLO has been answered.
func begin(t testing.TB) *world {
	w := newWorld(t)
	if got := w.call("POST", "/v1/poll", `{"protocol":1}`).said(); got != "200 welcome" {
		t.Fatalf("HELLO = %s, want 200 welcome", got)
	}
	w.r.heardAll()
	return w
}

func (w *world) call(method, target, body string) *fakeCall {
	k := newCall(method, target, "s.x", body)
	w.srv.Serve(k)
	return k
}

func (w *world) get(query string) *fakeCall  { return w.call("GET", "/v1/poll"+query, "") }
func (w *world) open(query string) *fakeCall { return w.call("GET", "/v1/events"+query, "") }
func (w *world) post(query, body string) *fakeCall {
	return w.call("POST", "/v1/poll/frames"+query, body)
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	w.now += d.Milliseconds()
	w.wheel.Advance(w.now)
}

// push queues the reliable push seq and sends it.
func (w *world) push(seq uint64) {
	w.r.max = max(w.r.max, seq)
	w.queue(wire.Frame{Type: wire.TypePush, Seq: seq, Command: []byte("a.b")})
}

func (w *world) reply(id uint32) { w.queue(wire.Frame{Type: wire.TypeReply, ID: id}) }

func (w *world) queue(f wire.Frame) {
	w.t.Helper()
	if !w.r.conn.Queue(f) {
		w.t.Errorf("Queue(%s) = false, want true", f.Type)
	}
	w.r.conn.Flush()
}

func (w *world) said(k *fakeCall, want string) {
	w.t.Helper()
	if got := k.said(); got != want {
		w.t.Errorf("the %s of %s was answered with %q, want %q", k.req.Method, k.req.Path, got, want)
	}
}

func (w *world) heard(want string) {
	w.t.Helper()
	if got := w.r.heardAll(); got != want {
		w.t.Errorf("the session heard %q, want %q", got, want)
	}
}

// reconnectAfterOf is the member that a CLOSE object may have.
func reconnectAfterOf(body string) (ms int64) {
	var o struct {
		ReconnectAfterMS int64 `json:"reconnect_after_ms"`
	}
	_ = json.Unmarshal([]byte(body), &o) // 0 then, which the test sees
	return o.ReconnectAfterMS
}
