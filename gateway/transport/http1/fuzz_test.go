package http1

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

// FuzzNext holds the parser to four rules. It never panics. How the input is cut
// makes no difference, neither to the requests nor to the refusal. What is
// accepted, written anew, is parsed as the same request. And net/http accepts it
// too, with the same meaning and the same end.
func FuzzNext(f *testing.F) {
	for _, tt := range refusals {
		f.Add([]byte(tt.in), uint16(len(tt.in)/2))
	}
	for _, tt := range accepted {
		f.Add([]byte(tt.in), uint16(len(tt.in)/2))
		f.Add([]byte(tt.in+tt.in), uint16(len(tt.in)-1))
	}
	f.Fuzz(func(t *testing.T, in []byte, at uint16) {
		want := feed(t, limits, whole(in))
		for _, pieces := range [][][]byte{cut(in, int(at)), bytewise(in)} {
			if got := feed(t, limits, pieces); !reflect.DeepEqual(got, want) {
				t.Fatalf("%q in %d pieces is %v\nwhole %v", in, len(pieces), got, want)
			}
		}
		begin := 0
		for i, r := range want.requests {
			checkRoundTrip(t, r)
			checkLikeNetHTTP(t, r, in[begin:want.ends[i]])
			begin = want.ends[i]
		}
	})
}

// TestMutations does a little of what the fuzz target does, on every run: the
// known inputs with bytes changed, dropped, doubled and spliced.
func TestMutations(t *testing.T) {
	rounds := 20_000
	if testing.Short() {
		rounds = 1_000
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	var corpus [][]byte
	for _, tt := range accepted {
		corpus = append(corpus, []byte(tt.in))
	}
	for _, tt := range refusals {
		corpus = append(corpus, []byte(tt.in))
	}
	requests := 0
	for range rounds {
		in := mutate(rnd, corpus)
		want := feed(t, limits, whole(in))
		if got := feed(t, limits, cut(in, rnd.IntN(len(in)+1))); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q cut is %v\nwhole %v", in, got, want)
		}
		begin := 0
		for i, r := range want.requests {
			checkRoundTrip(t, r)
			checkLikeNetHTTP(t, r, in[begin:want.ends[i]])
			begin = want.ends[i]
			requests++
		}
	}
	if requests < rounds/10 {
		t.Errorf("only %d of %d mutations hold a request: the test sees too little", requests, rounds)
	}
}

// mutate makes an input of one or two of the corpus.
func mutate(rnd *rand.Rand, corpus [][]byte) []byte {
	a, b := corpus[rnd.IntN(len(corpus))], corpus[rnd.IntN(len(corpus))]
	in := append([]byte(nil), a...)
	if rnd.IntN(3) == 0 {
		in = append(in[:rnd.IntN(len(in)+1)], b[rnd.IntN(len(b)+1):]...)
	}
	const interesting = "\r\n\x00 \t:;,%0159afF/?#\x7f\x80"
	for range rnd.IntN(3) {
		if len(in) == 0 {
			break
		}
		i := rnd.IntN(len(in))
		switch rnd.IntN(3) {
		case 0:
			in[i] = interesting[rnd.IntN(len(interesting))]
		case 1:
			in = append(in[:i], in[i+1:]...)
		default:
			in = append(in[:i], append([]byte{in[i]}, in[i:]...)...)
		}
	}
	return in
}
