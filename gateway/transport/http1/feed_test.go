package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// limits are what most tests parse with: small, so that bounds are met.
var limits = Limits{HeadBytes: 1024, BodyBytes: 512}

// whole, bytewise and cut are the ways in which input arrives.
func whole(in []byte) [][]byte { return [][]byte{in} }

func bytewise(in []byte) [][]byte { return slices.Collect(slices.Chunk(in, 1)) }

func cut(in []byte, at int) [][]byte {
	at = max(0, min(at, len(in)))
	return [][]byte{in[:at], in[at:]}
}

// outcome is what a connection's input comes to.
type outcome struct {
	requests []*Request
	ends     []int // where in the input each request ended
	idle     bool
	refusal  *Error
}

func (o outcome) String() string {
	var s strings.Builder
	for i, r := range o.requests {
		fmt.Fprintf(&s, "%+v until %d; ", *r, o.ends[i])
	}
	fmt.Fprintf(&s, "idle %v, error %v", o.idle, o.refusal)
	return s.String()
}

// feed parses pieces as a connection would, and holds Next to what it promises
// of its results at each step.
func feed(t testing.TB, l Limits, pieces [][]byte) (o outcome) {
	t.Helper()
	p := NewParser(l)
	taken := 0
	for _, b := range pieces {
		for len(b) > 0 {
			kept := bytes.Clone(b)
			r, n, err := p.Next(b)
			if !bytes.Equal(b, kept) {
				t.Fatal("Next wrote to its input")
			}
			taken += n
			switch {
			case err != nil:
				if !errors.As(err, &o.refusal) || r != nil || n != len(b) || p.Idle() {
					t.Fatalf("Next(%q) = %v, %d, %v", b, r, n, err)
				}
				if _, _, again := p.Next([]byte("GET")); again != err {
					t.Fatalf("after %v Next = %v", err, again)
				}
				return o
			case r == nil:
				if n != len(b) || p.Idle() {
					t.Fatalf("Next(%q) = nil, %d, idle %v: want all taken", b, n, p.Idle())
				}
			default:
				if n == 0 || !p.Idle() {
					t.Fatalf("Next(%q) = a request, %d, idle %v", b, n, p.Idle())
				}
				o.requests = append(o.requests, r)
				o.ends = append(o.ends, taken)
			}
			b = b[n:]
		}
	}
	o.idle = p.Idle()
	return o
}

// feedAllWays feeds in whole, byte by byte and cut in two at every place, and
// wants the same outcome.
func feedAllWays(t testing.TB, l Limits, in []byte) outcome {
	t.Helper()
	want := feed(t, l, whole(in))
	if got := feed(t, l, bytewise(in)); !reflect.DeepEqual(got, want) {
		t.Errorf("byte by byte %v\nwhole %v", got, want)
	}
	for at := 1; at < len(in); at += 1 + len(in)/128 {
		if got := feed(t, l, cut(in, at)); !reflect.DeepEqual(got, want) {
			t.Errorf("cut at %d %v\nwhole %v", at, got, want)
		}
	}
	return want
}

// serialise writes a request as a client would.
func serialise(r *Request, chunked bool) []byte {
	target := r.Path
	if r.RawQuery != "" {
		target += "?" + r.RawQuery
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.%d\r\n", r.Method, target, r.Minor)
	if r.Host != "" {
		fmt.Fprintf(&b, "Host: %s\r\n", r.Host)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		for _, v := range r.Header[name] {
			fmt.Fprintf(&b, "%s: %s\r\n", name, v)
		}
	}
	if !chunked {
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(r.Body), r.Body)
		return b.Bytes()
	}
	b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
	half := len(r.Body) / 2
	chunks := AppendChunk(AppendChunk(nil, r.Body[:half]), r.Body[half:])
	b.Write(AppendLastChunk(chunks))
	return b.Bytes()
}

// checkRoundTrip holds a request to what a client would have to send for it: the
// same comes back, by length and, where there are chunks, in chunks.
func checkRoundTrip(t testing.TB, r *Request) {
	t.Helper()
	l := Limits{HeadBytes: 64 << 10, BodyBytes: 64 << 10} // written anew it may be longer
	for _, chunked := range []bool{false, true} {
		if chunked && r.Minor == 0 {
			continue
		}
		in := serialise(r, chunked)
		got := feed(t, l, whole(in))
		if got.refusal != nil || len(got.requests) != 1 || !reflect.DeepEqual(got.requests[0], r) {
			t.Fatalf("%q\ncomes back as %v\nwant %+v", in, got, *r)
		}
	}
}

// checkLikeNetHTTP holds a request to what net/http reads of the same bytes: what
// is accepted here is accepted there, means the same and ends at the same place.
func checkLikeNetHTTP(t testing.TB, r *Request, in []byte) {
	t.Helper()
	src := bytes.NewReader(in)
	buf := bufio.NewReader(src)
	want, err := http.ReadRequest(buf)
	if err != nil {
		t.Fatalf("net/http refuses %q: %v", in, err)
	}
	contents, err := io.ReadAll(want.Body)
	if err != nil {
		t.Fatalf("net/http refuses the body of %q: %v", in, err)
	}
	if rest := buf.Buffered() + src.Len(); rest != 0 {
		t.Fatalf("net/http leaves %d bytes of %q", rest, in)
	}
	header := want.Header
	for _, name := range []string{"Content-Length", "Transfer-Encoding", "Trailer"} {
		header.Del(name)
	}
	if r.Header.Get("Pragma") != "" && r.Header["Cache-Control"] == nil {
		header.Del("Cache-Control") // net/http makes one of Pragma
	}
	path := want.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	wantURI := &url.URL{Path: path, RawQuery: want.URL.RawQuery}
	gotURI := &url.URL{Path: r.Path, RawQuery: r.RawQuery}
	if r.Method != want.Method || *gotURI != *wantURI || r.Minor != want.ProtoMinor || r.Host != want.Host {
		t.Fatalf("%q\nis %+v\nwant %+v", in, *r, *want)
	}
	if !reflect.DeepEqual(r.Header, header) || !bytes.Equal(r.Body, contents) {
		t.Fatalf("%q\nis %q, body %q\nwant %q, body %q", in, r.Header, r.Body, header, contents)
	}
	if r.Minor > 0 && r.Close != want.Close {
		t.Fatalf("%q: Close %v, want %v", in, r.Close, want.Close)
	}
}
