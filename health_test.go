package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// startHealth serves the health of parts that the test adds, and returns where.
func startHealth(t *testing.T) (h *health, address string) {
	t.Helper()
	ln, err := listenHealth("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h = &health{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serveHealth(ctx, ln, h, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return h, ln.Addr().String()
}

// TestHealthServer checks what a balancer is answered, and that there is nothing
// else.
func TestHealthServer(t *testing.T) {
	h, address := startHealth(t)
	var mu sync.Mutex
	reason := ""
	h.add("gateway", func() string {
		mu.Lock()
		defer mu.Unlock()
		return reason
	})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	ask := func(method, path string, status int, body string) {
		t.Helper()
		req, _ := http.NewRequest(method, "http://"+address+path, nil)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != status || string(got) != body {
			t.Errorf("%s %s = %d %q, want %d %q", method, path, resp.StatusCode, got, status, body)
		}
	}
	ask("GET", "/livez", 200, "ok\n")
	ask("GET", "/readyz", 200, "ok\n")
	ask("HEAD", "/readyz", 200, "")
	for _, path := range adminPaths {
		if path != "/livez" && path != "/readyz" {
			ask("GET", path, 404, "not found\n")
		}
	}
	ask("POST", "/readyz", 404, "not found\n")
	ask("GET", "/readyz/", 404, "not found\n")
	ask("GET", "//readyz", 404, "not found\n")
	ask("GET", "/v1/poll", 404, "not found\n")

	mu.Lock()
	reason = "draining"
	mu.Unlock()
	ask("GET", "/readyz", 503, "not ready\n")
	ask("GET", "/livez", 200, "ok\n")
}

// adminPaths are the paths of the admin server, and what else one might try.
var adminPaths = []string{
	"/", "/livez", "/readyz", "/healthz", "/metrics", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/profile?seconds=1",
	"/debug/pprof/symbol", "/debug/pprof/trace", "/debug/pprof/heap", "/debug/pprof/goroutine?debug=2", "/debug/vars",
	"/api/route?uid=1", "/api/instances", "/admin", "/v1/admin", "/v1/metrics", "/v1/ws/../../metrics", "/v1/poll/../../metrics",
	"/%6detrics", "//metrics", "/metrics/", "/./metrics",
}

// TestHealthServerSkipsProxyHeaders asks as balancers do that announce themselves,
// also byte by byte, and checks that what merely begins like a header is refused.
func TestHealthServerSkipsProxyHeaders(t *testing.T) {
	_, address := startHealth(t)
	const get = "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
	local := "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
	tests := []struct{ name, sent, want string }{
		{"none", get, "HTTP/1.1 200 OK"},
		{"version 2, LOCAL", local + get, "HTTP/1.1 200 OK"},
		{"version 1", "PROXY TCP4 192.0.2.1 192.0.2.2 1000 7072\r\n" + get, "HTTP/1.1 200 OK"},
		{"version 1, UNKNOWN", "PROXY UNKNOWN\r\n" + get, "HTTP/1.1 200 OK"},
		{"two", local + local + get, "HTTP/1.1 400 Bad Request"},
		{"broken", "PROXY TCP4 x\r\n" + get, "HTTP/1.1 400 Bad Request"},
		{"another P", "POST /readyz HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 Not Found"},
	}
	for _, tt := range tests {
		for _, step := range []int{len(tt.sent), 1} {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(patience)) // a failure shows in Read
			for rest := tt.sent; rest != ""; {
				n := min(step, len(rest))
				if _, err := io.WriteString(c, rest[:n]); err != nil {
					break // it has been refused already
				}
				rest = rest[n:]
			}
			answer, _ := io.ReadAll(c)
			if got, _, _ := strings.Cut(string(answer), "\r\n"); got != tt.want {
				t.Errorf("%s, %d bytes at a time: %q, want %q", tt.name, step, got, tt.want)
			}
		}
	}
}

// TestHealthServerIsBounded fills every place with connections that say nothing:
// a check is answered once their deadline has passed.
func TestHealthServerIsBounded(t *testing.T) {
	_, address := startHealth(t)
	for range healthConnectionsMax {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	began := time.Now()
	resp, err := client.Get("http://" + address + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	t.Logf("answered after %v behind %d silent connections", time.Since(began), healthConnectionsMax)
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d, want 200", resp.StatusCode)
	}
}

// TestHealthAddressInUse checks the one line that an operator sees.
func TestHealthAddressInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, err = listenHealth(ln.Addr().String())
	if err == nil || !strings.HasPrefix(err.Error(), "health_listen: 127.0.0.1:") || !strings.HasSuffix(err.Error(), " is in use by another process") {
		t.Errorf("listenHealth = %v", err)
	}
}
