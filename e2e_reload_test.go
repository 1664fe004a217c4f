package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/configs"
	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// reloaded is a gateway whose file the test changes. It denies 127.0.0.66, so a
// configuration that is lost opens a door.
type reloaded struct {
	t        *testing.T
	file     string
	text     string // of the file, as it was at the start
	ca       *testenv.CA
	cert     testenv.Cert
	witness  *witness
	gateway  *proc
	endpoint string // plain
	secure   string // TLS
	admin    string
	answers  int // attempts that the log has told of
}

func startReloaded(t *testing.T) *reloaded {
	t.Helper()
	r := &reloaded{
		t: t, file: filepath.Join(t.TempDir(), "gateway.yaml"), ca: testenv.NewCA(t), witness: startWitness(t),
		endpoint: testenv.FreeAddress(t), secure: testenv.FreeAddress(t), admin: testenv.FreeAddress(t),
	}
	r.cert = r.ca.Issue("gw.test")
	r.text = fmt.Sprintf(`# A gateway that is told to read this again and again.
name: gw-1
listeners:
  - transports: [tcp, ws, poll, sse]
    address: %s
  - transports: [tls, wss, polls, sses]
    address: %s
    tls:
      certificates:
        - {cert: %s, key: %s}
origins: ["https://good.example"]
rpc: {listen: "127.0.0.1:0"}
drain: {deregister_delay: 0s, window: 1s}
session: {hello_timeout: 8s, resume_ttl: 60s}
admission:
  connections_per_address: {max: 64}
  deny: [127.0.0.66]
reload: {watch: 0s}
dispatcher:
  services:
    - name: logic
      timeout: 2s
      instances:
        - {id: logic-0, slot: 0, address: "%s"}
  routes:
    - {prefix: msg., service: logic}
    - {prefix: echo., service: logic}
  login: {service: logic}
admin: {listen: "%s"}
log: {level: info}
`, r.endpoint, r.secure, r.cert.CertFile, r.cert.KeyFile, r.witness.addr, r.admin)
	writeText(t, r.file, r.text)
	r.gateway = start(t, nil, "gateway", "--config", r.file)
	r.gateway.await(r.gateway.errs, `msg="instance answers"`)
	return r
}

// reloadSaid is the line of the log about one attempt.
var reloadSaid = regexp.MustCompile(`msg="configuration ((?:applied|unchanged|rejected).*)\n`)

// reload puts text in the file's place, sends SIGHUP and returns what the log says
// of it, which begins with applied, unchanged or rejected.
func (r *reloaded) reload(text string) string {
	r.t.Helper()
	writeText(r.t, r.file+".new", text)
	if err := os.Rename(r.file+".new", r.file); err != nil {
		r.t.Fatal(err)
	}
	r.gateway.signal(syscall.SIGHUP)
	r.answers++
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if said := reloadSaid.FindAllStringSubmatch(r.gateway.errs.String(), -1); len(said) >= r.answers {
			return said[r.answers-1][1]
		}
	}
	r.t.Fatalf("no word of reload %d", r.answers)
	return ""
}

// expect reloads and checks what becomes of it.
func (r *reloaded) expect(text, want, said string) {
	r.t.Helper()
	if got := r.reload(text); !strings.HasPrefix(got, want) || !strings.Contains(got, said) {
		r.t.Errorf("the log says %q, want %s and %q", got, want, said)
	}
}

// with is the file with one text in place of another.
func (r *reloaded) with(pairs ...string) string {
	r.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(r.text, pairs[i]) {
			r.t.Fatalf("the file has no %q", pairs[i])
		}
	}
	return strings.NewReplacer(pairs...).Replace(r.text)
}

// enters tells whether a client from an address is let in.
func (r *reloaded) enters(from string) bool {
	r.t.Helper()
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).Dial("tcp", r.endpoint)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	return login(conn, "uid of "+from) == nil
}

// origin tells whether a page of an origin may call.
func (r *reloaded) origin(origin string) bool {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodOptions, "http://"+r.endpoint+"/v1/poll", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Origin", origin)
	req.Header.Set("Access-Control-Request-Method", "POST")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.Header.Get("Access-Control-Allow-Origin") == origin
}

// asBefore checks that the gateway does what its first file says.
func (r *reloaded) asBefore(after string) {
	r.t.Helper()
	if !r.enters("127.0.0.1") {
		r.t.Errorf("after %s a client is refused", after)
	}
	if r.enters("127.0.0.66") {
		r.t.Errorf("after %s a client whom the configuration denies is let in", after)
	}
	if !r.origin("https://good.example") || r.origin("https://bad.example") {
		r.t.Errorf("after %s the origins are others", after)
	}
}

// TestReloadOfTheEdge changes what a running gateway can take, at SIGHUP.
func TestReloadOfTheEdge(t *testing.T) {
	r := startReloaded(t)
	r.asBefore("the start")
	r.expect(r.text, "unchanged", "SIGHUP")

	r.expect(r.with("127.0.0.66", "127.0.0.67", "good.example", "other.example"), "applied", "SIGHUP")
	if !r.enters("127.0.0.66") || r.enters("127.0.0.67") {
		t.Error("the new list of denied addresses is not in force")
	}
	if r.origin("https://good.example") || !r.origin("https://other.example") {
		t.Error("the new list of origins is not in force")
	}
	r.expect(r.with("level: info", "level: debug", "name: gw-1", "name: gw-2"), "applied", "")
	r.gateway.await(r.gateway.errs, `level=WARN msg="changed, but needs a restart to take effect" keys="name, log.level"`)
	r.expect(r.text, "unchanged", "")
	r.asBefore("the return to the first file")
}

// TestReloadIsAllOrNothing changes something good together with something bad.
func TestReloadIsAllOrNothing(t *testing.T) {
	r := startReloaded(t)
	open := []string{"127.0.0.66", "127.0.0.67", "good.example", "bad.example"} // what must not come into force
	tests := []struct {
		name, said string
		change     []string
	}{
		{"a value that cannot be", "drain.window", []string{"window: 1s", "window: -1s"}},
		{"a key that nobody reads", "hello_timout", []string{"hello_timeout", "hello_timout"}},
		{"no YAML", "gateway.yaml:", []string{"name: gw-1", "name: [gw-1"}},
		{"what the dispatcher cannot take", "dispatcher config: services[0].timeout", []string{"timeout: 2s", "timeout: 3s"}},
		{"a route to nowhere", "dispatcher.routes[1].service", []string{"prefix: echo., service: logic", "prefix: echo., service: nobody"}},
		{"an origin that is none", "origins[1]", []string{`"]`, `", "nonsense"]`}},
	}
	for _, tt := range tests {
		r.expect(r.with(append(slices.Clone(open), tt.change...)...), "rejected", tt.said)
		r.asBefore(tt.name)
	}
	key, err := os.ReadFile(r.cert.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	writeText(t, r.cert.KeyFile, "no key")
	r.expect(r.with(open...), "rejected", "tls.certificates")
	r.asBefore("a certificate without a key")
	writeText(t, r.cert.KeyFile, string(key))
	r.expect("# nothing\n", "rejected", "has no keys any more")
	r.asBefore("an empty file")
	awaitMetric(t, r.admin, "holdfast_config_last_reload_good 0")
	r.expect(r.text, "unchanged", "")
	awaitMetric(t, r.admin, "holdfast_config_last_reload_good 1")
}

// TestMutatedReloads holds the gateway to its configuration through 200 files that
// are broken at random: cut short, garbled, with lines that are lost or doubled. A
// client that is connected stays and is answered.
func TestMutatedReloads(t *testing.T) {
	const wanted = 200
	r := startReloaded(t)
	c := connect(t, r.endpoint, "stays")
	random := rand.New(rand.NewPCG(27, 200))
	scratch := filepath.Join(t.TempDir(), "gateway.yaml")
	valid := 0
	for n := 1; n <= wanted; {
		text := mutate(random, r.text)
		writeText(t, scratch, text)
		if configs.Check(configs.RoleGateway, configs.Sources{File: scratch, Again: true}) == nil {
			valid++ // a changed comment, say, or a line less
			continue
		}
		if got := r.reload(text); !strings.HasPrefix(got, "rejected") {
			t.Fatalf("the log says %q of\n%s", got, text)
		}
		if status, _ := c.say(uint32(n), "echo.say", `1`); status != wire.StatusOK {
			t.Fatalf("after %d reloads a request is answered %v", n, status)
		}
		if n%20 == 0 {
			r.asBefore(fmt.Sprint(n, " reloads"))
		}
		n++
	}
	r.expect(r.text, "unchanged", "")
	r.asBefore("all of them")
	testenv.Figure(t, "P27", "%d broken configurations rejected, the old one kept each time (%d that still said something valid were not tried)", wanted, valid)
}

// mutate breaks a file as editors, templates and full disks do.
func mutate(random *rand.Rand, text string) string {
	lines := strings.SplitAfter(text, "\n")
	at := random.IntN(len(lines) - 1)
	switch random.IntN(6) {
	case 0: // cut short
		return text[:1+random.IntN(len(text)-1)]
	case 1: // a line lost
		return strings.Join(slices.Delete(lines, at, at+1), "")
	case 2: // a line twice
		return strings.Join(slices.Insert(lines, at, lines[at]), "")
	case 3: // garbled
		b := []byte(text)
		for range 1 + random.IntN(8) {
			b[random.IntN(len(b))] = byte(random.IntN(256))
		}
		return string(b)
	case 4: // a value that is another
		values := []string{"-1", "x", "null", "[]", "{}", "99999999999h", "1e99", "\x00", "%s", "\"", "yes: no: maybe"}
		key, _, _ := strings.Cut(lines[at], ":")
		lines[at] = key + ": " + values[random.IntN(len(values))] + "\n"
		return strings.Join(lines, "")
	default: // one step to the right or the left
		if rest, ok := strings.CutPrefix(lines[at], " "); ok && random.IntN(2) == 0 {
			lines[at] = rest
		} else {
			lines[at] = " " + lines[at]
		}
		return strings.Join(lines, "")
	}
}

// TestCertificateSwapsUnderLoad replaces the certificate 20 times while clients
// come; some of the pairs are broken for a moment.
func TestCertificateSwapsUnderLoad(t *testing.T) {
	const swaps = 20
	r := startReloaded(t)
	config := r.ca.Client("gw.test", "holdfast.v1")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	v, done := &visits{}, make(chan struct{})
	go func() {
		defer close(done)
		v.every(ctx, 10*time.Millisecond, func(ctx context.Context) (net.Conn, error) {
			return edgeDialer{from: fmt.Sprintf("127.0.0.%d", 2+rand.N(60)), config: config}.dial(ctx, r.secure)
		})
	}()
	for n := range swaps {
		v.await(t, 25)
		if n%4 == 0 {
			writeText(t, r.cert.CertFile, "half a certifi")
			r.expect(r.text, "rejected", "tls.certificates")
		}
		next := r.ca.IssueTo(r.cert.CertFile, r.cert.KeyFile, "gw.test")
		r.expect(r.text, "unchanged", "SIGHUP")
		conn, err := edgeDialer{from: "127.0.0.1", config: config}.dial(t.Context(), r.secure)
		if err != nil {
			t.Fatal(err)
		}
		served := conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber
		conn.Close()
		if served.Cmp(next.Serial) != 0 {
			t.Errorf("swap %d: another certificate is served", n)
		}
	}
	stop()
	<-done
	v.check(t)
	testenv.Figure(t, "P27", "%d certificate swaps under load: of %d clients %d failed", swaps, v.made, len(v.failures))
}
