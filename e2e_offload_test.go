package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-io/holdfast/gateway/client"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// TestHAProxyOffload runs configs/haproxy.offload.cfg in front of a gateway with
// configs/gateway.offload.yaml: HAProxy ends TLS, and each transport gets through
// with its client's address, by PROXY or by X-Forwarded-For.
func TestHAProxyOffload(t *testing.T) {
	testenv.HAProxyTool(t)
	config, err := os.ReadFile(filepath.FromSlash("configs/haproxy.offload.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	w, ca := startWitness(t), testenv.NewCA(t)
	requests := testenv.FreeAddress(t)
	g := startSample(t, "gateway.offload.yaml", w.addr, testenv.Cert{}, map[string]string{
		"listeners[0].proxy.trusted": "127.0.0.1/32", "listeners[1].address": requests,
		"listeners[1].forwarded_for": "127.0.0.1/32", "drain.deregister_delay": "0s", "drain.window": "1s",
	})
	_, health, _ := net.SplitHostPort(g.health)
	front := map[string]string{"tls": testenv.FreeAddress(t), "https": testenv.FreeAddress(t)}
	h := testenv.StartHAProxy(t, testenv.HAProxyOptions{Config: string(config), Replace: map[string]string{
		"192.0.2.10:443": front["tls"], "192.0.2.11:443": front["https"], "/etc/haproxy/certs/": bundle(t, ca.Issue("gw.example.com")),
		"10.0.0.11:7080": g.endpoint, "10.0.0.11:7083": requests, "check port 7072": "check port " + health,
	}})
	h.AwaitStatus("by_connection", "gw-1", "UP")
	h.AwaitStatus("by_request", "gw-1", "UP")
	tests := []struct{ scheme, front, from string }{
		{"tls", "tls", "127.0.0.21"}, {"wss", "tls", "127.0.0.22"}, {"polls", "tls", "127.0.0.23"},
		{"wss", "https", "127.0.0.24"}, {"polls", "https", "127.0.0.25"},
	}
	for _, tt := range tests {
		uid := tt.scheme + " from " + tt.from
		c, err := client.Dial(t.Context(), client.Config{
			Endpoints: []string{tt.scheme + "://" + front[tt.front]}, Token: uid, TLS: ca.Client("gw.example.com"),
			Dial: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(tt.from)}}).DialContext,
		})
		if err != nil {
			t.Errorf("%s: %v", uid, err)
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if answer, err := c.Request(ctx, "msg.any", []byte(`"hi"`)); err != nil || string(answer) != `"hi"` {
			t.Errorf("%s: %q, %v, want the echo", uid, answer, err)
		}
		cancel()
		if err := c.Close(); err != nil {
			t.Errorf("%s: %v", uid, err)
		}
		if got := w.saw(uid); got != tt.from {
			t.Errorf("%s: the backend sees %q", uid, got)
		}
	}
	// What a client itself says of its address counts nowhere.
	forge(t, "https://"+front["https"], "127.0.0.26", ca.Client("gw.example.com"))
	forge(t, "http://"+requests, "127.0.0.27", nil)
	for _, from := range []string{"127.0.0.26", "127.0.0.27"} {
		if got := w.saw("forger at " + from); got != from {
			t.Errorf("the forger at %s is seen as %q", from, got)
		}
	}
}

// forge logs in by long poll with headers that name another address.
func forge(t *testing.T, url, from string, secure *tls.Config) {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig: secure, DisableKeepAlives: true,
		DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext,
	}
	body := fmt.Sprintf(`{"protocol":1,"token":"forger at %s"}`, from)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/poll", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "True-Client-Ip", "X-Client-Ip"} {
		req.Header.Set(name, "192.0.2.66")
	}
	resp, err := (&http.Client{Transport: transport, Timeout: patience}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the forger at %s is answered %s", from, resp.Status)
	}
}

// bundle is a certificate and its key in one file, as HAProxy wants them.
func bundle(t *testing.T, cert testenv.Cert) string {
	t.Helper()
	var both []byte
	for _, file := range []string{cert.CertFile, cert.KeyFile} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, text...)
	}
	path := filepath.Join(t.TempDir(), "both.pem")
	writeText(t, path, string(both))
	return path
}
