package http1

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unsafe"
)

// held is the memory that a parser owns besides itself and a parsed head.
func held(p *Parser) int {
	if p.part == nil {
		return 0
	}
	return int(unsafe.Sizeof(*p.part)) + cap(p.part.head) + cap(p.part.body.data)
}

// TestIdleHoldsNothing: a connection between requests costs the parser's own words.
func TestIdleHoldsNothing(t *testing.T) {
	if size := unsafe.Sizeof(Parser{}); size > 32 {
		t.Errorf("a Parser is %d bytes, want at most 32", size)
	}
	for _, tt := range accepted {
		p := NewParser(limits)
		for _, b := range bytewise([]byte(tt.in)) {
			if _, _, err := p.Next(b); err != nil {
				t.Fatal(err)
			}
		}
		if !p.Idle() || held(&p) != 0 {
			t.Errorf("%s: idle %v, %d bytes held after the request", tt.name, p.Idle(), held(&p))
		}
	}
	for _, tt := range refusals {
		p := NewParser(limits)
		_, _, _ = p.Next([]byte(tt.in))
		if held(&p) != 0 {
			t.Errorf("%s: %d bytes held after the refusal", tt.name, held(&p))
		}
	}
}

// lies declare much more than they send.
var lies = []struct{ name, head string }{
	{"Content-Length", post + "Content-Length: 1000000\r\n\r\n"},
	{"chunk size", post + "Transfer-Encoding: chunked\r\n\r\nf4240\r\n"},
	{"chunk size and continue", post + "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\nf4240;ext\r\n"},
}

// TestHeldIsWhatCame: at every step of a body that was declared as a megabyte, a
// parser holds at most twice what has come.
func TestHeldIsWhatCame(t *testing.T) {
	overhead := int(unsafe.Sizeof(message{})) + 64 // and what the allocator rounds up
	for _, lie := range lies {
		for _, size := range []int{1, 7, 100, 4096} {
			p := NewParser(Limits{HeadBytes: HeadBytesMax, BodyBytes: 1 << 20})
			in := lie.head + strings.Repeat("x", 40*size)
			came, piece := 0, []byte(nil)
			for len(in) > 0 {
				piece, in = []byte(in[:min(size, len(in))]), in[min(size, len(in)):]
				if _, _, err := p.Next(piece); err != nil {
					t.Fatal(err)
				}
				came += len(piece)
				if got := held(&p); got > 2*came+overhead {
					t.Fatalf("%s in pieces of %d: %d bytes held of %d that came", lie.name, size, got, came)
				}
			}
		}
	}
}

// allocated is how many bytes n runs of f allocate, for each run. Other goroutines
// of the test binary sleep meanwhile.
func allocated(n int, f func()) int {
	f()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		f()
	}
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc-before.TotalAlloc) / n
}

// TestAmplification: what a peer makes the parser allocate is in proportion to
// what it sent, for the worst that is known of heads and for lies of length.
func TestAmplification(t *testing.T) {
	var distinct strings.Builder
	for i := range fieldsMax - 1 {
		fmt.Fprintf(&distinct, "x%d:\r\n", i)
	}
	inputs := map[string]string{
		"many fields":           get + distinct.String() + "\r\n",
		"one field many times":  get + strings.Repeat("a:\r\n", fieldsMax-1) + "\r\n",
		"long value":            get + "A: " + strings.Repeat("a", 10_000) + "\r\n\r\n",
		"long target":           "GET /" + strings.Repeat("%41", 3_000) + " HTTP/1.1\r\nHost: h\r\n\r\n",
		"long host":             "GET / HTTP/1.1\r\nHost: " + strings.Repeat("h", 10_000) + "\r\n\r\n",
		"long connection":       get + "Connection: " + strings.Repeat("a,", 5_000) + "\r\n\r\n",
		"fields over the count": get + strings.Repeat("a:\r\n", 2_500),
	}
	for _, lie := range lies {
		inputs["lie of "+lie.name] = lie.head + "x"
	}
	for name, in := range inputs {
		b := []byte(in)
		got := allocated(100, func() {
			p := NewParser(Limits{HeadBytes: HeadBytesMax, BodyBytes: 1 << 20})
			_, _, _ = p.Next(b)
		})
		t.Logf("%-32s %6d bytes in, %6d allocated", name, len(b), got)
		if got > 4*len(b)+16<<10 {
			t.Errorf("%s: %d bytes allocated for %d that came", name, got, len(b))
		}
	}
}

// TestAllocations counts those of what connections do all day.
func TestAllocations(t *testing.T) {
	poll := []byte("GET /v1/poll?seq=7 HTTP/1.1\r\nHost: gw-1.example.com\r\nAuthorization: Bearer s.t\r\nAccept: */*\r\n\r\n")
	send := []byte(post + "Authorization: Bearer s.t\r\nContent-Length: 64\r\n\r\n" + strings.Repeat("x", 64))
	buf := make([]byte, 0, 1024)
	body := []byte("[]")
	tests := []struct {
		name string
		most float64
		do   func()
	}{
		{"GET", 8, func() { p := NewParser(limits); _, _, _ = p.Next(poll) }},
		{"POST", 9, func() { p := NewParser(limits); _, _, _ = p.Next(send) }},
		{"GET, incomplete", 2, func() { p := NewParser(limits); _, _, _ = p.Next(poll[:60]) }},
		{"nothing", 0, func() { p := NewParser(limits); _, _, _ = p.Next(nil) }},
		{"AppendResponse", 0, func() { buf = AppendResponse(buf[:0], 200, false, body, Field{"A", "b"}) }},
		{"AppendStreamHead", 0, func() { buf = AppendStreamHead(buf[:0], Field{"A", "b"}) }},
		{"AppendChunk", 0, func() { buf = AppendLastChunk(AppendChunk(buf[:0], body)) }},
	}
	for _, tt := range tests {
		if got := testing.AllocsPerRun(100, tt.do); got > tt.most {
			t.Errorf("%s allocates %v times, want at most %v", tt.name, got, tt.most)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	in := []byte("GET /v1/poll?seq=7 HTTP/1.1\r\nHost: gw-1.example.com\r\nAuthorization: Bearer 0123456789abcdef.0123456789abcdef\r\nAccept: */*\r\nUser-Agent: curl/8.14.1\r\n\r\n")
	p := NewParser(limits)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if r, _, err := p.Next(in); r == nil || err != nil {
			b.Fatal(err)
		}
	}
}
