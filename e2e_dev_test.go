package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// devProc is a running `holdfast dev` on free ports.
type devProc struct {
	*proc
	endpoint, admin, data string
	receive, send         []string // the two lines it printed, as arguments of holdfast
}

func startDevProcess(t *testing.T, args ...string) *devProc {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	p := start(t, nil, append([]string{"dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", data}, args...)...)
	d := &devProc{proc: p, data: data}
	d.receive = printedLine(p, `(?m)^.*? (chat --endpoint .* --receive .*)$`)
	d.send = printedLine(p, `(?m)^.*? (chat --endpoint .* --send .*)$`)
	d.endpoint = p.await(p.out, `(?m)^clients +(\S+)$`)[1]
	d.admin = p.await(p.out, `(?m)^admin +http://(\S+)`)[1]
	return d
}

// printedLine returns a line that a person would paste, as arguments.
func printedLine(p *proc, pattern string) []string {
	p.t.Helper()
	var args []string
	for _, m := range regexp.MustCompile(`'([^']*)'|(\S+)`).FindAllStringSubmatch(p.await(p.out, pattern)[1], -1) {
		args = append(args, m[1]+m[2])
	}
	return args
}

// token is the one in a printed line.
func token(args []string) string {
	for i, a := range args {
		if a == "--token" {
			return args[i+1]
		}
	}
	return ""
}

// awaitMetric waits until the admin address of a gateway shows a line.
func awaitMetric(t *testing.T, admin, line string) {
	t.Helper()
	awaitAdmin(t, admin, "/metrics", func(_ int, body string) bool { return strings.Contains("\n"+body, "\n"+line+"\n") }, line)
}

// awaitAdmin asks an admin path until ok.
func awaitAdmin(t *testing.T, admin, path string, ok func(status int, body string) bool, what string) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: patience}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		resp, err := client.Get("http://" + admin + path)
		if err != nil {
			continue // not listening yet
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if ok(resp.StatusCode, string(body)) {
			return
		}
	}
	t.Fatalf("%s%s never showed %s", admin, path, what)
}

// TestFirstMessage does what the README says: start dev, paste the two lines.
func TestFirstMessage(t *testing.T) {
	d := startDevProcess(t)
	receiver := start(t, nil, d.receive...)
	awaitMetric(t, d.admin, "holdfast_gateway_sessions_open 1")

	code, out, errs := holdfastProcess(t, nil, d.send...)
	var reply struct {
		MsgID string `json:"msg_id"`
		Seq   int    `json:"seq"`
	}
	if err := json.Unmarshal([]byte(out), &reply); code != 0 || err != nil || reply.MsgID == "" || reply.Seq != 1 {
		t.Fatalf("%v = %d, %q, %q (%v), want the reply as JSON", d.send, code, out, errs, err)
	}
	if code := receiver.wait(); code != 0 {
		t.Fatalf("the receiver exits with %d: %s", code, receiver.errs)
	}
	var got struct {
		MsgID   string `json:"msg_id"`
		From    string `json:"from"`
		To      string `json:"to"`
		Content string `json:"content"`
	}
	if err := json.Unmarshal([]byte(receiver.out.String()), &got); err != nil {
		t.Fatalf("received %q: %v", receiver.out, err)
	}
	if got.MsgID != reply.MsgID || got.From != "1001" || got.To != "1002" || got.Content != "hello from 1001" {
		t.Errorf("received %+v, want message %s from 1001 to 1002", got, reply.MsgID)
	}

	// It is stored too, for a device that was not there, with a token made by hand.
	code, out, errs = holdfastProcess(t, nil, "token", "--data", d.data, "--uid", "1002")
	if code != 0 || strings.Count(out, "\n") != 1 || errs != "" {
		t.Fatalf("token = %d, %q, %q, want one line", code, out, errs)
	}
	code, out, _ = holdfastProcess(t, nil, "chat", "--endpoint", d.endpoint, "--token", strings.TrimSpace(out), "--pull")
	if code != 0 || strings.Count(out, "\n") != 1 || !strings.Contains(out, reply.MsgID) {
		t.Errorf("chat --pull = %d, %q, want the one message", code, out)
	}
	d.checkPrivate()
}

// checkPrivate checks that nobody else may read the data folder.
func (d *devProc) checkPrivate() {
	d.t.Helper()
	err := filepath.WalkDir(d.data, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return nil // a journal that has just been removed
		}
		info, err := entry.Info()
		if err == nil && info.Mode()&os.ModeSocket == 0 && info.Mode().Perm()&0o077 != 0 {
			d.t.Errorf("%s has mode %v, want it private", path, info.Mode()) // sockets are kept by their folder
		}
		return nil
	})
	if err != nil {
		d.t.Error(err)
	}
}

// rawClient is a connection that does what the test says and nothing else.
type rawClient struct {
	t    *testing.T
	conn net.Conn
	buf  []byte
}

// connect opens a session and returns after WELCOME.
func connect(t *testing.T, endpoint, token string) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", endpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &rawClient{t: t, conn: conn}
	hello, err := wire.AppendHello(nil, &wire.Hello{Protocol: 1, Token: token, HasToken: true})
	if err != nil {
		t.Fatal(err)
	}
	c.send(&wire.Frame{Type: wire.TypeHello, Payload: hello})
	if f := c.next(); f.Type != wire.TypeWelcome {
		t.Fatalf("got %v %v %s, want WELCOME", f.Type, f.Code, f.Reason)
	}
	return c
}

func (c *rawClient) send(f *wire.Frame) {
	c.t.Helper()
	b, err := wire.AppendStream(nil, f)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// next returns the next frame. Its slices live until the one after.
func (c *rawClient) next() wire.Frame {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(patience)) // a failure shows in Read
	for {
		f, size, err := wire.ParseStream(c.buf, 1<<20, wire.FromGateway)
		if err == nil {
			c.buf = c.buf[size:]
			return f
		}
		more := make([]byte, 64<<10)
		n, err := c.conn.Read(more)
		if err != nil {
			c.t.Fatalf("read: %v", err)
		}
		c.buf = append(c.buf[:len(c.buf):len(c.buf)], more[:n]...)
	}
}

// TestTermDrains checks that one SIGTERM says goodbye to clients and exits with 0.
func TestTermDrains(t *testing.T) {
	d := startDevProcess(t)
	c := connect(t, d.endpoint, token(d.receive))
	d.signal(syscall.SIGTERM)
	if f := c.next(); f.Type != wire.TypeGoAway {
		t.Errorf("first frame after SIGTERM is %v, want GOAWAY", f.Type)
	}
	for {
		f := c.next() // a client that ignores GOAWAY
		if f.Type == wire.TypeClose {
			if f.Code != wire.CloseDraining {
				t.Errorf("CLOSE %v, want DRAINING", f.Code)
			}
			break
		}
	}
	if code := d.wait(); code != 0 {
		t.Errorf("exit code %d after a drain, want 0", code)
	}
	if _, err := os.Stat(filepath.Join(d.data, "run")); !os.IsNotExist(err) {
		t.Errorf("the sockets' folder is still there: %v", err)
	}
}

// TestSecondSignalExitsAtOnce checks that a drain which would take an hour is cut
// short, and that the admin address tells of it meanwhile.
func TestSecondSignalExitsAtOnce(t *testing.T) {
	d := startDevProcess(t, "--set", "drain_window=1h")
	connect(t, d.endpoint, token(d.receive))
	d.signal(syscall.SIGTERM)
	d.await(d.errs, `a second signal exits at once`)
	awaitAdmin(t, d.admin, "/readyz", func(status int, body string) bool {
		return status == http.StatusServiceUnavailable && strings.Contains(body, `{"part":"gateway","reason":"draining"}`)
	}, "the drain")
	d.signal(syscall.SIGTERM)
	if code := d.wait(); code != 143 {
		t.Errorf("exit code %d after the second SIGTERM, want 143", code)
	}
	d.await(d.errs, `(?m)^holdfast: SIGTERM again, exiting at once$`)

	// What it left behind does not hinder the next start.
	again := start(t, nil, "dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", d.data)
	again.await(again.out, `(?m)^clients `)
}
