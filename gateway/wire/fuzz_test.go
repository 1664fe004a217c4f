package wire

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

// FuzzParse holds the binary codec to three rules: it never panics, what it
// accepts encodes back to the same bytes, and what it accepts can be said in
// JSON and comes back from there as the same frame.
func FuzzParse(f *testing.F) {
	v := readVectors(f)
	for _, r := range v.Frames {
		f.Add(unhex(r.Binary), uint8(sideNamed(r.From)))
	}
	for _, r := range v.Refusals {
		f.Add(unhex(r.Binary), uint8(sideNamed(r.From)))
	}
	f.Fuzz(func(t *testing.T, in []byte, side uint8) {
		from := Side(side & 1)
		fr, err := Parse(in, from)
		if err != nil {
			checkRefused(t, "Parse", err, CloseProtocolError, "")
			return
		}
		if out, err := Append(nil, &fr); err != nil || !bytes.Equal(out, in) {
			t.Fatalf("Append(Parse(%x)) = %x, %v", in, out, err)
		}
		if n := fr.BinaryLen(); n != len(in) {
			t.Fatalf("BinaryLen = %d, want %d", n, len(in))
		}
		if _, err := Parse(in, from.other()); (err == nil) != fr.Type.SentBy(from.other()) {
			t.Fatalf("Parse(%x) from the other side: %v", in, err)
		}
		checkThroughJSON(t, &fr, from)
	})
}

// checkThroughJSON sends a frame through JSON and back.
func checkThroughJSON(t *testing.T, fr *Frame, from Side) {
	t.Helper()
	text, err := AppendJSON(nil, fr)
	if err != nil {
		t.Fatalf("AppendJSON(%s): %v", asText(plain(fr)), err)
	}
	got, err := ParseJSON(text, from)
	if err != nil {
		t.Fatalf("ParseJSON(%q) of %s: %v", text, asText(plain(fr)), err)
	}
	want := *fr
	switch fr.Type {
	case TypeRequest, TypeReply, TypePush:
		if value := validValue(fr.Payload); value != nil {
			want.Payload = value // the white space around it is not sent
		}
	case TypeHello, TypeWelcome, TypeGoAway:
		want.Payload = text // whole, its type included
	}
	if got, want := plain(&got), plain(&want); !reflect.DeepEqual(got, want) {
		t.Fatalf("through JSON %s, want %s", asText(got), asText(want))
	}
}

// FuzzParseJSON holds the JSON codec to three rules: it never panics, what it
// accepts encodes to a text that decodes to the same frame and encodes to the
// same text again, and what it accepts can be said in binary and comes back
// from there as the same frame.
func FuzzParseJSON(f *testing.F) {
	v := readVectors(f)
	for _, r := range v.Frames {
		f.Add(r.bytes(), uint8(sideNamed(r.From)))
	}
	for _, r := range v.Refusals {
		f.Add(r.bytes(), uint8(sideNamed(r.From)))
	}
	f.Fuzz(func(t *testing.T, in []byte, side uint8) {
		from := Side(side & 1)
		kept := bytes.Clone(in)
		fr, err := ParseJSON(in, from)
		if !bytes.Equal(in, kept) {
			t.Fatal("ParseJSON wrote to its input")
		}
		if err != nil {
			checkRefused(t, "ParseJSON", err, CloseProtocolError, "")
			return
		}
		checkThroughJSON(t, &fr, from)
		text, err := AppendJSON(nil, &fr)
		if err != nil {
			t.Fatalf("AppendJSON(ParseJSON(%q)): %v", in, err)
		}
		again, err := ParseJSON(text, from)
		if err != nil {
			t.Fatalf("ParseJSON(%q): %v", text, err)
		}
		if text2, err := AppendJSON(nil, &again); err != nil || !bytes.Equal(text, text2) {
			t.Fatalf("%q encodes as %q, %v", text, text2, err)
		}
		body, err := Append(nil, &fr)
		if err != nil {
			t.Fatalf("Append(ParseJSON(%q)): %v", in, err)
		}
		got, err := Parse(body, from)
		if err != nil {
			t.Fatalf("Parse(%x): %v", body, err)
		}
		if got, want := plain(&got), plain(&fr); !reflect.DeepEqual(got, want) {
			t.Fatalf("through binary %s, want %s", asText(got), asText(want))
		}
	})
}

// FuzzParseStream holds that it does not matter how a stream arrives: its
// frames, and whether it is refused and with what, are the same read whole and
// read in two pieces, and no prefix is refused that a longer one would not be.
func FuzzParseStream(f *testing.F) {
	for _, r := range readVectors(f).Streams {
		f.Add(unhex(r.Bytes), uint8(sideNamed(r.From)), r.MaxFrame, len(r.Bytes)/4)
	}
	f.Fuzz(func(t *testing.T, in []byte, side uint8, maxFrame, cut int) {
		from := Side(side & 1)
		cut = max(0, min(cut, len(in)))
		whole, wholeErr := readStream(t, maxFrame, from, in)
		split, splitErr := readStream(t, maxFrame, from, in[:cut], in[cut:])
		if !reflect.DeepEqual(whole, split) {
			t.Fatalf("frames %s, cut at %d %s", asText(whole), cut, asText(split))
		}
		if wholeErr.Error() != splitErr.Error() {
			t.Fatalf("error %v, cut at %d %v", wholeErr, cut, splitErr)
		}
	})
}

// readStream reads a stream that arrives in pieces until it is refused or ends
// with ErrIncomplete.
func readStream(t *testing.T, maxFrame int, from Side, pieces ...[]byte) (frames []plainForm, err error) {
	t.Helper()
	var kept []byte
	for _, piece := range pieces {
		kept = append(kept, piece...)
		for {
			fr, size, err := ParseStream(kept, maxFrame, from)
			if errors.Is(err, ErrIncomplete) {
				if len(kept) > StreamPrefixBytes+max(maxFrame, 0) {
					t.Fatalf("%d bytes are incomplete, with max_frame %d", len(kept), maxFrame)
				}
				break
			}
			if err != nil {
				return frames, err
			}
			out, err := AppendStream(nil, &fr)
			if err != nil || !bytes.Equal(out, kept[:size]) {
				t.Fatalf("AppendStream(ParseStream(%x)) = %x, %v", kept[:size], out, err)
			}
			frames = append(frames, plain(&fr))
			kept = kept[size:]
		}
	}
	return frames, ErrIncomplete
}

// FuzzParseJSONArray holds an array to its parts: it is accepted with the
// frames that encode back to it, or refused whole.
func FuzzParseJSONArray(f *testing.F) {
	for _, r := range readVectors(f).Arrays {
		f.Add(r.bytes(), uint8(sideNamed(r.From)))
	}
	f.Fuzz(func(t *testing.T, in []byte, side uint8) {
		from := Side(side & 1)
		frames, err := ParseJSONArray(nil, in, from)
		if err != nil {
			checkRefused(t, "ParseJSONArray", err, CloseProtocolError, "")
			if len(frames) != 0 {
				t.Fatalf("%d frames of a refused array", len(frames))
			}
			return
		}
		out := []byte{'['}
		for i := range frames {
			if i > 0 {
				out = append(out, ',')
			}
			if out, err = AppendJSON(out, &frames[i]); err != nil {
				t.Fatalf("AppendJSON(%s): %v", asText(plain(&frames[i])), err)
			}
		}
		again, err := ParseJSONArray(nil, append(out, ']'), from)
		if err != nil || len(again) != len(frames) {
			t.Fatalf("ParseJSONArray(%q]) = %d frames, %v, want %d", out, len(again), err, len(frames))
		}
	})
}
