package proxyproto

import (
	"math/rand/v2"
	"testing"
)

// FuzzParse holds Parse to three rules. It never panics. How much of a header has
// come makes no difference but that it is incomplete. What is accepted is accepted
// by an implementation that others have written, to the same end, with the same
// addresses and values, and when that writes it anew the same is read again.
func FuzzParse(f *testing.F) {
	for _, tt := range accepted {
		f.Add([]byte(tt.in))
		f.Add([]byte(tt.in + "\x00\x00\x00\x02\x07x"))
	}
	for _, tt := range refusals {
		f.Add([]byte(tt.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		h, n, err := parseAllWays(t, in, HeaderBytesMax)
		if err == nil {
			checkLikeOracle(t, h, in[:n])
		}
	})
}

// TestMutations does a little of what the fuzz target does, on every run.
func TestMutations(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	count := 0
	for range 20_000 {
		in := []byte(accepted[rnd.IntN(len(accepted))].in)
		for range 1 + rnd.IntN(2) {
			switch i := rnd.IntN(min(len(in), 120)); rnd.IntN(4) {
			case 0:
				in[i] ^= 1 << rnd.IntN(8)
			case 1:
				in[i] = " \r\n0:.\x00\xff"[rnd.IntN(8)]
			case 2:
				in = append(in[:i], in[i+1:]...)
			default:
				in = append(in[:i], append([]byte{in[i]}, in[i:]...)...)
			}
		}
		if h, n, err := Parse(in, HeaderBytesMax); err == nil {
			checkLikeOracle(t, h, in[:n])
			count++
		}
	}
	if count < 1_000 {
		t.Errorf("only %d mutations are accepted: the test sees too little", count)
	}
}
