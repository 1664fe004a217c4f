package proof

import (
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// ws is a connection that has become a WebSocket.
func ws(conn net.Conn) error {
	_, err := becomeWebSocket(conn, "")
	return err
}

// TestDeclaredLengths declares lengths that nobody could mean, each on many
// connections. All are refused for the declaration alone, and nothing was
// allocated for any.
func TestDeclaredLengths(t *testing.T) {
	const each = 100
	g := deploy(t, options{})
	before := g.usage()
	total := 0
	for _, length := range []uint32{1 << 24, 1 << 31, 1<<31 - 1, 1<<32 - 1, 0} {
		b := append(binary.BigEndian.AppendUint32(nil, length), 1)
		if length >= 1<<24 { // it does not begin with 0, so it is a frame only by default
			total += g.refuses(t, fmt.Sprintf("tcp %d", length), nil, b, each, 4501)
			continue
		}
		total += g.refuses(t, fmt.Sprintf("tcp %d", length), nil, b, each, 4500)
	}
	for length, code := range map[uint64]int{
		64<<10 + 1: 4501, 1 << 31: 4501, 1 << 32: 4501, 1<<63 - 1: 4501, // a length of 63 bits is well-formed
		1 << 63: 1002, 1<<64 - 1: 1002, // RFC 6455 section 5.2: the most significant bit must be 0
	} {
		total += g.refuses(t, fmt.Sprintf("ws %d", length), ws, wsHead(wsBinary, length), each, code)
	}
	for _, length := range []string{"65537", "2147483648", "9223372036854775807", "9223372036854775808", "18446744073709551617", "-1", "+5", "0x10", "5, 6"} {
		total += g.answers(t, fmt.Sprintf("POST /v1/poll HTTP/1.1\r\nHost: h\r\nContent-Length: %s\r\n\r\n", length), each)
	}
	for _, size := range []string{"-1", "10001", "80000000", "7fffffffffffffff", "8000000000000000", "fffffffffffffff0", "10000000000000000", "+1", "0x1", ""} {
		total += g.answers(t, "POST /v1/poll HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"+size+"\r\n", each)
	}
	after := g.usage()
	grown := g.memory("VmHWM") - before.rss
	testenv.Figure(t, "P18", "%d declared lengths of up to 2^64 on tcp, WebSocket, Content-Length and chunks: all refused, %+.1f MB resident at most, %d goroutines more",
		total, float64(grown)/1e6, after.goroutines-before.goroutines)
	if grown > 64<<20 { // what a few thousand connections leave as garbage
		t.Errorf("%d MB more were resident", grown>>20)
	}
}

// refuses says b on many connections and wants each closed with a code.
func (g *target) refuses(t *testing.T, what string, introduce func(net.Conn) error, b []byte, n, code int) int {
	t.Helper()
	c := gather(t, n, g.edge, introduce)
	c.say(b)
	for _, e := range c {
		select {
		case <-e.ended:
		case <-time.After(patience):
			t.Fatalf("%s: not closed", what)
		}
		if got := e.closeCode(introduce != nil); got != code {
			t.Fatalf("%s: closed with %d, want %d; it said %.200q", what, got, code, e.said)
		}
	}
	return n
}

// answers sends a request on many connections and wants each answered with a
// refusal and closed.
func (g *target) answers(t *testing.T, request string, n int) int {
	t.Helper()
	c := gather(t, n, g.edge, nil)
	c.say([]byte(request))
	for _, e := range c {
		select {
		case <-e.ended:
		case <-time.After(patience):
			t.Fatalf("%.200q: not closed", request)
		}
		if !strings.HasPrefix(string(e.said), "HTTP/1.1 4") && !strings.HasPrefix(string(e.said), "HTTP/1.1 5") {
			t.Fatalf("%.200q: answered %.200q, want a refusal", request, e.said)
		}
	}
	return n
}

// TestNoCompression offers compression in every way that clients do: none is
// agreed, and a frame that claims to be compressed is a fault of the WebSocket
// layer. So nothing is ever inflated for anybody.
func TestNoCompression(t *testing.T) {
	g := deploy(t, options{})
	for _, offer := range []string{
		"permessage-deflate", "permessage-deflate; client_max_window_bits", "permessage-deflate; server_no_context_takeover; client_max_window_bits=8",
		"x-webkit-deflate-frame", "permessage-bzip2, permessage-deflate",
	} {
		g.compresses(t, "Sec-WebSocket-Extensions: "+offer+"\r\n")
	}
	e := provoke(t, g.edge, nil, httpCall("POST /v1/poll", "Content-Encoding: gzip\r\nAccept-Encoding: gzip\r\nConnection: close\r\n", "\x1f\x8b\x08\x00\x00\x00\x00\x00"))
	if said := string(e.said); !strings.HasPrefix(said, "HTTP/1.1 400 ") || strings.Contains(said, "Content-Encoding") {
		t.Errorf("a gzip body is answered %.200q, want 400", said)
	}
}

func (g *target) compresses(t *testing.T, offer string) {
	t.Helper()
	var head string
	e := provoke(t, g.edge, func(conn net.Conn) (err error) {
		head, err = becomeWebSocket(conn, offer)
		return err
	}, wsFrame(wsBinary|wsReserved, bare(&wire.Frame{Type: wire.TypeHello, Payload: []byte(`{"protocol":1,"token":"a"}`)})))
	if strings.Contains(strings.ToLower(head), "extensions") {
		t.Errorf("%q is answered %q, want no extension", offer, head)
	}
	if code := e.closeCode(true); code != 1002 {
		t.Errorf("%q: a frame with RSV1 is closed with %d, want 1002", offer, code)
	}
}

// TestFragments sends messages in as many pieces as there can be: too many, too
// long together, endless empty ones, one inside another.
func TestFragments(t *testing.T) {
	g := deploy(t, options{})
	piece := wsFrame(wsMore, make([]byte, 1<<10))
	for _, tt := range []struct {
		name  string
		b     []byte
		codes []int
	}{
		{"too long together", append(wsFrame(wsFragment, make([]byte, 1<<10)), repeat(piece, 64)...), []int{4501}},
		{"a byte each", append(wsFrame(wsFragment, []byte{1}), repeat(wsFrame(wsMore, []byte{1}), 70_000)...), []int{1009, 4501}},
		{"empty for ever", append(wsFrame(wsFragment, []byte{1}), repeat(wsFrame(wsMore, nil), 1_000_000)...), []int{1009}},
		{"one inside another", append(wsFrame(wsFragment, []byte{1}), wsFrame(wsFragment, []byte{1})...), []int{1002}},
		{"the rest of nothing", wsFrame(wsMore, []byte{1}), []int{1002}},
	} {
		before := g.cpu()
		e := provoke(t, g.edge, ws, tt.b)
		found := false
		got := e.closeCode(true)
		for _, code := range tt.codes {
			found = found || got == code
		}
		if !found {
			t.Errorf("%s: closed with %d, want one of %v; it said %.100q", tt.name, got, tt.codes, e.said)
		}
		t.Logf("%s: %d KB, %d, %v of processor time", tt.name, len(tt.b)>>10, got, g.cpu()-before)
	}
}

func repeat(b []byte, n int) []byte { return []byte(strings.Repeat(string(b), n)) }
