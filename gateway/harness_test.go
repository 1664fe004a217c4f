package gateway_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/holdfast-io/holdfast/gateway"
	"github.com/holdfast-io/holdfast/gateway/admission"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// netpoll's pollers and the pools of Kitex and netpoll live as long as
		// the process, by their design.
		goleak.IgnoreAnyFunction("github.com/cloudwego/netpoll.(*defaultPoll).Wait"),
		goleak.IgnoreAnyFunction("github.com/bytedance/gopkg/util/gopool.(*worker).run.func1"),
		goleak.IgnoreAnyFunction("github.com/cloudwego/gopkg/concurrency/gopool.(*GoPool).workerloop"),
		goleak.IgnoreAnyFunction("github.com/cloudwego/gopkg/concurrency/gopool.(*GoPool).runTask"),
		goleak.IgnoreAnyFunction("github.com/cloudwego/kitex/client.(*timeoutPool).createWorker.func1"),
		goleak.IgnoreAnyFunction("github.com/cloudwego/kitex/client.(*timeoutPool).createTicker.func1"),
		goleak.IgnoreAnyFunction("github.com/cloudwego/kitex/pkg/loadbalance/lbcache.(*BalancerFactory).watcher"),
		goleak.IgnoreAnyFunction("github.com/cloudwego/kitex/pkg/utils.(*SharedTicker).Tick"),
		goleak.IgnoreAnyFunction("github.com/cloudwego/gopkg/gopool.(*GoPool).runTask"),
	)
}

// deadline bounds every wait of these tests. It is long because the machine may
// be loaded; a test that passes never comes near it.
const deadline = 20 * time.Second

// running is a gateway in the test's process with a dispatcher of the test's.
type running struct {
	t      *testing.T
	srv    *gateway.Server
	disp   *fakeDispatcher
	reg    *prometheus.Registry
	addr   string
	logs   *logLines
	stop   context.CancelFunc
	result chan error
}

// logLines keeps what is logged above Debug, and shows all with -v.
type logLines struct {
	slog.Handler
	mu    *sync.Mutex
	lines *[]string
}

func newLogLines() *logLines {
	w := io.Discard
	if testing.Verbose() {
		w = os.Stderr
	}
	return &logLines{Handler: slog.NewTextHandler(w, nil), mu: new(sync.Mutex), lines: new([]string)}
}

func (l *logLines) Handle(ctx context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	l.mu.Lock()
	*l.lines = append(*l.lines, line)
	l.mu.Unlock()
	return l.Handler.Handle(ctx, r)
}

func (l *logLines) WithAttrs(a []slog.Attr) slog.Handler {
	return &logLines{Handler: l.Handler.WithAttrs(a), mu: l.mu, lines: l.lines}
}

// take returns the lines since the last time.
func (l *logLines) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := *l.lines
	*l.lines = nil
	return lines
}

func start(t *testing.T, change ...func(*gateway.Config)) *running {
	t.Helper()
	cfg := gateway.DefaultConfig()
	cfg.Name = "gw-test"
	cfg.Listeners[0].Address = "127.0.0.1:0"
	cfg.RPC.Listen = "127.0.0.1:0"
	cfg.Drain.Window, cfg.Drain.DeregisterDelay = 0, 0
	cfg.Tick = 5 * time.Millisecond
	// What most tests are not about: who comes in, and sessions that outlive
	// their connection.
	cfg.Admission = admission.Unlimited()
	cfg.Session.ResumeTTL = 0
	cfg.Limits.KeptReplyBytes = 64 << 20
	for _, fn := range change {
		fn(&cfg)
	}
	r := &running{t: t, disp: newFakeDispatcher(), reg: prometheus.NewRegistry(), logs: newLogLines(), result: make(chan error, 1)}
	srv, err := gateway.New(cfg, slog.New(r.logs), r.reg)
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Listen(); err != nil {
		t.Fatal(err)
	}
	r.srv, r.addr = srv, srv.Addrs()[0].String()
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() { r.result <- srv.Run(ctx, r.disp) }()
	t.Cleanup(func() { r.end() })
	return r
}

// end stops the gateway and waits for it. It may be called twice.
func (r *running) end() {
	r.t.Helper()
	r.stop()
	select {
	case err := <-r.result:
		if err != nil {
			r.t.Errorf("Run = %v, want nil", err)
		}
		r.result <- nil
	case <-time.After(deadline):
		r.t.Fatal("Run does not return")
	}
}

// peer is a client that says what the test says, right or wrong.
type peer struct {
	t *testing.T
	net.Conn
	in  []byte
	buf []byte
}

func (r *running) dial() *peer {
	r.t.Helper()
	c, err := net.DialTimeout("tcp", r.addr, deadline)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return &peer{t: r.t, Conn: c, buf: make([]byte, 64<<10)}
}

// login dials and says HELLO with token; it returns after WELCOME.
func (r *running) login(token string) *peer {
	r.t.Helper()
	p := r.dial()
	p.send(hello(token))
	if f := p.next(); f.Type != wire.TypeWelcome {
		r.t.Fatalf("after HELLO came %s %s, want WELCOME", f.Type, describe(f))
	}
	return p
}

func hello(token string) wire.Frame {
	return helloJSON(fmt.Sprintf(`{"protocol":1,"token":%q}`, token))
}

func helloJSON(s string) wire.Frame { return wire.Frame{Type: wire.TypeHello, Payload: []byte(s)} }

func request(id uint32, command, payload string) wire.Frame {
	return wire.Frame{Type: wire.TypeRequest, ID: id, Command: []byte(command), Payload: []byte(payload)}
}

func (p *peer) send(frames ...wire.Frame) {
	p.t.Helper()
	var b []byte
	for i := range frames {
		var err error
		if b, err = wire.AppendStream(b, &frames[i]); err != nil {
			p.t.Fatalf("encode %s: %v", frames[i].Type, err)
		}
	}
	p.raw(b)
}

func (p *peer) raw(b []byte) {
	p.t.Helper()
	_ = p.SetWriteDeadline(time.Now().Add(deadline))
	if _, err := p.Write(b); err != nil {
		p.t.Fatalf("write: %v", err)
	}
}

// next returns the next frame; its slices are the test's.
func (p *peer) next() wire.Frame {
	p.t.Helper()
	f, err := p.read(deadline)
	if err != nil {
		p.t.Fatalf("read: %v", err)
	}
	return f
}

func (p *peer) read(within time.Duration) (wire.Frame, error) {
	_ = p.SetReadDeadline(time.Now().Add(within))
	for {
		f, size, err := wire.ParseStream(p.in, 1<<20, wire.FromGateway)
		if err == nil {
			f.Payload, f.Command, f.Reason = bytes.Clone(f.Payload), bytes.Clone(f.Command), bytes.Clone(f.Reason)
			p.in = p.in[size:]
			return f, nil
		}
		if !errors.Is(err, wire.ErrIncomplete) {
			return wire.Frame{}, err
		}
		n, err := p.Conn.Read(p.buf)
		if err != nil {
			return wire.Frame{}, err
		}
		p.in = append(p.in, p.buf[:n]...)
	}
}

// wantClose reads up to CLOSE, wants this code, and then the end of the stream
// and not a reset. It returns the frames before CLOSE.
func (p *peer) wantClose(code wire.CloseCode) (before []wire.Frame) {
	p.t.Helper()
	for {
		f := p.next()
		if f.Type != wire.TypeClose {
			before = append(before, f)
			continue
		}
		if f.Code != code {
			p.t.Errorf("CLOSE %d %s (%q), want %d %s", f.Code, f.Code, f.Reason, code, code)
		}
		break
	}
	if f, err := p.read(deadline); !errors.Is(err, io.EOF) {
		p.t.Errorf("after CLOSE came %s %v, want the end of the stream", f.Type, err)
	}
	return before
}

// wantEcho proves that the session works.
func (p *peer) wantEcho(id uint32) {
	p.t.Helper()
	p.send(request(id, "echo.say", "still here"))
	f := p.next()
	if f.Type != wire.TypeReply || f.ID != id || f.Status != wire.StatusOK || string(f.Payload) != "still here" {
		p.t.Errorf("echo %d = %s %s, want a REPLY with the payload", id, f.Type, describe(f))
	}
}

func describe(f wire.Frame) string {
	return fmt.Sprintf("id=%d seq=%d status=%s flags=%d code=%d reason=%q payload=%.200q",
		f.ID, f.Seq, f.Status, f.Flags, f.Code, f.Reason, f.Payload)
}

func decode[T any](t *testing.T, b []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("decode %q: %v", b, err)
	}
	return v
}

// length is a frame's prefix.
func length(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// frame is raw bytes behind their length.
func frame(b ...byte) []byte { return append(length(uint32(len(b))), b...) }

// eventually waits for what happens on another goroutine.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}
