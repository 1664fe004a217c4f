package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// chatPeer is a gateway and a backend for one connection: it keeps what is sent
// and pulls two at a time, refuses the token "bad", and the message "fail".
type chatPeer struct {
	t        *testing.T
	listener net.Listener
	wg       sync.WaitGroup
	pushes   []string // msg.new payloads that the client gets after WELCOME
	pull     string   // answers every msg.pull; empty: five stored messages do
	tls      *tls.Config

	mu   sync.Mutex
	sent []outgoing // guarded by mu
}

func startChatPeer(t *testing.T, pushes ...string) *chatPeer {
	return (&chatPeer{t: t, pushes: pushes}).start()
}

func (p *chatPeer) start() *chatPeer {
	t := p.t
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if p.tls != nil {
		listener = tls.NewListener(listener, p.tls)
	}
	p.listener = listener
	p.wg.Go(func() {
		conn, err := listener.Accept()
		if err == nil {
			p.serve(conn)
			conn.Close()
		}
	})
	t.Cleanup(func() {
		listener.Close()
		p.wg.Wait()
	})
	return p
}

func (p *chatPeer) serve(conn net.Conn) {
	reader := bufio.NewReader(conn)
	for {
		head, err := reader.Peek(4)
		if err != nil {
			return
		}
		b := make([]byte, 4+int(head[2])<<8+int(head[3])) // no test sends 64 KiB
		if _, err := io.ReadFull(reader, b); err != nil {
			return
		}
		f, _, err := wire.ParseStream(b, wire.FrameBytesMax, wire.FromClient)
		if err != nil {
			p.t.Errorf("from chat: %v", err)
			return
		}
		for _, answer := range p.answer(f) {
			b, err := wire.AppendStream(nil, &answer)
			if err != nil {
				p.t.Errorf("script: %v", err)
			}
			conn.Write(b)
			if answer.Type == wire.TypeClose {
				return
			}
		}
		if f.Type == wire.TypeClose {
			return
		}
	}
}

// answer is what the gateway says to f.
func (p *chatPeer) answer(f wire.Frame) (out []wire.Frame) {
	switch {
	case f.Type == wire.TypeHello:
		if h, _ := wire.ParseHello(f.Payload); h.Token == "bad" {
			return []wire.Frame{{Type: wire.TypeClose, Code: wire.CloseUnauthenticated, Reason: []byte("token: bad")}}
		}
		welcome := wire.Welcome{Session: "s", Secret: "x", UID: "1001", Window: 8, MaxFrame: 65536}
		out = append(out, wire.Frame{Type: wire.TypeWelcome, Payload: wire.AppendWelcome(nil, &welcome)})
		for i, payload := range p.pushes {
			out = append(out, wire.Frame{Type: wire.TypePush, Seq: uint64(i + 1), Command: []byte("msg.new"), Payload: []byte(payload)})
		}
		out = append(out, wire.Frame{Type: wire.TypePush, Command: []byte("$expiring"), Payload: []byte(`{}`)})
	case f.Type == wire.TypeRequest && string(f.Command) == "msg.send":
		out = append(out, p.keep(f))
	case f.Type == wire.TypeRequest && string(f.Command) == "msg.pull":
		out = append(out, wire.Frame{Type: wire.TypeReply, ID: f.ID, Payload: p.page(f.Payload)})
	}
	return out
}

func (p *chatPeer) keep(f wire.Frame) wire.Frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	var m outgoing
	if err := json.Unmarshal(f.Payload, &m); err != nil || m.Type != "text" || len(m.ClientMsgID) < 16 {
		p.t.Errorf("msg.send %s: %v", f.Payload, err)
	}
	if m.Content == "fail" {
		why := wire.AppendErrorPayload(nil, &wire.ErrorPayload{Message: "no instance", Reason: "vacant"})
		return wire.Frame{Type: wire.TypeReply, ID: f.ID, Status: wire.StatusUnavailable, Flags: wire.FlagOriginGateway, Payload: why}
	}
	p.sent = append(p.sent, m)
	return wire.Frame{Type: wire.TypeReply, ID: f.ID, Payload: fmt.Appendf(nil, "{\n \"seq\": %d}", len(p.sent))}
}

// page answers msg.pull from five stored messages, two at a time.
func (p *chatPeer) page(request []byte) []byte {
	if p.pull != "" {
		return []byte(p.pull)
	}
	var q struct{ After int }
	if err := json.Unmarshal(request, &q); err != nil {
		p.t.Errorf("msg.pull %s: %v", request, err)
	}
	items := []string{}
	for n := q.After + 1; n <= 5 && len(items) < 2; n++ {
		items = append(items, storedItem(n))
	}
	return fmt.Appendf(nil, `{"items":[%s],"more":%v}`, strings.Join(items, ","), q.After+2 < 5)
}

func storedItem(n int) string {
	return fmt.Sprintf(`{"position":%d,"from":"1002","to":"1001","content":"m%d","time_ms":0}`, n, n)
}

func (p *chatPeer) texts() (out []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.sent {
		out = append(out, m.To+":"+m.Content)
	}
	return out
}

// chat runs the command against p, which may be nil.
func (p *chatPeer) chat(ctx context.Context, in io.Reader, args ...string) (out, errs string, err error) {
	var o, e bytes.Buffer
	cmd := newChatCommand()
	strict(cmd)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	if p != nil {
		args = append([]string{"--endpoint", p.listener.Addr().String()}, args...)
	}
	cmd.SetArgs(args)
	cmd.SetIn(in)
	cmd.SetOut(&o)
	cmd.SetErr(&e)
	err = cmd.ExecuteContext(ctx)
	return o.String(), e.String(), err
}

var noInput = strings.NewReader("")

func TestChatSend(t *testing.T) {
	p := startChatPeer(t)
	out, errs, err := p.chat(t.Context(), noInput, "--token", "t", "--to", "1002", "--send", "hello")
	if err != nil || out != "{\"seq\":1}\n" || errs != "" {
		t.Errorf("chat --send = %q, %q, %v, want the reply on one line", out, errs, err)
	}
	if got := p.texts(); len(got) != 1 || got[0] != "1002:hello" {
		t.Errorf("sent %v, want 1002:hello", got)
	}
}

func TestChatReceive(t *testing.T) {
	p := startChatPeer(t, "{\"content\":\n\"a\"}", `no json`, `{"content":"c"}`)
	out, _, err := p.chat(t.Context(), noInput, "--token", "t", "--receive", "2")
	if err != nil || out != "{\"content\":\"a\"}\n\"no json\"\n" {
		t.Errorf("chat --receive 2 = %q, %v, want the first two, a line each", out, err)
	}
}

func TestChatReceiveTimesOut(t *testing.T) {
	p := startChatPeer(t, `{"content":"a"}`)
	out, _, err := p.chat(t.Context(), noInput, "--token", "t", "--receive", "2", "--timeout", "50ms")
	if out != "{\"content\":\"a\"}\n" || err == nil || err.Error() != "received 1 of 2: --timeout has passed" || isUsage(err) {
		t.Errorf("chat --receive 2 = %q, %v, want one, and that time has passed", out, err)
	}
}

// TestChatAll pulls, sends, then receives.
func TestChatAll(t *testing.T) {
	p := startChatPeer(t, `{"content":"pushed"}`)
	out, _, err := p.chat(t.Context(), noInput, "--token", "t", "--to", "1002", "--receive", "1", "--send", "x", "--pull", "--after", "1")
	want := storedItem(2) + "\n" + storedItem(3) + "\n" + storedItem(4) + "\n" + storedItem(5) + "\n{\"seq\":1}\n{\"content\":\"pushed\"}\n"
	if err != nil || out != want {
		t.Errorf("chat = %v\n%s\nwant\n%s", err, out, want)
	}
}

// TestChatFails: one line that says what went wrong, and no usage error.
func TestChatFails(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for _, tt := range []struct{ args, want string }{
		{"--token bad --to 1002 --send x", "4502 UNAUTHENTICATED: token: bad"},
		{"--token t --to 1002 --send fail", "msg.send: client: gateway answered UNAVAILABLE (vacant): no instance"},
		{"--token t --receive 1 --endpoint " + closed.Addr().String(), "refused"},
		{"--token @/nonexistent/file --pull", "token: open /nonexistent/file"},
		{"--token - --pull", "token: - has none in its first line"},
		{"--token t --pull --ca /nonexistent/ca.pem", "ca: open /nonexistent/ca.pem"},
		{"--token t --pull --ca /dev/null", "ca: /dev/null has no certificate"},
	} {
		var p *chatPeer
		if !strings.Contains(tt.args, "--endpoint") {
			p = startChatPeer(t)
		}
		out, _, err := p.chat(t.Context(), noInput, strings.Fields(tt.args)...)
		if err == nil || isUsage(err) || out != "" || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("chat %s = %q, %v, want one line with %q", tt.args, out, err, tt.want)
		}
	}
}

// TestChatTLS: the certificate is verified, by the system's authorities, those of
// --ca, or not at all.
func TestChatTLS(t *testing.T) {
	ca := testenv.NewCA(t)
	cert := ca.Issue("127.0.0.1")
	for args, want := range map[string]string{
		"":                "certificate",
		"--ca " + ca.File: "",
		"--insecure":      "",
	} {
		pair, err := tls.LoadX509KeyPair(cert.CertFile, cert.KeyFile)
		if err != nil {
			t.Fatal(err)
		}
		p := (&chatPeer{t: t, tls: &tls.Config{Certificates: []tls.Certificate{pair}}}).start()
		args += " --token t --pull --endpoint tls://" + p.listener.Addr().String()
		out, _, err := (*chatPeer)(nil).chat(t.Context(), noInput, strings.Fields(args)...)
		switch {
		case want == "" && (err != nil || strings.Count(out, "\n") != 5):
			t.Errorf("chat %s = %q, %v, want five messages", args, out, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("chat %s = %q, %v, want %q", args, out, err, want)
		}
	}
}

func TestChatUsage(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"", "--token"},
		{"--token t", "--to"},
		{"--token t --send x", "--to"},
		{"--token t --receive 0", "--receive"},
		{"--token t --receive x", "receive"},
		{"--token t --pull --after -1", "--after"},
		{"--token t --receive 1 --after 1", "--after"},
		{"--token t --pull --timeout 0s", "--timeout"},
		{"--token t --pull --endpoint nowhere", "--endpoint"},
		{"--token t --pull --endpoint sse://127.0.0.1:1", "--endpoint"},
		{"--token t --pull --ca a --insecure", "--ca"},
		{"--token t --pull more", "unknown command"},
	} {
		_, _, err := (*chatPeer)(nil).chat(t.Context(), noInput, strings.Fields(tt.args)...)
		if err == nil || !isUsage(err) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("chat %s = %v, want a usage error about %s", tt.args, err, tt.want)
		}
	}
}

func TestChatTokenSources(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("  abc \nnot this\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(strings.NewReader("def\r\nfirst line of the chat\n"))
	for from, want := range map[string]string{"ghi": "ghi", "@" + file: "abc", "-": "def"} {
		if got, err := chatToken(from, in); got != want || err != nil {
			t.Errorf("chatToken(%q) = %q, %v, want %q", from, got, err, want)
		}
	}
	if rest, _ := io.ReadAll(in); string(rest) != "first line of the chat\n" {
		t.Errorf("left behind the token: %q", rest)
	}
	long := bufio.NewReader(strings.NewReader(strings.Repeat("x", chatTokenBytesMax+1)))
	if _, err := chatToken("-", long); err == nil {
		t.Error("a token without an end is accepted")
	}
}

// TestChatByLine sends lines, shows what comes without its control characters,
// and leaves at the end of the input.
func TestChatByLine(t *testing.T) {
	p := startChatPeer(t)
	in := strings.NewReader("tok\nhello\n\n//me waves\n/pull\n/nosuch\nfail\n/help\nbye\n")
	out, errs, err := p.chat(t.Context(), in, "--token", "-", "--to", "1002", "--after", "4")
	if err != nil {
		t.Errorf("chat = %v, want nil at the end of the input", err)
	}
	if got := strings.Join(p.texts(), " "); got != "1002:hello 1002:/me waves 1002:bye" {
		t.Errorf("sent %s", got)
	}
	if want := " 1002: m5\n"; strings.Count(out, "\n") != 1 || !strings.HasSuffix(out, want) {
		t.Errorf("printed %q, want one line that ends in %q", out, want)
	}
	for _, want := range []string{"* 1001 at tcp://", "* there is no /nosuch", "* not sent: msg.send: ", "* /pull shows"} {
		if !strings.Contains(errs, want) {
			t.Errorf("remarks %q, want %q among them", errs, want)
		}
	}
}

// TestChatShowsPushes keeps the input open until the pushes are on the screen.
func TestChatShowsPushes(t *testing.T) {
	p := startChatPeer(t,
		`{"position":1,"from":"1002","to":"1001","content":"hi\u001b[2J","time_ms":0}`,
		`{"position":2,"from":"1001","to":"1003","content":"from my phone","time_ms":0}`)
	screen := &screen{shown: make(chan struct{}, 16)}
	in, keyboard := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- runChat(t.Context(), chatFlags{
			endpoints: []string{p.listener.Addr().String()}, token: "t", to: "1002", timeout: time.Minute,
		}, chatStreams{in: bufio.NewReader(in), out: screen, errs: io.Discard})
	}()
	<-screen.shown
	<-screen.shown
	fmt.Fprintln(keyboard, "/quit")
	if err := <-done; err != nil {
		t.Errorf("chat = %v", err)
	}
	keyboard.Close()
	got := screen.text.String()
	if !strings.Contains(got, " 1002: hi\uFFFD[2J\n") || !strings.Contains(got, " me to 1003: from my phone\n") {
		t.Errorf("printed %q", got)
	}
}

// screen says when a line was printed.
type screen struct {
	text  bytes.Buffer
	shown chan struct{}
}

func (s *screen) Write(b []byte) (int, error) {
	s.text.Write(b)
	s.shown <- struct{}{}
	return len(b), nil
}

// TestChatInterrupted: ctrl-C leaves a chat without complaint, and ends waiting
// for messages as the signal it is.
func TestChatInterrupted(t *testing.T) {
	shown := []string{`{"content":"shown at once"}`}
	for _, tt := range []struct {
		flags chatFlags
		want  error
	}{
		{chatFlags{to: "1002"}, nil},
		{chatFlags{receives: true, receive: 2}, context.Canceled},
	} {
		p := startChatPeer(t, shown...)
		ctx, cancel := context.WithCancelCause(t.Context())
		in, keyboard := io.Pipe()
		out := &screen{shown: make(chan struct{}, 16)}
		tt.flags.endpoints, tt.flags.token, tt.flags.timeout = []string{p.listener.Addr().String()}, "t", time.Minute
		done := make(chan error, 1)
		go func() {
			done <- runChat(ctx, tt.flags, chatStreams{in: bufio.NewReader(in), out: out, errs: io.Discard})
		}()
		<-out.shown
		cancel(stopSignal{2})
		if err := <-done; !errors.Is(err, tt.want) {
			t.Errorf("chat %+v interrupted = %v, want %v", tt.flags, err, tt.want)
		}
		keyboard.Close()
	}
}

// TestChatInputTooLong is told, not taken for the end.
func TestChatInputTooLong(t *testing.T) {
	p := startChatPeer(t)
	in := strings.NewReader(strings.Repeat("x", chatLineBytesMax+1))
	if _, _, err := p.chat(t.Context(), in, "--token", "t", "--to", "1002"); err == nil || len(p.texts()) > 0 {
		t.Errorf("chat with an endless line = %v, sent %d", err, len(p.texts()))
	}
}

// TestChatPullChecksPages: a backend that repeats itself must not keep chat in a
// loop.
func TestChatPullChecksPages(t *testing.T) {
	for _, reply := range []string{`{"items":[],"more":true}`, `{"items":[{"position":0}],"more":true}`, `[]`, `{"items":[1]}`} {
		p := (&chatPeer{t: t, pull: reply}).start()
		_, _, err := p.chat(t.Context(), noInput, "--token", "t", "--pull")
		if err == nil || !strings.HasPrefix(err.Error(), "msg.pull: ") {
			t.Errorf("msg.pull answered %s: %v, want an error", reply, err)
		}
	}
}
