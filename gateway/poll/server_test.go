package poll

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// TestRoutes: what is served where, and what is not.
func TestRoutes(t *testing.T) {
	for _, tt := range []struct {
		method, path string
		want         string
		allow        string
	}{
		{"PUT", "/v1/poll", "405 close 4500", "GET, POST, DELETE"},
		{"HEAD", "/v1/poll", "405 close 4500", "GET, POST, DELETE"},
		{"GET", "/v1/poll/frames", "405 close 4500", "POST"},
		{"POST", "/v1/events", "405 close 4500", "GET"},
		{"GET", "/v1/pol", "404 close 4500", ""},
		{"GET", "/v1/poll/", "404 close 4500", ""},
		{"GET", "/v1/poll", "waits", ""},
		{"GET", "/v1/events", "stream", ""},
		{"DELETE", "/v1/poll", "200 close 1000", ""},
	} {
		w := begin(t)
		k := w.call(tt.method, tt.path, "")
		if got := k.said(); got != tt.want && got != tt.want+" " || k.fields["Allow"] != tt.allow {
			t.Errorf("%s %s = %q with Allow %q, want %q with %q", tt.method, tt.path, got, k.fields["Allow"], tt.want, tt.allow)
		}
	}
}

// TestUnauthorised: every call but the first needs a bearer, and gets the same
// verdict without a right one.
func TestUnauthorised(t *testing.T) {
	calls := []struct{ method, path, body string }{
		{"GET", "/v1/poll", ""}, {"DELETE", "/v1/poll", ""}, {"GET", "/v1/events", ""}, {"POST", "/v1/poll/frames", "[]"},
	}
	for _, tt := range []struct {
		bearer string
		code   wire.CloseCode // what Find says
		want   string
	}{
		{"", 0, "401 close 4502"},
		{"s", 0, "401 close 4502"},
		{"s.y", 0, "401 close 1000"},
		{"q.x", 0, "401 close 1000"},
		{"s.x", wire.CloseTakenOver, "409 close 4009"},
		{"s.x", wire.CloseSessionExpired, "410 close 4004"},
	} {
		for _, c := range calls {
			w := begin(t)
			if tt.code != 0 {
				w.find = func(string, string) (*Conn, wire.CloseCode, string) { return nil, tt.code, "no" }
			}
			k := newCall(c.method, c.path, tt.bearer, c.body)
			w.srv.Serve(k)
			w.said(k, tt.want)
			w.heard("")
		}
	}
}

// TestStreamNeedsHTTP11: a stream is chunked.
func TestStreamNeedsHTTP11(t *testing.T) {
	w := begin(t)
	k := newCall("GET", "/v1/events", "s.x", "")
	k.req.Minor = 0
	w.srv.Serve(k)
	w.said(k, "505 close 4500")
	w.said(w.get(""), "waits")
}

// TestMetrics: calls, refusals, closes and what is open.
func TestMetrics(t *testing.T) {
	w := begin(t)
	m := w.srv.metrics
	lost := w.get("")
	w.open("")
	w.get("").lose()
	w.post("", `[`)
	w.call("PATCH", "/v1/poll", "")
	_ = lost
	for name, got := range map[string]float64{
		"hello":  testutil.ToFloat64(m.calls[callHello]),
		"other":  testutil.ToFloat64(m.calls[callOther]),
		"frames": testutil.ToFloat64(m.calls[callFrames]),
		"events": testutil.ToFloat64(m.calls[callEvents]),
		"lost":   testutil.ToFloat64(m.lost),
		"closes": testutil.ToFloat64(m.closes[wire.CloseProtocolError]),
	} {
		if got != 1 {
			t.Errorf("%s counts %v, want 1", name, got)
		}
	}
	if got := testutil.ToFloat64(m.calls[callPoll]); got != 2 {
		t.Errorf("poll counts %v, want 2", got)
	}
	if got := testutil.ToFloat64(m.refusals[wire.CloseProtocolError]); got != 2 {
		t.Errorf("refusals count %v, want 2", got)
	}
	if got := testutil.ToFloat64(m.open); got != 0 {
		t.Errorf("open = %v, want 0", got)
	}
	m.closed(4999)
	m.refused(4999)
	if testutil.ToFloat64(m.closedOther)+testutil.ToFloat64(m.refusedOther) != 2 {
		t.Error("a code without a name must be counted as other")
	}
}

func TestConfig(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("DefaultConfig: %v", err)
	}
	for name, change := range map[string]func(*Config){
		"PollWait":         func(c *Config) { c.PollWait = 0 },
		"Heartbeat":        func(c *Config) { c.Heartbeat = -1 },
		"RequestTimeout":   func(c *Config) { c.RequestTimeout = 1 << 60 },
		"FrameBytesMax":    func(c *Config) { c.FrameBytesMax = 1 },
		"OutboundBytesMax": func(c *Config) { c.OutboundBytesMax = 1 },
		"ReplyBytesMax":    func(c *Config) { c.ReplyBytesMax = -1 },
		"FramesPerCall":    func(c *Config) { c.FramesPerCall = 0 },
	} {
		cfg := DefaultConfig()
		change(&cfg)
		if err := cfg.Validate(); err == nil {
			t.Errorf("%s: a value that cannot work was accepted", name)
		}
	}
}
