package testenv

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"os"
	"testing"
)

// TestHAProxy puts one in front of an echo server and looks at what it thinks.
func TestHAProxy(t *testing.T) {
	h := StartHAProxy(t, HAProxyOptions{
		Config: `
defaults
    timeout connect 1s
    timeout client 10s
    timeout server 10s
listen echo
    bind 127.0.0.1:443
    server good 10.0.0.1:80 check inter 100ms
    server gone 10.0.0.2:80 check inter 100ms
`,
		Replace: map[string]string{"127.0.0.1:443": FreeAddress(t), "10.0.0.1:80": startEcho(t), "10.0.0.2:80": "127.0.0.1:1"},
	})
	h.AwaitStatus("echo", "good", "UP")
	h.AwaitStatus("echo", "gone", "DOWN")
	if n := h.Count("echo", "good", "econ"); n != 0 {
		t.Errorf("econ = %d before any connection", n)
	}
}

// TestCertificates serves with one and then with another in the same files.
func TestCertificates(t *testing.T) {
	ca := NewCA(t)
	first := ca.Issue("gw.test", "127.0.0.1")
	second := ca.IssueTo(first.CertFile, first.KeyFile, "gw.test")
	if first.Serial.Cmp(second.Serial) == 0 {
		t.Error("two certificates have one serial number")
	}
	pair, err := tls.LoadX509KeyPair(first.CertFile, first.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(ln) // ends with Close
	}()
	defer func() { server.Close(); <-served }()
	conn, err := tls.Dial("tcp", ln.Addr().String(), ca.Client("gw.test"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.ConnectionState().PeerCertificates[0].SerialNumber; got.Cmp(second.Serial) != 0 {
		t.Errorf("served certificate %v, want the second, %v", got, second.Serial)
	}
	if _, err := tls.Dial("tcp", ln.Addr().String(), ca.Client("other.test")); err == nil {
		t.Error("a certificate for gw.test is taken for other.test")
	}
	if _, err := os.Stat(ca.File); err != nil {
		t.Error(err)
	}
}

// TestMissingTool checks that a missing tool fails under `make test` and skips
// elsewhere.
func TestMissingTool(t *testing.T) {
	t.Setenv(strict, "")
	t.Run("skips", func(t *testing.T) {
		defer func() {
			if !t.Skipped() {
				t.Error("not skipped")
			}
		}()
		tool(t, "no-such-tool")
	})
}
