package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway"
	"github.com/holdfast-io/holdfast/gateway/transport"
)

// TestPageMayReadEveryAnswer: a page that may connect can tell why it is refused,
// wherever that is decided; one that may not can read nothing.
func TestPageMayReadEveryAnswer(t *testing.T) {
	const listed, other = "https://app.example.com", "https://evil.example.com"
	open := func(c *gateway.Config) {
		c.Listeners[0].Transports = []transport.Name{transport.WS, transport.Poll, transport.SSE}
		c.Origins = []string{listed}
		c.Session.ResumeTTL = time.Minute
	}
	long := strings.Repeat("x", gateway.DefaultConfig().Limits.FrameBytes+1)
	for _, tt := range []struct {
		name, method, path, body string
		change                   func(*gateway.Config)
		status                   int
	}{
		{"another path", "GET", "/other", "", open, 404},
		{"another method", "PUT", "/v1/poll", "", open, 405},
		{"no bearer", "GET", "/v1/poll", "", open, 401},
		{"no HELLO", "POST", "/v1/poll", "{", open, 400},
		{"too long a body", "POST", "/v1/poll", long, open, 413},
		{"too long a body of a stream", "GET", "/v1/events", long, open, 413},
		{"too long a body of a handshake", "GET", "/v1/ws", long, open, 413},
		{"too long a body for another path", "POST", "/other", long, open, 404},
		{"no handshake", "GET", "/v1/ws", "", open, 426},
		{"a client that is denied", "GET", "/v1/poll", "",
			func(c *gateway.Config) { open(c); c.Admission.Deny = []string{"127.0.0.0/8"} }, 403},
	} {
		r := start(t, tt.change)
		for _, origin := range []string{listed, other} {
			status, allowed := callFrom(t, r, tt.method, tt.path, tt.body, origin)
			switch {
			case origin == listed && (status != tt.status || allowed != listed):
				t.Errorf("%s: %d, for pages of %q; want %d for %s", tt.name, status, allowed, tt.status, listed)
			case origin == other && (allowed != "" || status != 403 && status != 404):
				t.Errorf("%s from a page that is not listed: %d, for pages of %q; want a refusal for none", tt.name, status, allowed)
			}
		}
		r.end()
	}
}

// callFrom makes a call as a page's browser does and returns who may read the answer.
func callFrom(t *testing.T, r *running, method, path, body, origin string) (status int, allowed string) {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+r.addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", origin)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: deadline}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Errorf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, resp.Header.Get("Access-Control-Allow-Origin")
}
