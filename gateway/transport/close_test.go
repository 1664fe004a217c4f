package transport

import (
	"math/rand/v2"
	"testing"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// TestFrameBounds walks every offset of a queue of random frames: start and end
// are those of the frame that the offset lies in, and a boundary is both.
func TestFrameBounds(t *testing.T) {
	var b []byte
	var bounds []int
	for range 50 {
		bounds = append(bounds, len(b))
		b, _ = wire.AppendStream(b, &wire.Frame{Type: wire.TypePush, Command: []byte("c"), Payload: make([]byte, rand.IntN(40))})
	}
	bounds = append(bounds, len(b))
	at := 0
	for off := range len(b) + 1 {
		if at+1 < len(bounds) && off == bounds[at+1] {
			at++
		}
		wantStart, wantEnd := bounds[at], bounds[min(at+1, len(bounds)-1)]
		if off == bounds[at] {
			wantEnd = off
		}
		if got := frameStart(streamFraming{}, b, off); got != wantStart {
			t.Errorf("frameStart(%d) = %d, want %d", off, got, wantStart)
		}
		if got := frameEnd(streamFraming{}, b, off); got != wantEnd {
			t.Errorf("frameEnd(%d) = %d, want %d", off, got, wantEnd)
		}
	}
}

func TestMissing(t *testing.T) {
	for _, tt := range []struct {
		b    []byte
		want int
	}{{nil, 4}, {[]byte{0}, 3}, {[]byte{0, 0, 1, 0}, 256}, {[]byte{0, 0, 0, 2, 7}, 1}} {
		if got := missing(tt.b); got != tt.want {
			t.Errorf("missing(%v) = %d, want %d", tt.b, got, tt.want)
		}
	}
}
