package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// balanced is the deployment of docs/edge.md: configs/haproxy.cfg in front of two
// gateways with configs/gateway.proxied.yaml.
type balanced struct {
	*testenv.HAProxy
	address  string
	gateways [2]*edgeGateway
	witness  *witness
	ca       *testenv.CA
}

// startBalanced starts it. HAProxy looks four times as often as in the sample, so
// that the test takes less time; more is added to its configuration.
func startBalanced(t *testing.T, set map[string]string, more string) *balanced {
	t.Helper()
	testenv.HAProxyTool(t)
	config, err := os.ReadFile(filepath.FromSlash("configs/haproxy.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	b := &balanced{address: testenv.FreeAddress(t), witness: startWitness(t), ca: testenv.NewCA(t)}
	cert := b.ca.Issue("gw.example.com")
	all := map[string]string{"listeners[0].proxy.trusted": "127.0.0.1/32"}
	for key, value := range set {
		all[key] = value
	}
	for i := range b.gateways {
		b.gateways[i] = startSample(t, "gateway.proxied.yaml", b.witness.addr, cert, all)
	}
	port := func(address string) string { _, p, _ := net.SplitHostPort(address); return p }
	replace := map[string]string{"192.0.2.10:443": b.address, "inter 2s": "inter 500ms"}
	for i, server := range []string{"10.0.0.11:7443", "10.0.0.12:7443"} {
		const options = " send-proxy-v2 check port "
		replace[server+options+"7072"] = b.gateways[i].endpoint + options + port(b.gateways[i].health)
		more = strings.ReplaceAll(more, server, b.gateways[i].endpoint)
	}
	b.HAProxy = testenv.StartHAProxy(t, testenv.HAProxyOptions{Config: string(config) + more, Replace: replace})
	for _, server := range []string{"gw-1", "gw-2"} {
		b.AwaitStatus("gateways", server, "UP")
	}
	return b
}

// client is one that connects from an address of its own.
func (b *balanced) client(from string) edgeDialer {
	return edgeDialer{from: from, config: b.ca.Client("gw.example.com", "holdfast.v1")}
}

func (b *balanced) connect(t *testing.T, from, uid string) net.Conn {
	t.Helper()
	conn, err := b.client(from).dial(t.Context(), b.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := login(conn, uid); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestHAProxyTellsTheClientsAddress checks that the backend sees whom HAProxy
// speaks for, and that nobody else may speak for anybody.
func TestHAProxyTellsTheClientsAddress(t *testing.T) {
	b := startBalanced(t, map[string]string{"drain.deregister_delay": "0s", "drain.window": "1s"}, "")
	for _, from := range []string{"127.0.0.7", "127.0.0.8"} {
		uid := "from " + from
		b.connect(t, from, uid)
		if got := b.witness.saw(uid); got != from {
			t.Errorf("the backend sees client_ip %q, want %s", got, from)
		}
	}
	// Past the balancer, from an address that is not trusted: the header is not believed.
	for _, header := range []string{"", "PROXY TCP4 192.0.2.66 192.0.2.1 1 443\r\n"} {
		conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}).Dial("tcp", b.gateways[0].endpoint)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience)) // a failure shows in Read
		_, _ = conn.Write([]byte(header + "\x16\x03\x01"))
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil || os.IsTimeout(err) {
			t.Errorf("a stranger who sends %q reads %d bytes, %v, want the end", header, n, err)
		}
	}
}

// TestHAProxyChecksLeaveNoTrace lets HAProxy check the clients' port as well, by
// connections that say PROXY LOCAL, or nothing, and close: no error, no line in the
// log.
func TestHAProxyChecksLeaveNoTrace(t *testing.T) {
	b := startBalanced(t, map[string]string{"drain.deregister_delay": "0s", "drain.window": "1s"}, `
backend direct
    server gw-1 10.0.0.11:7443 check check-send-proxy send-proxy-v2 inter 20ms
backend silent
    option tcp-check
    tcp-check connect linger
    server gw-2 10.0.0.12:7443 check inter 20ms
`)
	b.AwaitStatus("direct", "gw-1", "UP")
	before := [2]string{}
	for i, g := range b.gateways {
		awaitAdmin(t, g.admin, "/metrics", func(_ int, body string) bool {
			return sample(body, "holdfast_gateway_connections_accepted_total") >= 10
		}, "ten checks")
		before[i] = g.errs.String()
	}
	for i, g := range b.gateways {
		var body string
		awaitAdmin(t, g.admin, "/metrics", func(_ int, now string) bool {
			body = now
			return sample(now, "holdfast_gateway_connections_accepted_total") >= 40
		}, "forty checks")
		if said := strings.TrimPrefix(g.errs.String(), before[i]); said != "" {
			t.Errorf("gateway %d logs of checks:\n%s", i+1, said)
		}
		for _, counter := range []string{"holdfast_gateway_closes_total", "holdfast_gateway_handshake_refusals_total", "holdfast_gateway_vanished_connections_total"} {
			if n := sample(body, counter); n != 0 {
				t.Errorf("gateway %d: %s = %v after checks alone", i+1, counter, n)
			}
		}
	}
	if b.Status("direct", "gw-1") != "UP" || b.Status("silent", "gw-2") != "UP" {
		t.Errorf("checks at the clients' port: %s with PROXY, %s without", b.Status("direct", "gw-1"), b.Status("silent", "gw-2"))
	}
}

// TestHAProxyDrain sends one of two gateways away while clients come: HAProxy takes
// it out before it refuses anybody, its own clients are asked to leave, and nobody
// is cut.
func TestHAProxyDrain(t *testing.T) {
	b := startBalanced(t, map[string]string{"drain.deregister_delay": "6s", "drain.window": "2s"}, "")
	leaving := b.gateways[0]
	var stayed []net.Conn // on the one or the other
	for range 8 {
		stayed = append(stayed, b.connect(t, "127.0.0.7", "stays"+string(rune('0'+len(stayed)))))
	}
	ctx, stop := context.WithCancel(t.Context())
	v, done := &visits{}, make(chan struct{})
	go func() {
		defer close(done)
		v.every(ctx, 20*time.Millisecond, func(ctx context.Context) (net.Conn, error) {
			return b.client("127.0.0.8").dial(ctx, b.address)
		})
	}()
	defer stop()
	leaving.signal(syscall.SIGTERM)
	began := time.Now()
	leaving.await(leaving.errs, `msg="not ready any more, still accepting"`)
	b.AwaitStatus("gateways", "gw-1", "DOWN")
	down := time.Since(began)
	if strings.Contains(leaving.errs.String(), "msg=draining") {
		t.Errorf("HAProxy noticed after %v, when the drain had begun", down)
	}
	taken := b.Count("gateways", "gw-1", "stot")
	leaving.await(leaving.errs, `msg=draining`)
	if more := b.Count("gateways", "gw-1", "stot") - taken; more != 0 {
		t.Errorf("HAProxy sent %d clients to a server that is down", more)
	}
	if code := leaving.wait(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	ended := time.Since(began)
	stop()
	<-done
	v.check(t)
	for _, column := range []string{"econ", "wretr", "wredis"} {
		if n := b.Count("gateways", "gw-1", column); n != 0 {
			t.Errorf("HAProxy counts %s = %d for the gateway that left: somebody was refused", column, n)
		}
	}
	sentAway := 0
	for _, conn := range stayed {
		_ = conn.SetReadDeadline(time.Now().Add(time.Second)) // those of the other gateway hear nothing
		if f, err := until(conn, wire.TypeGoAway); err == nil && strings.Contains(string(f.Payload), `"code":4000`) {
			sentAway++
		}
	}
	if sentAway == 0 || sentAway == len(stayed) {
		t.Errorf("%d of %d clients were sent away, want those of one gateway", sentAway, len(stayed))
	}
	testenv.Figure(t, "drain behind HAProxy", "noticed after %v, ended after %v; of %d clients that came meanwhile %d were refused",
		down.Round(time.Millisecond), ended.Round(time.Millisecond), v.made, len(v.failures))
}
