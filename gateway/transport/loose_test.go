package transport

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// TestLooseFrames plays a client that takes bytes now and then against a list of
// the frames that should be left: none is torn, none is out of order, and only
// transient frames that nobody has begun to send are ever missing.
func TestLooseFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := &outbound{}
		var want []string // frames from the first that is not wholly sent, in order
		var sent []byte
		next := 0
		add := func(key string, until int64, loose bool) {
			next++
			frame := frameOf(next, rapid.IntRange(0, 40).Draw(t, "padding"))
			start := len(o.b)
			o.b = append(o.b, frame...)
			if loose {
				o.loose = append(o.loose, looseFrame{start, len(o.b), key, until})
			}
			want = append(want, string(frame))
		}
		remove := func(l looseFrame) {
			frame := string(o.b[l.start:l.end])
			i := slices.Index(want, frame)
			if i < 0 {
				t.Fatalf("frame %q was to be dropped, but is not waiting", frame)
			}
			want = slices.Delete(want, i, i+1)
		}
		now := int64(1)
		t.Repeat(map[string]func(*rapid.T){
			"queue": func(t *rapid.T) { add("", 0, false) },
			"queue transient": func(t *rapid.T) {
				add("", rapid.SampledFrom([]int64{0, now + 2}).Draw(t, "until"), true)
			},
			"conflate": func(t *rapid.T) {
				key := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key")
				for _, l := range o.loose {
					if l.key == key && l.start >= o.off {
						remove(l)
					}
				}
				o.dropKey(key, o.off)
				add(key, 0, true)
			},
			"drop oldest": func(t *rapid.T) {
				for _, l := range o.loose {
					if !l.killed() && l.start >= o.off {
						remove(l)
						break
					}
				}
				o.dropOldest(o.off)
			},
			"send": func(t *rapid.T) {
				now++
				for _, l := range o.loose {
					if l.until > 0 && l.until < now {
						remove(l)
					}
				}
				o.compact(now)
				n := rapid.IntRange(0, len(o.b)-o.off).Draw(t, "taken")
				sent = append(sent, o.b[o.off:o.off+n]...)
				o.advance(n)
				o.reclaim(streamFraming{})
			},
			"": func(t *rapid.T) {
				live := 0
				for i := range o.loose {
					if !o.loose[i].killed() {
						live++
					}
				}
				if o.dead < 0 || o.off > len(o.b) || (len(o.loose) == 0 && o.dead != 0) {
					t.Fatalf("off %d of %d, dead %d, loose %d (%d live)", o.off, len(o.b), o.dead, len(o.loose), live)
				}
			},
		})
		o.compact(now)
		sent = append(sent, o.b[o.off:]...)
		var got []string
		for len(sent) > 0 {
			f, size, err := wire.ParseStream(sent, 1<<20, wire.FromGateway)
			if err != nil {
				t.Fatalf("the client reads %v after %d frames", err, len(got))
			}
			_ = f
			got = append(got, string(sent[:size]))
			sent = sent[size:]
		}
		if len(got) < len(want) || !slices.Equal(got[len(got)-len(want):], want) {
			// What was sent whole before is in want as well: nothing removes it.
			t.Fatalf("the client got %d frames, want these %d:\n%q\n%q", len(got), len(want), got, want)
		}
		if len(got) != len(want) {
			t.Fatalf("the client got %d frames, want %d", len(got), len(want))
		}
	})
}

func frameOf(n, padding int) []byte {
	b, err := wire.AppendStream(nil, &wire.Frame{
		Type: wire.TypePush, Command: fmt.Appendf(nil, "c.%d", n), Payload: make([]byte, padding),
	})
	if err != nil {
		panic(err)
	}
	return b
}
