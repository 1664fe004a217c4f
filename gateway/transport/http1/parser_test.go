package http1

import (
	"bytes"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// accepted has requests as clients send them, and what comes of them.
var accepted = []struct {
	name, in string
	want     Request
}{
	{"least", get + "\r\n", Request{Method: "GET", Path: "/v1/poll"}},
	{"query", "GET /v1/poll?seq=7&replies=3 HTTP/1.1\r\nHost: h\r\n\r\n",
		Request{Method: "GET", Path: "/v1/poll", RawQuery: "seq=7&replies=3"}},
	{"empty query", "GET /? HTTP/1.1\r\nHost: h\r\n\r\n", Request{Method: "GET", Path: "/"}},
	{"encoded path stays encoded", "GET /v1/%70oll%2f%0a HTTP/1.1\r\nHost: h\r\n\r\n",
		Request{Method: "GET", Path: "/v1/%70oll%2f%0a"}},
	{"dots stay", "GET /a/../b//c HTTP/1.1\r\nHost: h\r\n\r\n", Request{Method: "GET", Path: "/a/../b//c"}},
	{"two slashes are a path", "GET //evil/x HTTP/1.1\r\nHost: h\r\n\r\n", Request{Method: "GET", Path: "//evil/x"}},
	{"absolute form overrules Host", "GET http://g:80/a?b HTTP/1.1\r\nHost: other\r\n\r\n",
		Request{Method: "GET", Path: "/a", RawQuery: "b", Host: "g:80"}},
	{"absolute form without path", "GET https://h HTTP/1.1\r\nHost: h\r\n\r\n", Request{Method: "GET", Path: "/"}},
	{"IPv6 host", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n", Request{Method: "GET", Path: "/", Host: "[2001:db8::1]:443"}},
	{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", Request{Method: "OPTIONS", Path: "*"}},
	{"HTTP/1.0 closes", "GET / HTTP/1.0\r\n\r\n", Request{Method: "GET", Path: "/", Minor: -1, Host: "-", Close: true}},
	{"HTTP/1.0 ignores Expect", "GET / HTTP/1.0\r\nExpect: tea\r\n\r\n",
		Request{Method: "GET", Path: "/", Minor: -1, Host: "-", Close: true, Header: http.Header{"Expect": {"tea"}}}},
	{"close", get + "connection: Keep-Alive , CLOSE\r\n\r\n",
		Request{Method: "GET", Path: "/v1/poll", Close: true, Header: http.Header{"Connection": {"Keep-Alive , CLOSE"}}}},
	{"upgrade does not close", get + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		Request{Method: "GET", Path: "/v1/poll", Header: http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}}},
	{"names are made canonical", get + "x-a: 1\r\nX-B:2\r\nX-a:\t3 \t\r\n\r\n",
		Request{Method: "GET", Path: "/v1/poll", Header: http.Header{"X-A": {"1", "3"}, "X-B": {"2"}}}},
	{"empty and Latin 1 values", get + "A:\r\nB: \xe4\r\n\r\n",
		Request{Method: "GET", Path: "/v1/poll", Header: http.Header{"A": {""}, "B": {"\xe4"}}}},
	{"body by length", post + "Content-Length: 5\r\n\r\nhello", Request{Method: "POST", Path: "/v1/poll", Body: []byte("hello")}},
	{"length with zeros", post + "Content-Length: 0000000000000000000000005\r\n\r\nhello", Request{Method: "POST", Path: "/v1/poll", Body: []byte("hello")}},
	{"length 0", post + "Content-Length: 0\r\n\r\n", Request{Method: "POST", Path: "/v1/poll"}},
	{"post without a length has no body", post + "\r\n", Request{Method: "POST", Path: "/v1/poll"}},
	{"get with a body", get + "Content-Length: 2\r\n\r\n{}", Request{Method: "GET", Path: "/v1/poll", Body: []byte("{}")}},
	{"chunks", post + in + "5\r\nhello\r\n00001\r\n \r\n00005;ext=\"a b\"\r\nworld\r\n0\r\n\r\n",
		Request{Method: "POST", Path: "/v1/poll", Body: []byte("hello world")}},
	{"chunk in upper case", post + "Transfer-Encoding: Chunked\r\n\r\nA\r\n0123456789\r\n0;x\r\n\r\n",
		Request{Method: "POST", Path: "/v1/poll", Body: []byte("0123456789")}},
	{"no chunks", post + in + "0\r\n\r\n", Request{Method: "POST", Path: "/v1/poll"}},
	{"trailer is dropped", post + "Trailer: A\r\n" + in + "1\r\na\r\n0\r\nA: b\r\nUid: 7\r\n\r\n",
		Request{Method: "POST", Path: "/v1/poll", Body: []byte("a")}},
	{"continue", post + "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\na",
		Request{Method: "POST", Path: "/v1/poll", Body: []byte("a"), Expects100: true, Header: http.Header{"Expect": {"100-Continue"}}}},
	{"body of the most bytes", post + "Content-Length: 512\r\n\r\n" + strings.Repeat("b", 512),
		Request{Method: "POST", Path: "/v1/poll", Body: bytes.Repeat([]byte("b"), 512)}},
	{"chunks of the most bytes", post + in + "1ff\r\n" + strings.Repeat("b", 511) + "\r\n1\r\nb\r\n0\r\n\r\n",
		Request{Method: "POST", Path: "/v1/poll", Body: bytes.Repeat([]byte("b"), 512)}},
	{"binary body", post + "Content-Length: 4\r\n\r\n\r\n\x00\xff", Request{Method: "POST", Path: "/v1/poll", Body: []byte("\r\n\x00\xff")}},
}

func TestAccepted(t *testing.T) {
	for _, tt := range accepted {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.want
			switch {
			case want.Minor < 0:
				want.Minor, want.Host = 0, ""
			case want.Host == "":
				want.Minor, want.Host = 1, "h"
			default:
				want.Minor = 1
			}
			if want.Header == nil {
				want.Header = http.Header{}
			}
			got := feedAllWays(t, limits, []byte(tt.in))
			if got.refusal != nil || len(got.requests) != 1 || !got.idle {
				t.Fatalf("%q is %v, want one request", tt.in, got)
			}
			if !reflect.DeepEqual(*got.requests[0], want) {
				t.Errorf("%q\nis   %+v\nwant %+v", tt.in, *got.requests[0], want)
			}
			checkRoundTrip(t, got.requests[0])
			checkLikeNetHTTP(t, got.requests[0], []byte(tt.in))
		})
	}
}

// TestHeadOfTheMostBytes: a head of exactly the limit passes, and one byte more
// does not.
func TestHeadOfTheMostBytes(t *testing.T) {
	for extra, status := range []int{0, 431} {
		value := strings.Repeat("v", limits.HeadBytes-len(get+"A: \r\n\r\n")+extra)
		got := feedAllWays(t, limits, []byte(get+"A: "+value+"\r\n\r\n"))
		if (got.refusal != nil) != (status != 0) || status != 0 && got.refusal.Status != status {
			t.Errorf("a head of the limit + %d bytes: %v, want status %d", extra, got.refusal, status)
		}
	}
	fields := get + strings.Repeat("a:\r\n", fieldsMax-1) + "\r\n" // Host is one as well
	if got := feed(t, limits, whole([]byte(fields))); got.refusal != nil || len(got.requests[0].Header["A"]) != fieldsMax-1 {
		t.Errorf("a head of %d fields: %v", fieldsMax, got.refusal)
	}
}

// TestNothingAdmittedByZero: the zero value is safe.
func TestNothingAdmittedByZero(t *testing.T) {
	var p Parser
	if _, _, err := p.Next([]byte("G")); err == nil || err.(*Error).Status != 414 {
		t.Errorf("the zero Parser takes a byte: %v", err)
	}
	l := Limits{HeadBytes: 1024}
	if got := feedAllWays(t, l, []byte(post+"Content-Length: 1\r\n\r\n")); got.refusal == nil || got.refusal.Status != 413 {
		t.Errorf("a body beside BodyBytes 0: %v", got)
	}
	if got := feedAllWays(t, l, []byte(post+in+"0\r\n\r\n")); len(got.requests) != 1 {
		t.Errorf("no body beside BodyBytes 0: %v", got)
	}
}

// TestPipeline: what stands behind a request is the next one's, whatever it is
// delimited by.
func TestPipeline(t *testing.T) {
	var in []byte
	for _, tt := range accepted {
		in = append(in, tt.in...)
	}
	got := feedAllWays(t, limits, in)
	if got.refusal != nil || len(got.requests) != len(accepted) || !got.idle {
		t.Fatalf("%d of %d requests, idle %v, %v", len(got.requests), len(accepted), got.idle, got.refusal)
	}
	for i, tt := range accepted {
		if r := got.requests[i]; r.Method != tt.want.Method || r.Path != tt.want.Path || !bytes.Equal(r.Body, tt.want.Body) {
			t.Errorf("request %d is %+v, want %s", i, *r, tt.name)
		}
	}
}

// TestBytesBehindUpgrade: another protocol's bytes stay with the caller.
func TestBytesBehindUpgrade(t *testing.T) {
	p := NewParser(limits)
	head := get + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	r, n, err := p.Next([]byte(head + "\x81\x05hello"))
	if err != nil || r == nil || n != len(head) || !p.Idle() {
		t.Errorf("Next = %v, %d, %v, idle %v; want the request, %d", r, n, err, p.Idle(), len(head))
	}
}

func TestWantContinue(t *testing.T) {
	const expect = "Expect: 100-continue\r\n"
	tests := []struct {
		name, in string
		want     bool
	}{
		{"in the head", post + expect, false},
		{"behind the head", post + expect + "Content-Length: 2\r\n\r\n", true},
		{"behind the head of chunks", post + expect + in, true},
		{"not asked for", post + "Content-Length: 2\r\n\r\n", false},
		{"body has begun", post + expect + "Content-Length: 2\r\n\r\na", false},
		{"chunk has begun", post + expect + in + "1", false},
		{"no body", post + expect + "\r\n", false},
		{"HTTP/1.0", "POST / HTTP/1.0\r\n" + expect + "Content-Length: 2\r\n\r\n", false},
		{"refused", post + expect + "Content-Length: 1000\r\n\r\n", false},
	}
	for _, tt := range tests {
		for _, pieces := range [][][]byte{whole([]byte(tt.in)), bytewise([]byte(tt.in))} {
			p := NewParser(limits)
			for _, b := range pieces {
				_, _, _ = p.Next(b) // what comes of it is other tests' subject
			}
			if got := p.WantContinue(); got != tt.want {
				t.Errorf("%s: WantContinue = %v, want %v", tt.name, got, tt.want)
			}
			if p.WantContinue() {
				t.Errorf("%s: WantContinue a second time", tt.name)
			}
		}
	}
}

// TestRequestOwnsItsMemory: the reader's buffer is used again at once.
func TestRequestOwnsItsMemory(t *testing.T) {
	for _, tt := range accepted {
		b := []byte(tt.in)
		p := NewParser(limits)
		r, _, err := p.Next(b)
		if err != nil {
			t.Fatal(err)
		}
		want := serialise(r, false)
		for i := range b {
			b[i] = 'x'
		}
		if got := serialise(r, false); !bytes.Equal(got, want) {
			t.Errorf("%s: %q after its input was overwritten, was %q", tt.name, got, want)
		}
	}
}
