package transport

import (
	"net/netip"
	"testing"
)

func TestDetect(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want speech
	}{
		{"\x00", speechFrames}, {"\x00\x00\x00\x05\x01", speechFrames},
		{"\x01", speechFrames}, {"\xff\xff", speechFrames}, {"get / ", speechFrames},
		{"\x16", speechTLS}, {"\x16\x03\x01", speechTLS},
		{"G", speechHTTP}, {"GET /v1/ws", speechHTTP}, {"POST /v1/poll", speechHTTP}, {"PATCH", speechHTTP},
		{"PR", speechUnclear}, {"PROX", speechUnclear}, {"PROXY", speechUnclear}, {"PROPFIND /", speechHTTP}, {"PROPF", speechHTTP},
		{"PROXY ", speechProxy}, {"PROXY TCP4 1.2.3.4", speechProxy},
		{"\r", speechProxy}, {"\r\n\r\n\x00\r\nQUIT\n", speechProxy}, {"\r\nGET", speechProxy},
	} {
		if got := detect([]byte(tt.in)); got != tt.want {
			t.Errorf("detect(%q) = %d, want %d", tt.in, got, tt.want)
		}
	}
}

func TestForwardedFor(t *testing.T) {
	trusted := ranges([]string{"10.0.0.0/8", "2001:db8::1", "::ffff:192.0.2.1"})
	from := netip.MustParseAddr("10.0.0.1")
	for _, tt := range []struct {
		header []string
		want   string
	}{
		{nil, "10.0.0.1"},
		{[]string{""}, "10.0.0.1"},
		{[]string{"203.0.113.9"}, "203.0.113.9"},
		{[]string{"1.1.1.1, 203.0.113.9"}, "203.0.113.9"},            // 1.1.1.1 is what the client said
		{[]string{"1.1.1.1, 203.0.113.9, 10.9.9.9"}, "203.0.113.9"},  // two proxies of ours
		{[]string{"1.1.1.1", "203.0.113.9,10.9.9.9"}, "203.0.113.9"}, // in two headers
		{[]string{"203.0.113.9, garbage"}, "10.0.0.1"},               // nothing before it can be believed
		{[]string{"203.0.113.9, garbage, 10.9.9.9"}, "10.9.9.9"},     // up to there
		{[]string{"::ffff:203.0.113.9"}, "203.0.113.9"},              // one spelling for limits
		{[]string{"10.1.1.1, 10.2.2.2"}, "10.1.1.1"},                 // all of ours: the first of them
		{[]string{"203.0.113.9, 192.0.2.1, 2001:db8::1"}, "203.0.113.9"},
	} {
		if got := forwardedFor(tt.header, from, trusted).String(); got != tt.want {
			t.Errorf("forwardedFor(%q) = %s, want %s", tt.header, got, tt.want)
		}
	}
}

func TestNamesOver(t *testing.T) {
	for plain, secure := range map[Name]Name{TCP: TLS, WS: WSS, Poll: Polls, SSE: SSEs} {
		if plain.over(false) != plain || plain.over(true) != secure {
			t.Errorf("%s over TLS = %s, want %s", plain, plain.over(true), secure)
		}
		if setPlain.has(secure) || setSecure.has(plain) || !setPlain.has(plain) || !setSecure.has(secure) {
			t.Errorf("%s and %s are in the wrong sets", plain, secure)
		}
	}
}
