package client

import (
	"context"
	"strings"
	"testing"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

func TestParseEndpoint(t *testing.T) {
	tests := []struct{ in, want string }{
		{"127.0.0.1:7000", "tcp://127.0.0.1:7000"},
		{"tcp://gw.example.com:7000", "tcp://gw.example.com:7000"},
		{"[::1]:7000", "tcp://[::1]:7000"},
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
	r := newRotation(own)
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
