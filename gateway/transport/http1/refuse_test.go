package http1

import (
	"fmt"
	"strings"
	"testing"
)

// get and post are heads without their last, empty line.
const (
	get  = "GET /v1/poll HTTP/1.1\r\nHost: h\r\n"
	post = "POST /v1/poll HTTP/1.1\r\nHost: h\r\n"
	in   = "Transfer-Encoding: chunked\r\n\r\n"
)

// refusals has every refusal, in the order of the code.
var refusals = []struct {
	name, in string
	status   int
	message  string
}{
	{"LF alone ends the request line", "GET / HTTP/1.1\nHost: h\r\n\r\n", 400, "line: LF without CR before it"},
	{"LF alone ends a field", "GET / HTTP/1.1\r\nHost: h\n\r\n", 400, "line: LF without CR before it"},
	{"LF alone ends the head", get + "\n", 400, "line: LF without CR before it"},
	{"CR inside the request line", "GET /\rHTTP/1.1\r\n\r\n", 400, "line: CR without LF behind it"},
	{"CR inside a value", get + "A: b\rc\r\n\r\n", 400, "line: CR without LF behind it"},
	{"two CR", get + "A: b\r\r\n\r\n", 400, "line: CR without LF behind it"},
	{"NUL in a value", get + "A: b\x00c\r\n\r\n", 400, "line: a control character"},
	{"NUL in a name", get + "A\x00: b\r\n\r\n", 400, "line: a control character"},
	{"escape in the target", "GET /\x1b HTTP/1.1\r\n", 400, "line: a control character"},
	{"DEL in a value", get + "A: \x7f\r\n\r\n", 400, "line: a control character"},
	{"tab in the request line", "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", 400, "request line: other than printable ASCII"},
	{"Latin 1 in the target", "GET /\xe4 HTTP/1.1\r\n", 400, "request line: other than printable ASCII"},
	{"empty line first", "\r\n" + get + "\r\n", 400, "request line: empty"},
	{"folded field", get + "A: b\r\n c\r\n\r\n", 400, "field: folded onto a second line"},
	{"folded with a tab", get + "A: b\r\n\tc\r\n\r\n", 400, "field: folded onto a second line"},
	{"fold before any field", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400, "field: folded onto a second line"},
	{"space before the colon", get + "Content-Length : 3\r\n\r\nabc", 400, "field name: other than the characters of a token"},
	{"tab before the colon", get + "A\t: 3\r\n\r\nabc", 400, "field name: other than the characters of a token"},
	{"empty name", get + ": b\r\n\r\n", 400, "field name: other than the characters of a token"},
	{"name in Latin 1", get + "\xc4: b\r\n\r\n", 400, "field name: other than the characters of a token"},
	{"no colon", get + "Content-Length\r\n\r\n", 400, "field: no colon"},
	{"fields beyond the count", get + strings.Repeat("a:\r\n", fieldsMax) + "\r\n", 431, "fields: more than 100"},
	{"target beyond the head", "GET /" + strings.Repeat("a", 1024), 414, "request line: more than 1024 bytes"},
	{"fields beyond the head", get + "A: " + strings.Repeat("a", 1024), 431, "fields: more than 1024 bytes"},

	{"one word", "GET\r\n\r\n", 400, "request line: not a method, a target and a version"},
	{"HTTP/0.9", "GET /\r\n\r\n", 400, "request line: not a method, a target and a version"},
	{"no method", " / HTTP/1.1\r\n\r\n", 400, "request line: not a method, a target and a version"},
	{"two spaces", "GET  / HTTP/1.1\r\n\r\n", 400, "request line: not a method, a target and a version"},
	{"space at the end", "GET / HTTP/1.1 \r\n\r\n", 400, "request line: not a method, a target and a version"},
	{"space in the target", "GET /a b HTTP/1.1\r\n\r\n", 400, "request line: not a method, a target and a version"},
	{"version in lower case", "GET / http/1.1\r\n\r\n", 400, "request line: not a method, a target and a version"},
	{"method with a slash", "GE/T / HTTP/1.1\r\n\r\n", 400, "method: other than the characters of a token"},
	{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "version: want HTTP/1.1"},
	{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: h\r\n\r\n", 505, "version: want HTTP/1.1"},
	{"HTTP/0.9 in words", "GET / HTTP/0.9\r\nHost: h\r\n\r\n", 505, "version: want HTTP/1.1"},
	{"CONNECT", "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", 501, "method: CONNECT"},

	{"target without a slash", "GET v1/poll HTTP/1.1\r\nHost: h\r\n\r\n", 400, "target: malformed"},
	{"broken percent-encoding", "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n", 400, "target: malformed"},
	{"opaque target", "GET mailto:a HTTP/1.1\r\nHost: h\r\n\r\n", 400, "target: malformed"},
	{"user in the target", "GET http://u:p@h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400, "target: malformed"},
	{"scheme without host", "GET http:/a HTTP/1.1\r\nHost: h\r\n\r\n", 400, "target: malformed"},
	{"other scheme", "GET file://h/etc HTTP/1.1\r\nHost: h\r\n\r\n", 400, "target: want http or https"},
	{"no Host", "GET / HTTP/1.1\r\n\r\n", 400, "Host: missing"},
	{"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, "Host: missing"},
	{"two Hosts", get + "Host: h\r\n\r\n", 400, "Host: given more than once"},
	{"Host with a path", "GET / HTTP/1.1\r\nHost: h/a\r\n\r\n", 400, "Host: malformed"},
	{"Host with a user", "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", 400, "Host: malformed"},
	{"Host with a space", "GET / HTTP/1.1\r\nHost: h g\r\n\r\n", 400, "Host: malformed"},
	{"Host in Latin 1", "GET / HTTP/1.0\r\nHost: \xe4\r\n\r\n", 400, "Host: malformed"},
	{"other expectation", post + "Expect: tea\r\n\r\n", 417, "Expect: want 100-continue"},
	{"two expectations", post + "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n", 417, "Expect: want 100-continue"},

	{"length beside chunks", post + "Content-Length: 5\r\n" + in + "0\r\n\r\n", 400, "Content-Length: beside Transfer-Encoding"},
	{"chunks beside length", post + "Transfer-Encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n", 400, "Content-Length: beside Transfer-Encoding"},
	{"chunks of HTTP/1.0", "POST / HTTP/1.0\r\n" + in + "0\r\n\r\n", 400, "Transfer-Encoding: not in HTTP/1.0"},
	{"two codings in two fields", post + "Transfer-Encoding: chunked\r\n" + in, 400, "Transfer-Encoding: given more than once"},
	{"two codings in one field", post + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "Transfer-Encoding: want chunked alone"},
	{"chunked twice", post + "Transfer-Encoding: chunked, chunked\r\n\r\n", 501, "Transfer-Encoding: want chunked alone"},
	{"identity", post + "Transfer-Encoding: identity\r\n\r\n", 501, "Transfer-Encoding: want chunked alone"},
	{"empty coding", post + "Transfer-Encoding:\r\n\r\n", 501, "Transfer-Encoding: want chunked alone"},
	{"Kelvin sign for k", post + "Transfer-Encoding: chun\u212aed\r\n\r\n", 501, "Transfer-Encoding: want chunked alone"},
	{"two lengths", post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400, "Content-Length: given more than once"},
	{"the same length twice", post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400, "Content-Length: given more than once"},
	{"a list of lengths", post + "Content-Length: 5, 5\r\n\r\nhello", 400, "Content-Length: not a whole number"},
	{"negative length", post + "Content-Length: -1\r\n\r\n", 400, "Content-Length: not a whole number"},
	{"length with a sign", post + "Content-Length: +5\r\n\r\n", 400, "Content-Length: not a whole number"},
	{"length in hex", post + "Content-Length: 0x5\r\n\r\n", 400, "Content-Length: not a whole number"},
	{"empty length", post + "Content-Length:\r\n\r\n", 400, "Content-Length: empty"},
	{"length one beyond", post + "Content-Length: 513\r\n\r\n", 413, "body: more than 512 bytes"},
	{"length of 2^63", post + "Content-Length: 9223372036854775808\r\n\r\n", 413, "body: more than 512 bytes"},
	{"length of 2^64+5", post + "Content-Length: 18446744073709551621\r\n\r\n", 413, "body: more than 512 bytes"},
	{"length of 10^40", post + "Content-Length: 1" + strings.Repeat("0", 40) + "\r\n\r\n", 413, "body: more than 512 bytes"},
	{"length with continue", post + "Expect: 100-continue\r\nContent-Length: 513\r\n\r\n", 413, "body: more than 512 bytes"},

	{"chunk without size", post + in + "\r\n", 400, "chunk size: no digit"},
	{"chunk that begins with its extension", post + in + ";a\r\n", 400, "chunk size: no digit"},
	{"negative chunk", post + in + "-1\r\n", 400, "chunk size: no digit"},
	{"chunk with 0x", post + in + "0x5\r\nhello\r\n", 400, "chunk size: not a hexadecimal number"},
	{"chunk with a space", post + in + "5 \r\nhello\r\n", 400, "chunk size: not a hexadecimal number"},
	{"size ended by LF", post + in + "5\nhello\r\n", 400, "chunk size: not a hexadecimal number"},
	{"size with CR inside", post + in + "5\r5\nhello", 400, "chunk size: CR without LF behind it"},
	{"size of 17 digits", post + in + strings.Repeat("0", 17), 400, "chunk size: more than 16 digits"},
	{"chunk one beyond", post + in + "201\r\n", 413, "body: more than 512 bytes"},
	{"chunk of 2^63", post + in + "8000000000000000\r\n", 413, "body: more than 512 bytes"},
	{"chunk of 2^64-1", post + in + "ffffffffffffffff\r\n", 413, "body: more than 512 bytes"},
	{"chunks together one beyond", post + in + "1\r\na\r\n200\r\n", 413, "body: more than 512 bytes"},
	{"one digit beyond what is left", post + in + "1ff\r\n" + strings.Repeat("a", 511) + "\r\nf", 413, "body: more than 512 bytes"},
	{"contents beyond the size", post + in + "5\r\nhello!\r\n", 400, "chunk: longer than its size"},
	{"contents ended by LF", post + in + "5\r\nhello\n", 400, "chunk: longer than its size"},
	{"contents ended by CR", post + in + "5\r\nhello\r0\r\n", 400, "chunk: CR without LF behind it"},
	{"extension ended by LF", post + in + "5;a\nhello\r\n", 400, "chunk extension: a control character"},
	{"NUL in an extension", post + in + "5;\x00\r\nhello\r\n", 400, "chunk extension: a control character"},
	{"long extension", post + in + "5;" + strings.Repeat("a", 1025), 400, "chunk extensions: more than 1024 bytes"},
	{"many extensions", post + in + strings.Repeat("1;"+strings.Repeat("e", 99)+"\r\na\r\n", 11), 400, "chunk extensions: more than 1024 bytes"},
	{"trailer beyond the head", post + in + "0\r\nA: " + strings.Repeat("a", 1024), 431, "fields: more than 1024 bytes"},
	{"fields of a trailer beyond the count", post + in + "0\r\n" + strings.Repeat("a:\r\n", 101), 431, "fields: more than 100"},
	{"folded trailer", post + in + "0\r\nA: b\r\n c\r\n\r\n", 400, "field: folded onto a second line"},
	{"trailer without colon", post + in + "0\r\nA\r\n\r\n", 400, "field: no colon"},
	{"trailer ended by LF", post + in + "0\r\n\n", 400, "line: LF without CR before it"},
}

func TestRefusals(t *testing.T) {
	for _, tt := range refusals {
		t.Run(tt.name, func(t *testing.T) {
			got := feedAllWays(t, limits, []byte(tt.in))
			if got.refusal == nil || got.refusal.Status != tt.status || got.refusal.Message != tt.message {
				t.Errorf("%q is refused with %v, want %d %s", tt.in, got.refusal, tt.status, tt.message)
			}
			if len(got.requests) > 0 {
				t.Errorf("%q has a request before it is refused: %v", tt.in, got)
			}
		})
	}
}

// TestTooLongBodyKeepsItsRequest: who sent too long a body is known, and only
// then is a request told of with a refusal.
func TestTooLongBodyKeepsItsRequest(t *testing.T) {
	for _, tt := range refusals {
		got := feedAllWays(t, limits, []byte(strings.Replace(tt.in, "Host: h", "Host: h\r\nOrigin: http://a", 1)))
		switch r := got.refusal; {
		case r == nil: // the other field has made it another refusal, or none
		case r.Status != 413:
			if r.Request != nil {
				t.Errorf("%s: refused with %v and the request %+v", tt.name, r, r.Request)
			}
		case r.Request == nil || r.Request.Path != "/v1/poll" || r.Request.Header.Get("Origin") != "http://a" || !r.Request.Close ||
			r.Request.Body != nil || len(r.Request.Header["Content-Length"]) > 0:
			t.Errorf("%s: refused with the request %+v, want it without its body", tt.name, r.Request)
		}
	}
}

// TestRefusedBehindAnother: a request is given out, though the one behind it in
// the same read cannot be.
func TestRefusedBehindAnother(t *testing.T) {
	got := feedAllWays(t, limits, []byte(get+"\r\n"+"GET\r\n\r\n"))
	if len(got.requests) != 1 || got.refusal == nil || got.refusal.Status != 400 {
		t.Errorf("got %v, want one request and a refusal", got)
	}
}

// TestEveryByteOfHead walks all bytes at each kind of place in a head and holds
// the verdict to RFC 9110 and 9112.
func TestEveryByteOfHead(t *testing.T) {
	graph := func(c byte) bool { return c > ' ' && c < 0x7f }
	places := []struct {
		name, format string
		good         func(c byte) bool
	}{
		{"method", "G%sT / HTTP/1.1\r\nHost: h\r\n\r\n", isToken},
		{"target", "GET /%s HTTP/1.1\r\nHost: h\r\n\r\n", func(c byte) bool { return graph(c) && c != '%' }},
		{"query", "GET /?%s HTTP/1.1\r\nHost: h\r\n\r\n", graph},
		{"name", "GET / HTTP/1.1\r\nHost: h\r\nA%sB: c\r\n\r\n", func(c byte) bool { return isToken(c) || c == ':' }},
		{"value", "GET / HTTP/1.1\r\nHost: h\r\nA: b%sc\r\n\r\n", func(c byte) bool { return c == '\t' || c >= ' ' && c != 0x7f }},
		{"version", "GET / HTTP/1.%s\r\nHost: h\r\n\r\n", func(c byte) bool { return c == '0' || c == '1' }},
	}
	for _, place := range places {
		for c := range 256 {
			in := []byte(fmt.Sprintf(place.format, string([]byte{byte(c)})))
			got := feed(t, limits, whole(in))
			if want := place.good(byte(c)); (got.refusal == nil) != want {
				t.Errorf("%s with byte %#x: %v, want it accepted: %v", place.name, c, got, want)
			}
			for i, r := range got.requests {
				checkLikeNetHTTP(t, r, in[:got.ends[i]])
			}
		}
	}
}
