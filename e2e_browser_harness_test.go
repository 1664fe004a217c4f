package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// browser is a headless chromium with one page open.
type browser struct {
	t   *testing.T
	ctx context.Context // of the page; lives as long as the test
}

// startChromium starts a browser of the test's own, which trusts certificates with
// the key of cert as if an authority had signed them. chromedp gives it a data
// folder, ends it with the test, and has the kernel end it if the tests are killed.
func startChromium(t *testing.T, cert testenv.Cert) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(testenv.Chromium(t)), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("headless", "new"), chromedp.Flag("no-proxy-server", true))
	if cert.CertFile != "" {
		options = append(options, chromedp.Flag("ignore-certificate-errors-spki-list", keyHash(t, cert.CertFile)))
	}
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(end) // waits until it is gone
	ctx, leave := chromedp.NewContext(allocator)
	t.Cleanup(leave)
	return &browser{t: t, ctx: ctx}
}

// keyHash is the name of a certificate's key for chromium.
func keyHash(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// visit loads a page and returns when its scripts have run.
func (b *browser) visit(url string) {
	b.t.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Navigate(url)); err != nil {
		b.t.Fatalf("visit %s: %v", url, err)
	}
	b.eval(nil, `new Promise(loaded => { (function look() { window.drive ? loaded(true) : setTimeout(look, 10) })() })`)
}

// eval runs an expression in the page, waits for its promise, and decodes the value
// into out.
func (b *browser) eval(out any, expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	raw, err := chromedp.Run(ctx, chromedp.Evaluate[[]byte](expression, chromedp.EvalAwaitPromise))
	if err == nil && out != nil {
		err = json.Unmarshal(raw, out)
	}
	if err != nil {
		b.t.Fatalf("in the page: %s: %v", expression, err)
	}
}

// call is eval of a function of testdata/browser/drive.js with these arguments.
func (b *browser) call(out any, function string, args ...any) {
	b.t.Helper()
	text, err := json.Marshal(append([]any{}, args...))
	if err != nil {
		b.t.Fatal(err)
	}
	b.eval(out, fmt.Sprintf("drive.%s(...%s)", function, text))
}

// servePage serves the test's page, with the example of docs/browser.js, from an
// address of this machine, and returns its origin.
func servePage(t *testing.T, host string) string {
	t.Helper()
	mux := http.NewServeMux()
	for path, file := range map[string]string{
		"/": "testdata/browser/page.html", "/drive.js": "testdata/browser/drive.js", "/browser.js": "docs/browser.js",
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			http.ServeFile(w, r, filepath.FromSlash(file))
		})
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: ln, Config: &http.Server{Handler: mux, ReadHeaderTimeout: patience}}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

// room is a backend in this process: users send each other what they like, and it
// counts how often it ran what.
type room struct {
	*kit.Server
	addr string

	mu     sync.Mutex
	ran    map[string]map[int]int // uid -> n -> how often msg.run came
	logins int
	events map[kit.EventKind]int
	at     string // the gateway
}

func startRoom(t *testing.T) *room {
	t.Helper()
	r := &room{ran: map[string]map[int]int{}, events: map[kit.EventKind]int{}}
	cfg := kit.DefaultConfig()
	cfg.Service, cfg.Listen, cfg.DrainNotice = "logic", "127.0.0.1:0", 0
	var err error
	r.Server, err = kit.New(cfg, kit.Backend{Connect: r.connect, Handle: r.handle, Events: r.heard},
		slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	<-r.Ready()
	r.addr = r.Addr().String()
	return r
}

// connect takes a token as the uid, but for two.
func (r *room) connect(_ context.Context, l kit.Login) (kit.Identity, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.logins++
	r.at = l.Session.Gateway
	switch l.Token {
	case "stranger":
		return kit.Identity{}, kit.Refuse(kit.CloseUnauthenticated, "nobody knows you", 0)
	case "late":
		return kit.Identity{}, kit.Refuse(kit.CloseOverloaded, "come back later", 1500*time.Millisecond)
	}
	return kit.Identity{UID: l.Token}, nil
}

func (r *room) heard(_ context.Context, events []kit.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range events {
		r.events[e.Kind]++
	}
	return nil
}

// handle runs msg.say (its payload comes back), msg.run (counted, and takes a while),
// msg.fail, and msg.to (a push to somebody else).
func (r *room) handle(ctx context.Context, p kit.Packet) ([]byte, error) {
	var req struct {
		N, MS    int
		To       string
		Reliable bool
	}
	if p.Command == "msg.run" || p.Command == "msg.to" {
		if err := json.Unmarshal(p.Payload, &req); err != nil {
			return nil, kit.Fail(kit.InvalidArgument, err.Error())
		}
	}
	switch p.Command {
	case "msg.run":
		r.mu.Lock()
		if r.ran[p.UID] == nil {
			r.ran[p.UID] = map[int]int{}
		}
		r.ran[p.UID][req.N]++
		r.mu.Unlock()
		time.Sleep(time.Duration(req.MS) * time.Millisecond)
	case "msg.fail":
		return nil, kit.FailPayload(kit.FailedPrecondition, p.Payload)
	case "msg.to":
		result, err := r.Pusher().Push(ctx, p.Gateway, kit.Push{
			To: kit.ToUID(req.To), Command: "msg.new", Payload: p.Payload, Reliable: req.Reliable, Order: req.To,
		})
		if err != nil || result.Delivered != 1 {
			return nil, kit.Fail(kit.NotFound, fmt.Sprintf("%+v %v", result, err))
		}
	}
	return p.Payload, nil
}

// countLogins is how many logins there were.
func (r *room) countLogins() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.logins
}

// browserEdge is a gateway that speaks everything on one port, and a network before
// it.
type browserEdge struct {
	*edgeGateway
	*testenv.Proxy
	room *room
	cert testenv.Cert
	page string // the origin that may connect
}

// startBrowserEdge starts it with further settings, key=value, after looking for the
// browser that it is for.
func startBrowserEdge(t *testing.T, set ...string) *browserEdge {
	t.Helper()
	testenv.Chromium(t)
	address := testenv.FreeAddress(t)
	e := &browserEdge{
		room: startRoom(t), cert: testenv.NewCA(t).Issue("127.0.0.1"), page: servePage(t, "127.0.0.1"),
		Proxy: testenv.StartProxy(t, address),
	}
	all := map[string]string{
		"listeners[0].transports": "tcp,ws,poll,sse,tls,wss,polls,sses",
		"listeners[0].address":    address, "listeners[0].advertise": e.Proxy.Addr,
		"listeners[0].tls.certificates[1].cert": e.cert.CertFile, "listeners[0].tls.certificates[1].key": e.cert.KeyFile,
		"origins": e.page, "drain.deregister_delay": "0s", "drain.window": "1s",
	}
	for _, one := range set {
		key, value, _ := strings.Cut(one, "=")
		all[key] = value
	}
	e.edgeGateway = startSample(t, "gateway.edge.yaml", e.room.addr, e.cert, all)
	e.endpoint = address
	return e
}
