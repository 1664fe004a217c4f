package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// sink is a connection that reads from r and forgets what is written.
type sink struct {
	net.Conn
	r   io.Reader
	out bytes.Buffer
}

func (c *sink) Read(b []byte) (int, error)       { return c.r.Read(b) }
func (c *sink) Write(b []byte) (int, error)      { return c.out.Write(b) }
func (c *sink) SetReadDeadline(time.Time) error  { return nil }
func (c *sink) SetWriteDeadline(time.Time) error { return nil }

func overSink(r io.Reader, json bool) (*wsTransport, *sink) {
	c := &sink{r: r}
	return &wsTransport{conn: c, in: newInbox(c), json: json, within: time.Second}, c
}

// fragment makes a frame of the gateway's with another implementation.
func fragment(op ws.OpCode, fin bool, payload []byte) []byte {
	return ws.MustCompileFrame(ws.NewFrame(op, fin, payload))
}

// readFrame reads a frame of the client's with another implementation.
func readFrame(r io.Reader) (ws.OpCode, []byte, error) {
	h, err := ws.ReadHeader(r)
	if err != nil {
		return 0, nil, err
	}
	if !h.Masked {
		return 0, nil, errors.New("not masked")
	}
	payload := make([]byte, h.Length)
	_, err = io.ReadFull(r, payload)
	ws.Cipher(payload, h.Mask, 0)
	return h.OpCode, payload, err
}

func binaryFrame(t *testing.T, seq uint64, payload []byte) []byte {
	t.Helper()
	b, err := wire.Append(nil, &wire.Frame{Type: wire.TypePush, Seq: seq, Command: []byte("a.b"), Payload: payload})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestWebSocketReads: messages of many sizes, in fragments and with control
// frames inside, read in one byte at a time, in halves and at once.
func TestWebSocketReads(t *testing.T) {
	var stream []byte
	sizes := []int{0, 1, 100, 112, 113, 126, 4090, 65_520, 65_536, 100_000, 3}
	for i, n := range sizes {
		message := binaryFrame(t, uint64(i+1), bytes.Repeat([]byte{byte(i)}, n))
		if i%2 == 0 {
			stream = append(stream, fragment(ws.OpBinary, true, message)...)
			continue
		}
		third := len(message) / 3
		stream = append(stream, fragment(ws.OpBinary, false, message[:third])...)
		stream = append(stream, fragment(ws.OpPing, true, []byte{byte(i)})...)
		stream = append(stream, fragment(ws.OpContinuation, false, nil)...)
		stream = append(stream, fragment(ws.OpContinuation, false, message[third:2*third])...)
		stream = append(stream, fragment(ws.OpPong, true, nil)...)
		stream = append(stream, fragment(ws.OpContinuation, true, message[2*third:])...)
	}
	stream = append(stream, fragment(ws.OpClose, true, ws.NewCloseFrameBody(4008, "enough"))...)
	for name, r := range map[string]io.Reader{
		"one byte": iotest.OneByteReader(bytes.NewReader(stream)),
		"half":     iotest.HalfReader(bytes.NewReader(stream)),
		"all":      bytes.NewReader(stream),
	} {
		tr, c := overSink(r, false)
		for i, n := range sizes {
			f, err := tr.Read(time.Second)
			if err != nil || f.Seq != uint64(i+1) || !bytes.Equal(f.Payload, bytes.Repeat([]byte{byte(i)}, n)) {
				t.Fatalf("%s: frame %d = seq %d, %d bytes, %v, want %d bytes", name, i, f.Seq, len(f.Payload), err, n)
			}
		}
		f, err := tr.Read(time.Second)
		if err != nil || f.Type != wire.TypeClose || f.Code != wire.CloseLifetime || string(f.Reason) != "enough" {
			t.Errorf("%s: at the end %+v, %v, want CLOSE 4008 enough", name, f, err)
		}
		var pongs []byte
		for {
			op, payload, err := readFrame(&c.out)
			if err != nil {
				break
			}
			if op == ws.OpPong {
				pongs = append(pongs, payload...)
			}
		}
		if want := []byte{1, 3, 5, 7, 9}; !slices.Equal(pongs, want) {
			t.Errorf("%s: PONGs %v, want %v", name, pongs, want)
		}
	}
}

// TestWebSocketRefuses walks what RFC 6455 forbids a server, and our limits, each
// judged from as few bytes as tell.
func TestWebSocketRefuses(t *testing.T) {
	ping := binaryFrame(t, 1, nil)
	masked := ws.MustCompileFrame(ws.MaskFrame(ws.NewBinaryFrame(ping)))
	many := fragment(ws.OpBinary, false, nil)
	for range fragmentsMax {
		many = append(many, fragment(ws.OpContinuation, false, nil)...)
	}
	for _, tt := range []struct {
		name string
		in   []byte
		json bool
		code wire.CloseCode
	}{
		{"masked", masked, false, 1002},
		{"reserved bit", []byte{0xC2, 0}, false, 1002},
		{"opcode 3", []byte{0x83, 0}, false, 1002},
		{"opcode 11", []byte{0x8B, 0}, false, 1002},
		{"long ping", []byte{0x89, 126}, false, 1002},
		{"ping in fragments", []byte{0x09, 0}, false, 1002},
		{"16-bit length of 125", []byte{0x82, 126, 0, 125}, false, 1002},
		{"64-bit length of 65535", []byte{0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF}, false, 1002},
		{"top bit of a length", []byte{0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0}, false, 1009},
		{"17 MiB declared", []byte{0x82, 127, 0, 0, 0, 0, 0x01, 0x10, 0, 0}, false, 1009},
		{"continuation of nothing", []byte{0x80, 0}, false, 1002},
		{"message inside another", append(fragment(ws.OpBinary, false, []byte{5}), 0x82, 1), false, 1002},
		{"text on a binary connection", []byte{0x81, 2}, false, 1003},
		{"binary on a JSON connection", []byte{0x82, 2}, true, 1003},
		{"text that is not UTF-8", fragment(ws.OpText, true, []byte("{\"\xff\":1}")), true, 1007},
		{"close of one byte", fragment(ws.OpClose, true, []byte{3}), false, 1002},
		{"close code 1005", fragment(ws.OpClose, true, ws.NewCloseFrameBody(1005, "")), false, 1002},
		{"close reason that is not UTF-8", fragment(ws.OpClose, true, []byte{3, 0xE8, 0xFF}), false, 1007},
		{"fragments for ever", many, false, 1009},
		{"an empty message", fragment(ws.OpBinary, true, nil), false, wire.CloseProtocolError},
	} {
		tr, _ := overSink(bytes.NewReader(tt.in), tt.json)
		_, err := tr.Read(time.Second)
		var broken *wire.ProtocolError
		if !errors.As(err, &broken) || broken.Code != tt.code {
			t.Errorf("%s: %v, want %d", tt.name, err, tt.code)
		}
	}
}

// TestWebSocketWrites has another implementation read what we send.
func TestWebSocketWrites(t *testing.T) {
	for _, json := range []bool{false, true} {
		tr, c := overSink(nil, json)
		var b []byte
		sizes := []int{0, 100, 112, 113, 125, 126, 65_519, 65_520, 65_536, 200_000}
		for i, n := range sizes {
			var err error
			f := wire.Frame{Type: wire.TypeRequest, ID: uint32(i + 1), Command: []byte("a.b"), Payload: bytes.Repeat([]byte{byte(i)}, n)}
			if b, err = tr.Append(b, &f); err != nil {
				t.Fatal(err)
			}
		}
		b, _ = tr.Append(b, &wire.Frame{Type: wire.TypeClose, Code: wire.CloseKicked})
		if err := errors.Join(tr.Write(b, time.Second), tr.CloseWrite()); err != nil {
			t.Fatal(err)
		}
		for i := range len(sizes) + 1 {
			message, op, err := wsutil.ReadClientData(&c.out)
			if err != nil || (op == ws.OpText) != json {
				t.Fatalf("message %d: op %v, %v", i, op, err)
			}
			f, err := wire.Parse(message, wire.FromClient)
			if json {
				f, err = wire.ParseJSON(message, wire.FromClient)
			}
			if err != nil || i < len(sizes) && !bytes.Equal(f.Payload, bytes.Repeat([]byte{byte(i)}, sizes[i])) {
				t.Errorf("message %d: %d bytes, %v", i, len(f.Payload), err)
			}
		}
		_, last, err := readFrame(&c.out)
		if err != nil {
			t.Fatal(err)
		}
		if code, _ := ws.ParseCloseFrameData(last); code != 4504 {
			t.Errorf("WebSocket close code %d, want that of the CLOSE, 4504", code)
		}
	}
}

// TestMask compares with the plain definition, at every length up to three words.
func TestMask(t *testing.T) {
	key := [4]byte{1, 2, 4, 8}
	for n := range 25 {
		b, want := bytes.Repeat([]byte{0xA0}, n), bytes.Repeat([]byte{0xA0}, n)
		for i := range want {
			want[i] ^= key[i%4]
		}
		if mask(b, key); !bytes.Equal(b, want) {
			t.Errorf("mask of %d bytes = %x, want %x", n, b, want)
		}
	}
}

// TestUpgradeRefused: every answer that is not the right one, and what it is
// taken for.
func TestUpgradeRefused(t *testing.T) {
	const key = "dGhlIHNhbXBsZSBub25jZQ==" // RFC 6455 section 1.3, as is its answer
	const accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
	const ok = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
	const sub = "Sec-WebSocket-Protocol: holdfast.v1\r\n"
	for _, tt := range []struct{ name, in, want string }{
		{"right", ok + accept + sub + "\r\nrest", ""},
		{"another key's", ok + strings.Replace(accept, "s3p", "S3p", 1) + sub + "\r\n", "Sec-WebSocket-Accept"},
		{"no upgrade", strings.Replace(ok, "Upgrade: WebSocket\r\n", "", 1) + accept + sub + "\r\n", "without Upgrade"},
		{"an extension", ok + accept + sub + "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", "extension"},
		{"no subprotocol", ok + accept + "\r\n", "subprotocol"},
		{"another subprotocol", ok + accept + "Sec-WebSocket-Protocol: chat\r\n\r\n", "subprotocol"},
		{"a proxy's error", "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno", "HTTP 502"},
		{"a gateway's refusal", "HTTP/1.1 503 x\r\nRetry-After: 7\r\nContent-Length: 28\r\n\r\n" + `{"type":"close","code":4003}`, "4003 OVERLOADED"},
		{"not HTTP", "\x00\x00\x00\x05hello", "websocket"},
		{"a head without end", "HTTP/1.1 200 OK\r\n" + strings.Repeat("a: b\r\n", 10_000), "MIME header"},
	} {
		rest, err := readUpgrade(&sink{r: strings.NewReader(tt.in)}, key, "holdfast.v1")
		switch {
		case tt.want == "" && (err != nil || string(rest) != "rest"):
			t.Errorf("%s: %q, %v, want rest", tt.name, rest, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if closed, ok := errors.AsType[*CloseError](err); ok && closed.RetryAfter != 7*time.Second {
			t.Errorf("%s: RetryAfter %v, want 7s", tt.name, closed.RetryAfter)
		}
	}
}

// FuzzWebSocketRead holds reading to two rules: it never panics, and how the
// bytes are split changes nothing.
func FuzzWebSocketRead(f *testing.F) {
	whole := fragment(ws.OpBinary, true, []byte{byte(wire.TypePing), 1, 2})
	f.Add(whole, false)
	f.Add(append(fragment(ws.OpBinary, false, []byte{byte(wire.TypePing)}), fragment(ws.OpContinuation, true, []byte{1})...), false)
	f.Add(fragment(ws.OpText, true, []byte(`{"type":"ping"}`)), true)
	f.Add(append(fragment(ws.OpPing, true, []byte("x")), fragment(ws.OpClose, true, ws.NewCloseFrameBody(1001, "bye"))...), true)
	f.Fuzz(func(t *testing.T, in []byte, json bool) {
		read := func(r io.Reader) (all string) {
			tr, c := overSink(r, json)
			for {
				f, err := tr.Read(time.Second)
				if err != nil {
					return fmt.Sprintf("%s %v %d", all, err, c.out.Len())
				}
				all += fmt.Sprintf("%+v ", f)
			}
		}
		if a, b := read(bytes.NewReader(in)), read(iotest.OneByteReader(bytes.NewReader(in))); a != b {
			t.Errorf("at once:\n%s\nbyte by byte:\n%s", a, b)
		}
	})
}
