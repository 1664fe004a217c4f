package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
)

// readVectors reads vectors.json as another SDK would: the tests below use
// nothing of its source.
func readVectors(t testing.TB) vectorFile {
	t.Helper()
	b, err := os.ReadFile(vectorsPath)
	if err != nil {
		t.Fatal(err)
	}
	var v vectorFile
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVectorFrames(t *testing.T) {
	for _, r := range readVectors(t).Frames {
		t.Run(r.Kind+"/"+r.Name, func(t *testing.T) {
			f := r.Frame.frame()
			if r.Kind != kindJSON {
				checkDecoded(t, "Parse", r, func() (Frame, error) { return Parse(unhex(r.Binary), sideNamed(r.From)) })
				checkEncoded(t, "Append", unhex(r.Binary), func() ([]byte, error) { return Append([]byte("x"), &f) })
			}
			if r.Kind != kindBinary {
				checkDecoded(t, "ParseJSON", r, func() (Frame, error) { return ParseJSON(r.bytes(), sideNamed(r.From)) })
			}
			if r.Kind != kindJSON {
				checkEncoded(t, "AppendJSON", r.bytes(), func() ([]byte, error) { return AppendJSON([]byte("x"), &f) })
			}
		})
	}
}

func checkDecoded(t *testing.T, name string, r frameRow, parse func() (Frame, error)) {
	t.Helper()
	f, err := parse()
	if err != nil {
		t.Errorf("%s: %v", name, err)
	} else if got := plain(&f); !reflect.DeepEqual(got, r.Frame) {
		t.Errorf("%s = %s, want %s", name, asText(got), asText(r.Frame))
	}
}

// checkEncoded wants x, which was there before, and then want.
func checkEncoded(t *testing.T, name string, want []byte, encode func() ([]byte, error)) {
	t.Helper()
	got, err := encode()
	if err != nil {
		t.Errorf("%s: %v", name, err)
	} else if string(got) != "x"+string(want) {
		t.Errorf("%s = %q, want %q", name, got, "x"+string(want))
	}
}

func asText(v any) string {
	b, _ := json.Marshal(v) // of our own structs: cannot fail
	return string(b)
}

func TestVectorRefusals(t *testing.T) {
	for _, r := range readVectors(t).Refusals {
		t.Run(r.Name, func(t *testing.T) {
			if r.Binary != "" {
				_, err := Parse(unhex(r.Binary), sideNamed(r.From))
				checkRefused(t, "Parse", err, r.Code, "")
			}
			if b := r.bytes(); len(b) > 0 {
				_, err := ParseJSON(b, sideNamed(r.From))
				checkRefused(t, "ParseJSON", err, r.Code, "")
			}
		})
	}
}

// TestRefusalMessages holds each refusal to naming the field and the limit; the
// message of the first form that the row has must contain about.
func TestRefusalMessages(t *testing.T) {
	for _, r := range readVectors(t).Refusals {
		var err error
		if r.Binary != "" {
			_, err = Parse(unhex(r.Binary), sideNamed(r.From))
		} else {
			_, err = ParseJSON(r.bytes(), sideNamed(r.From))
		}
		t.Run(r.Name, func(t *testing.T) { checkRefused(t, "Parse", err, r.Code, r.About) })
	}
}

func checkRefused(t *testing.T, name string, err error, code CloseCode, about string) {
	t.Helper()
	var refusal *ProtocolError
	switch {
	case !errors.As(err, &refusal):
		t.Errorf("%s: error %v, want a *ProtocolError", name, err)
	case refusal.Code != code:
		t.Errorf("%s: %v, want code %d", name, err, code)
	case !strings.Contains(refusal.Message, about):
		t.Errorf("%s: message %q does not say %q", name, refusal.Message, about)
	case len(refusal.Message) > ReasonBytesMax || refusal.Message == "":
		t.Errorf("%s: message %q of %d bytes, want 1 to %d", name, refusal.Message, len(refusal.Message), ReasonBytesMax)
	}
}

// TestVectorStreams feeds each stream in every two pieces, and byte by byte.
func TestVectorStreams(t *testing.T) {
	for _, r := range readVectors(t).Streams {
		t.Run(r.Name, func(t *testing.T) {
			b := unhex(r.Bytes)
			for cut := range len(b) + 1 {
				checkStream(t, r, b[:cut], b[cut:])
			}
			pieces := make([][]byte, len(b))
			for i := range b {
				pieces[i] = b[i : i+1]
			}
			checkStream(t, r, pieces...)
		})
	}
}

// checkStream reads a stream as it arrives in pieces.
func checkStream(t *testing.T, r streamRow, pieces ...[]byte) {
	t.Helper()
	var kept []byte
	arrived, frames := 0, []plainForm{}
	for _, piece := range pieces {
		kept, arrived = append(kept, piece...), arrived+len(piece)
		for {
			f, size, err := ParseStream(kept, r.MaxFrame, sideNamed(r.From))
			if errors.Is(err, ErrIncomplete) {
				break
			}
			if err != nil {
				if r.Code == 0 || arrived < r.RefusedAt {
					t.Fatalf("refused after %d bytes: %v", arrived, err)
				}
				checkRefused(t, "ParseStream", err, r.Code, "")
				checkFrames(t, frames, r.Frames)
				return
			}
			frames = append(frames, plain(&f))
			kept = kept[size:]
		}
		if r.Code != 0 && arrived >= r.RefusedAt {
			t.Fatalf("not refused after %d bytes, want %d", arrived, r.RefusedAt)
		}
	}
	checkFrames(t, frames, r.Frames)
}

func checkFrames(t *testing.T, got, want []plainForm) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("frames %s, want %s", asText(got), asText(want))
	}
}

func TestVectorArrays(t *testing.T) {
	for _, r := range readVectors(t).Arrays {
		t.Run(r.Name, func(t *testing.T) {
			before := []Frame{{Type: TypeAck}}
			got, err := ParseJSONArray(before, r.bytes(), sideNamed(r.From))
			if r.Code != 0 {
				checkRefused(t, "ParseJSONArray", err, r.Code, "")
				if len(got) != 1 {
					t.Errorf("ParseJSONArray kept %d frames of a refused array", len(got)-1)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			checkFrames(t, plainAll(got[1:]), r.Frames)
		})
	}
}

func TestVectorCommands(t *testing.T) {
	for _, r := range readVectors(t).Commands {
		if got := ValidCommand(unhex(r.Command)); got != r.Valid {
			t.Errorf("ValidCommand(%q) = %v, want %v", unhex(r.Command), got, r.Valid)
		}
	}
}

// TestRefusedFramesDoNotEncode is the other half of the refusals: what Parse
// refuses for its contents Append refuses too, and leaves dst as it was.
func TestRefusedFramesDoNotEncode(t *testing.T) {
	bad := []Frame{
		{}, {Type: 11}, {Type: 255}, req(0, "a", ""), req(1, "", ""), req(1, "A", ""), req(1, command64+"a", ""),
		rep(0, 0, 0, ""), rep(1, 17, 0, ""), rep(1, 0, 2, ""), rep(1, 0, 255, ""),
		psh(1<<63, "a", ""), psh(1, "$", ""), {Type: TypeAck, Seq: 1 << 63},
		{Type: TypePing, Payload: make([]byte, 9)}, {Type: TypePong, Payload: make([]byte, 9)},
		cls(1000, reason120+"x"), cls(1000, "\xff"), obj(TypeHello, ""), obj(TypeHello, "[]"), obj(TypeWelcome, "{"), obj(TypeGoAway, `{"type":"x"}`),
	}
	for _, f := range bad {
		for _, e := range []Encoding{Stream, Binary, JSON} {
			got, err := e.Append([]byte("before"), &f)
			checkRefused(t, e.String()+" "+f.Type.String(), err, CloseProtocolError, "")
			if !bytes.Equal(got, []byte("before")) {
				t.Errorf("%v.Append(%v) left %q in dst", e, f, got)
			}
		}
	}
}
