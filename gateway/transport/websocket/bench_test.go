package websocket

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/gobwas/ws"
)

// decodeOnce decodes one whole event out of b.
func decodeOnce(tb testing.TB, d *Decoder, b []byte, want Kind) {
	ev, n, err := d.Next(b)
	if ev.Kind != want || n != len(b) || err != nil {
		tb.Fatalf("Next = %v, %d, %v, want %v, %d", ev.Kind, n, err, want, len(b))
	}
}

// zeroMasked is a client's frame with a mask of zeros: unmasking it costs the
// same, and it can be decoded again.
func zeroMasked(first, payload string) []byte {
	return []byte(first + length(len(payload)) + "\x00\x00\x00\x00" + payload)
}

// TestWholeFramesDoNotAllocate holds the package to what doc.go says of memory.
func TestWholeFramesDoNotAllocate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		asText bool
		in     []byte
		kind   Kind
	}{
		{"binary", false, zeroMasked(wholeBin, long(1000)), Message},
		{"text", true, zeroMasked(wholeText, long(1000)), Message},
		{"long text", true, zeroMasked(wholeText, long(70000)), Message},
		{"ping", true, zeroMasked(ping, long(125)), Ping},
	} {
		d := NewDecoder(tt.asText, 1<<20)
		if n := testing.AllocsPerRun(100, func() { decodeOnce(t, d, tt.in, tt.kind) }); n != 0 {
			t.Errorf("decoding %s allocates %v times, want 0", tt.name, n)
		}
	}
}

// TestHeadInPiecesDoesNotAllocate: a head that a read has cut costs no garbage.
func TestHeadInPiecesDoesNotAllocate(t *testing.T) {
	d := NewDecoder(true, 1000)
	in := zeroMasked(wholeText, long(200))
	const headBytes = 2 + 2 + 4
	if n := testing.AllocsPerRun(100, func() {
		for i := range headBytes {
			if ev, _, err := d.Next(in[i : i+1]); ev.Kind != None || err != nil {
				t.Fatalf("byte %d: %v, %v", i, ev.Kind, err)
			}
		}
		decodeOnce(t, d, in[headBytes:], Message)
	}); n != 0 {
		t.Errorf("decoding a cut head allocates %v times, want 0", n)
	}
}

func TestEncodingDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 1<<18)
	for _, size := range []int{0, 100, 1000, 70000} {
		payload := []byte(long(size))
		if n := testing.AllocsPerRun(100, func() {
			b, start := Begin(buf)
			b = End(append(b, payload...), start, true)
			b = AppendMessage(b, false, payload)
			b = AppendControl(b, Pong, payload[:min(size, 125)])
			_ = AppendClose(b, 4000, "draining")
		}); n != 0 {
			t.Errorf("encoding %d bytes allocates %v times, want 0", size, n)
		}
	}
}

var benchSizes = []int{16, 128, 1 << 10, 16 << 10}

func BenchmarkDecode(b *testing.B) {
	for _, kind := range []string{"text", "binary"} {
		for _, n := range benchSizes {
			b.Run(fmt.Sprintf("%s/%d", kind, n), func(b *testing.B) {
				first := map[string]string{"text": wholeText, "binary": wholeBin}[kind]
				in := zeroMasked(first, long(n))
				d := NewDecoder(kind == "text", n)
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					decodeOnce(b, d, in, Message)
				}
			})
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, n := range benchSizes {
		payload, buf := []byte(long(n)), make([]byte, 0, n+16)
		b.Run(fmt.Sprintf("AppendMessage/%d", n), func(b *testing.B) {
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				_ = AppendMessage(buf, true, payload)
			}
		})
		b.Run(fmt.Sprintf("BeginEnd/%d", n), func(b *testing.B) {
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				w, start := Begin(buf)
				_ = End(append(w, payload...), start, true)
			}
		})
	}
}

// BenchmarkUnmask compares the library's unmasking with plain Go, eight bytes at
// a time.
func BenchmarkUnmask(b *testing.B) {
	for _, n := range benchSizes {
		payload := []byte(long(n))
		b.Run(fmt.Sprintf("library/%d", n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				ws.Cipher(payload, [4]byte{1, 2, 3, 4}, 0)
			}
		})
		b.Run(fmt.Sprintf("words/%d", n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				unmaskWords(payload, [4]byte{1, 2, 3, 4})
			}
		})
	}
}

func unmaskWords(p []byte, mask [4]byte) {
	m := uint64(binary.LittleEndian.Uint32(mask[:]))
	m |= m << 32
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^m)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= mask[i%4]
	}
}
