package client

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

func TestParseEndpoint(t *testing.T) {
	tests := []struct{ in, want string }{
		{"127.0.0.1:7000", "tcp://127.0.0.1:7000"},
		{"tcp://gw.example.com:7000", "tcp://gw.example.com:7000"},
		{"[::1]:7000", "tcp://[::1]:7000"},
		{"tls://gw:7443", "tls://gw:7443"}, {"ws://gw", "ws://gw:80"}, {"wss://gw/", "wss://gw:443"},
		{"poll://gw:1/", "poll://gw:1"}, {"https://gw", "polls://gw:443"}, {"http://[::1]", "poll://[::1]:80"},
		{"auto://gw:7000", "auto://gw:7000"}, {"autos://gw:7000", "autos://gw:7000"},
		{"tls://gw", ""}, {"auto://gw", ""}, {"wss://gw/v1/ws", ""}, {"ws://me@gw", ""}, {"sse://gw:1", ""}, {"ws://", ""},
		{"", ""}, {"gw", ""}, {"gw:", ""}, {":7000", ""}, {"ftp://gw:21", ""}, {"tcp://", ""}, {"a:b:c", ""},
	}
	for _, tt := range tests {
		e, err := parseEndpoint(tt.in, false)
		switch {
		case tt.want == "" && err == nil:
			t.Errorf("parseEndpoint(%q) = %v, want an error", tt.in, e)
		case tt.want != "" && (err != nil || e.String() != tt.want):
			t.Errorf("parseEndpoint(%q) = %v, %v, want %s", tt.in, e, err, tt.want)
		}
	}
}

// TestRotation writes down whose turn it is after each event.
func TestRotation(t *testing.T) {
	own := []endpoint{{transports: []string{"tcp"}, address: "a:1"}, {transports: []string{"tcp"}, address: "b:1"}}
	r := newRotation(own, climbAfterDefault)
	turn := func(want string) {
		t.Helper()
		if got := r.next().address; got != want {
			t.Fatalf("next() = %s, want %s", got, want)
		}
	}
	for range 3 {
		turn("a:1")
		r.failed()
	}
	turn("b:1")
	r.worked(nil)
	r.follow(&wire.GoAway{Endpoints: []wire.Endpoint{
		{Transport: "tcp", Address: "x:1"}, {Transport: "tcp", Address: "broken"}, {Transport: "tcp", Address: "y:1"}}})
	turn("x:1")
	r.failed()
	turn("y:1")
	r.worked(nil) // and when its connection is cut, it is tried again first
	for range 3 {
		turn("y:1")
		r.failed()
	}
	turn("b:1")
	r.advance()
	turn("a:1")
}

// TestTargets writes down which transports an attempt tries.
func TestTargets(t *testing.T) {
	auto, err := parseEndpoint("auto://a:1", false)
	if err != nil {
		t.Fatal(err)
	}
	r := newRotation([]endpoint{auto, {transports: []string{"tcp"}, address: "b:1"}}, climbAfterDefault)
	now := time.Now()
	tries := func(want string) {
		t.Helper()
		r.next()
		var got []string
		for _, to := range r.targets(false, now) {
			got = append(got, to.String())
		}
		if s := strings.Join(got, " "); s != want {
			t.Fatalf("targets %q, want %q", s, want)
		}
	}
	all := "tcp://a:1 ws://a:1 poll://a:1"
	tries(all) // nothing has worked yet
	r.reached("ws", now)
	r.worked(nil)
	now = now.Add(climbAfterDefault - time.Second)
	tries("ws://a:1")
	r.reached("ws", now)
	r.worked(nil)
	now = now.Add(time.Second) // since it was found, not since it was used
	tries(all)
	r.reached("ws", now)
	r.worked(nil)
	for range failuresPerTransport {
		tries("ws://a:1")
		r.failed()
	}
	tries("ws://a:1 poll://a:1")
	r.failed()
	tries("tcp://b:1")
	for range failuresPerEndpoint {
		r.failed()
	}
	tries(all) // nothing had worked here in the end
	r.reached("tcp", now)
	now = now.Add(10 * climbAfterDefault)
	tries("tcp://a:1") // there is nothing above it
}

// TestBack: where a gateway is reached itself, and what its certificate must be
// for.
func TestBack(t *testing.T) {
	e, err := parseEndpoint("wss://gw.example.com", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ returnTo, address, name string }{
		{"", "gw.example.com:443", "gw.example.com"},
		{"gw-1.example.com:8443", "gw-1.example.com:8443", "gw-1.example.com"},
		{"203.0.113.7:7000", "203.0.113.7:7000", "gw.example.com"},
		{"nonsense", "gw.example.com:443", "gw.example.com"},
		{":80", "gw.example.com:443", "gw.example.com"},
	} {
		got := e.at("wss").back(map[string]string{"wss": tt.returnTo, "ws": "not:1"})
		if want := (target{"wss", tt.address, tt.name}); got != want {
			t.Errorf("back(%q) = %+v, want %+v", tt.returnTo, got, want)
		}
	}
}

// TestFollowKeepsTLS: a GOAWAY does not lead a client that wants TLS to where
// there is none.
func TestFollowKeepsTLS(t *testing.T) {
	g := &wire.GoAway{Endpoints: []wire.Endpoint{
		{Transport: "tcp", Address: "x:1"}, {Transport: "wss", Address: "y:1"}, {Transport: "auto", Address: "z:1"}}}
	for own, want := range map[string]int{"tls": 1, "tcp": 2} {
		r := newRotation([]endpoint{{transports: []string{own}, address: "a:1"}}, climbAfterDefault)
		if r.follow(g); len(r.offered) != want {
			t.Errorf("a client of %s follows to %v, want %d endpoints", own, r.offered, want)
		}
	}
}

func TestValidateReportsEverything(t *testing.T) {
	err := Config{
		Endpoints:      []string{"nowhere", "ftp://a:1"},
		Token:          strings.Repeat("x", wire.TokenBytesMax+1),
		TokenFunc:      func(context.Context) (string, error) { return "", nil },
		PushBuffer:     -1,
		RequestTimeout: -1,
		ConnectTimeout: -1,
		WriteTimeout:   -1,
	}.Validate()
	if err == nil {
		t.Fatal("Validate = nil")
	}
	for _, part := range []string{"nowhere", "ftp", "hello token", "TokenFunc", "PushBuffer", "RequestTimeout", "ConnectTimeout", "WriteTimeout"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("Validate = %v, want %q in it", err, part)
		}
	}
	if err := (Config{}).Validate(); err == nil || !strings.Contains(err.Error(), "endpoints: none") {
		t.Errorf("Validate of nothing = %v, want endpoints: none", err)
	}
	if _, err := Dial(t.Context(), Config{}); err == nil {
		t.Error("Dial with nothing works")
	}
	if err := (Config{Endpoints: []string{"a:1"}}).Validate(); err != nil {
		t.Errorf("Validate of the least = %v", err)
	}
}
