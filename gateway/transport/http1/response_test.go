package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// readResponse reads an answer as net/http's client does.
func readResponse(t *testing.T, b []byte, method string) (*http.Response, string) {
	t.Helper()
	src := bytes.NewReader(b)
	buf := bufio.NewReader(src)
	r, err := http.ReadResponse(buf, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("net/http refuses %q: %v", b, err)
	}
	contents, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("net/http refuses the body of %q: %v", b, err)
	}
	if rest := buf.Buffered() + src.Len(); rest != 0 {
		t.Fatalf("net/http leaves %d bytes of %q", rest, b)
	}
	return r, string(contents)
}

func TestAppendResponse(t *testing.T) {
	const want = "before" + "HTTP/1.1 429 Too Many Requests\r\n" +
		"Content-Length: 2\r\n" +
		"Connection: close\r\n" +
		"Cache-Control: no-store\r\n" +
		"Content-Type: application/json\r\n" +
		"Retry-After: 3\r\n" +
		"\r\n{}"
	got := AppendResponse([]byte("before"), 429, true, []byte("{}"),
		Field{"Content-Type", "application/json"}, Field{"Retry-After", "3"})
	if string(got) != want {
		t.Errorf("AppendResponse = %q, want %q", got, want)
	}
}

// TestEveryStatusIsUnderstood: with and without a body, kept open and closed,
// net/http's client finds the answer's end where it is.
func TestEveryStatusIsUnderstood(t *testing.T) {
	for status := 200; status < 600; status++ {
		for _, body := range []string{"", "[]"} {
			for _, close := range []bool{false, true} {
				b := AppendResponse(nil, status, close, []byte(body))
				r, got := readResponse(t, b, http.MethodGet)
				want := body
				if status == 204 || status == 304 {
					want = ""
				}
				if r.StatusCode != status || got != want || r.Close != close || r.Header.Get("Cache-Control") != "no-store" {
					t.Fatalf("AppendResponse(%d, %v, %q) is %v, %q", status, close, body, r, got)
				}
			}
		}
	}
}

// TestFieldsCannotInject: a value that came from outside stays one value.
func TestFieldsCannotInject(t *testing.T) {
	evil := Field{"Access-Control-Allow-Origin", "http://a\r\nSet-Cookie: a=b\n\nbody\x00"}
	for _, b := range [][]byte{
		AppendResponse(nil, 200, false, nil, evil),
		AppendLastChunk(AppendStreamHead(nil, evil)),
	} {
		r, body := readResponse(t, b, http.MethodGet)
		want := strings.TrimSpace(strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ").Replace(evil.Value))
		if got := r.Header.Get(evil.Name); got != want || body != "" || r.Header.Get("Set-Cookie") != "" {
			t.Errorf("%q is read as %q, body %q", b, r.Header, body)
		}
	}
}

func TestStream(t *testing.T) {
	b := AppendStreamHead(nil, Field{"X-Accel-Buffering", "no"})
	var want strings.Builder
	for i := range 20 {
		event := "id: " + strconv.Itoa(i) + "\ndata: " + strings.Repeat("x", i*i) + "\n\n"
		want.WriteString(event)
		b = AppendChunk(b, []byte(event))
		b = AppendChunk(b, nil) // ends nothing
	}
	r, got := readResponse(t, AppendLastChunk(b), http.MethodGet)
	if got != want.String() {
		t.Errorf("the stream is %q, want %q", got, want.String())
	}
	if r.StatusCode != 200 || r.Close || r.ContentLength != -1 || r.Header.Get("Content-Type") != "text/event-stream" ||
		r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("X-Accel-Buffering") != "no" {
		t.Errorf("the head is %v", r)
	}
}
