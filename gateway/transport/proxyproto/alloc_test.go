package proxyproto

import (
	"reflect"
	"testing"
)

// TestAllocations: a header of version 2 costs only the values that are kept, and
// waiting for one costs nothing.
func TestAllocations(t *testing.T) {
	tests := []struct {
		name, in string
		most     float64
	}{
		{"v2", v2(0x21, 0x21, ends6, tlv(4, "pad")), 0},
		{"v2 with checksum", summed(v2(0x21, 0x11, ends4, tlv(3, "\x00\x00\x00\x00"))), 0},
		{"v2 with authority and id", v2(0x21, 0x11, ends4, tlv(2, "a"), tlv(5, "u")), 2},
		{"v2 incomplete", v2(0x21, 0x11, ends4)[:20], 0},
		{"v1 incomplete", "PROXY TCP4 192.0.2.1", 0},
		{"v1", "PROXY TCP4 192.0.2.1 198.51.100.2 4660 443\r\n", 2},
	}
	for _, tt := range tests {
		in := []byte(tt.in)
		if got := testing.AllocsPerRun(100, func() { _, _, _ = Parse(in, HeaderBytesMax) }); got > tt.most {
			t.Errorf("%s allocates %v times, want at most %v", tt.name, got, tt.most)
		}
	}
}

// TestHeaderOwnsItsMemory: the reader's buffer is used again at once.
func TestHeaderOwnsItsMemory(t *testing.T) {
	for _, tt := range accepted {
		in := []byte(tt.in)
		h, _, err := Parse(in, HeaderBytesMax)
		if err != nil {
			t.Fatal(err)
		}
		for i := range in {
			in[i] = 'x'
		}
		if !reflect.DeepEqual(h, tt.want) {
			t.Errorf("%s: %+v after its input was overwritten, want %+v", tt.name, h, tt.want)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for name, text := range map[string]string{
		"v1": "PROXY TCP4 192.0.2.1 198.51.100.2 4660 443\r\n",
		"v2": v2(0x21, 0x11, ends4),
	} {
		in := []byte(text)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _, _ = Parse(in, HeaderBytesMax)
			}
		})
	}
}
