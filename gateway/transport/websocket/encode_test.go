package websocket

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// sizes are those around which heads change.
var sizes = []int{0, 1, 2, 124, 125, 126, 127, 4096, 65535, 65536, 65537, 1 << 20}

// TestMessage reads what both ways of writing a message make with another
// implementation, behind bytes that must stay as they are.
func TestMessage(t *testing.T) {
	const before = "before"
	for _, n := range sizes {
		for _, asText := range []bool{true, false} {
			payload := bytes.Repeat([]byte("0123456789"), n/10+1)[:n]
			appended := AppendMessage([]byte(before), asText, payload)
			b, start := Begin([]byte(before))
			for part := range bytes.SplitAfterSeq(payload, []byte("9")) {
				b = append(b, part...)
			}
			if b = End(b, start, asText); !bytes.Equal(b, appended) {
				t.Fatalf("%d bytes: Begin and End make %.20q, AppendMessage %.20q", n, b, appended)
			}
			if !strings.HasPrefix(string(b), before) {
				t.Fatalf("%d bytes: what was there is now %q", n, b[:len(before)])
			}
			encoded := b[len(before):]
			if got := FrameLen(encoded); got != len(encoded) {
				t.Errorf("FrameLen of %d bytes = %d, want %d", n, got, len(encoded))
			}
			frame := readFrame(t, encoded)
			if want := messageOp(asText); frame.Header.OpCode != want || !bytes.Equal(frame.Payload, payload) {
				t.Errorf("%d bytes: opcode %v of %d bytes, want %v", n, frame.Header.OpCode, len(frame.Payload), want)
			}
		}
	}
}

// readFrame reads the only frame in b, which is a server's.
func readFrame(t *testing.T, b []byte) ws.Frame {
	t.Helper()
	r := bytes.NewReader(b)
	h, err := ws.ReadHeader(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := ws.CheckHeader(h, ws.StateClientSide); err != nil || !h.Fin {
		t.Fatalf("head %+v: %v", h, err)
	}
	if int64(r.Len()) != h.Length {
		t.Fatalf("length %d, want %d", h.Length, r.Len())
	}
	return ws.Frame{Header: h, Payload: b[len(b)-r.Len():]}
}

func TestControl(t *testing.T) {
	for _, tt := range []struct {
		kind Kind
		in   string
		op   ws.OpCode
		want string
	}{
		{Ping, "", ws.OpPing, ""},
		{Ping, "abc", ws.OpPing, "abc"},
		{Pong, long(125), ws.OpPong, long(125)},
		{Pong, long(126), ws.OpPong, long(125)},
		{Close, "\x03\xe8", ws.OpClose, "\x03\xe8"},
	} {
		b := AppendControl(nil, tt.kind, []byte(tt.in))
		frame := readFrame(t, b)
		if frame.Header.OpCode != tt.op || string(frame.Payload) != tt.want {
			t.Errorf("AppendControl(%v, %q) = opcode %v, %q, want %v, %q", tt.kind, tt.in, frame.Header.OpCode, frame.Payload, tt.op, tt.want)
		}
		if got := FrameLen(b); got != len(b) {
			t.Errorf("FrameLen(%x) = %d, want %d", b, got, len(b))
		}
	}
}

func TestClose(t *testing.T) {
	for _, tt := range []struct {
		code   uint16
		reason string
		want   string
	}{
		{1000, "", closing(1000, "")},
		{1002, "why", closing(1002, "why")},
		{4501, strings.Repeat("x", 200), closing(4501, long(120))},
		{4000, strings.Repeat("€", 41), closing(4000, strings.Repeat("€", 40))},
		{4000, long(119) + "€", closing(4000, long(119))},
		{4000, "a\xff", closing(4000, "a\uFFFD")},
		{CloseNoStatus, "lost", ""},
		{1006, "", ""},
		{0, "", ""},
	} {
		frame := readFrame(t, AppendClose(nil, tt.code, tt.reason))
		if frame.Header.OpCode != ws.OpClose || string(frame.Payload) != tt.want {
			t.Errorf("AppendClose(%d, %q) = %v %q, want %q", tt.code, tt.reason, frame.Header.OpCode, frame.Payload, tt.want)
		}
	}
}

// TestQueue finds the frames in what is queued.
func TestQueue(t *testing.T) {
	var queue []byte
	var want []int
	for _, n := range sizes {
		before := len(queue)
		queue = AppendMessage(queue, true, []byte(long(n)))
		want = append(want, len(queue)-before)
	}
	for i, n := range want {
		if got := FrameLen(queue); got != n {
			t.Fatalf("frame %d: FrameLen = %d, want %d", i, got, n)
		}
		queue = queue[n:]
	}
}

func TestKindNames(t *testing.T) {
	for kind, want := range map[Kind]string{None: "None", Message: "Message", Close: "Close", 9: "Kind(9)"} {
		if got := kind.String(); got != want {
			t.Errorf("Kind(%d).String() = %q, want %q", uint8(kind), got, want)
		}
	}
}
