package wire

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"unicode/utf8"
)

// FuzzParseHello holds HELLO to three rules: it never panics, what it accepts
// keeps to every limit, and encodes to an object that decodes to the same.
func FuzzParseHello(f *testing.F) {
	for _, r := range readVectors(f).Hellos {
		f.Add(r.bytes())
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		h, err := ParseHello(in)
		if err != nil {
			var refusal *ProtocolError
			if !errors.As(err, &refusal) || refusal.Code != CloseProtocolError && refusal.Code != CloseUnsupportedVersion {
				t.Fatalf("ParseHello: %v, want 4500 or 4508", err)
			}
			return
		}
		size := 0
		for k, v := range h.Attrs {
			size += len(k) + len(v)
		}
		if len(h.Token) > TokenBytesMax || len(h.Ticket) > TicketBytesMax || len(h.Attrs) > AttrsMax || size > AttrsBytesMax {
			t.Fatalf("ParseHello accepts %d bytes of token, %d of ticket, %d attrs of %d", len(h.Token), len(h.Ticket), len(h.Attrs), size)
		}
		out, err := AppendHello(nil, &h)
		if err != nil {
			t.Fatalf("AppendHello(%+v): %v", h, err)
		}
		if again, err := ParseHello(out); err != nil || !reflect.DeepEqual(again, h) {
			t.Fatalf("ParseHello(%s) = %+v, %v, want %+v", out, again, err, h)
		}
	})
}

// FuzzParseObjects holds the objects that a client reads to the round trip.
func FuzzParseObjects(f *testing.F) {
	v := readVectors(f)
	for _, r := range v.Welcomes {
		f.Add(r.bytes())
	}
	for _, r := range v.GoAways {
		f.Add(r.bytes())
	}
	for _, r := range v.Errors {
		f.Add(r.bytes())
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if w, err := ParseWelcome(in); err == nil {
			if again, err := ParseWelcome(AppendWelcome(nil, &w)); err != nil || !reflect.DeepEqual(again, w) {
				t.Fatalf("WELCOME %+v comes back as %+v, %v", w, again, err)
			}
		}
		if g, err := ParseGoAway(in); err == nil {
			if again, err := ParseGoAway(AppendGoAway(nil, &g)); err != nil || !reflect.DeepEqual(again, g) {
				t.Fatalf("GOAWAY %+v comes back as %+v, %v", g, again, err)
			}
		}
		if e, err := ParseErrorPayload(in); err == nil {
			if again, err := ParseErrorPayload(AppendErrorPayload(nil, &e)); err != nil || again != e {
				t.Fatalf("error %+v comes back as %+v, %v", e, again, err)
			}
		}
	})
}

// FuzzScanner holds the JSON scanner to the standard library's: they accept the
// same texts, apart from what is not UTF-8 and what nests too deep, and read
// the same strings out of them.
func FuzzScanner(f *testing.F) {
	for _, s := range []string{
		`{}`, `[1,2.5,-3e+7,"a\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t",true,false,null,{"a":{}}]`, ` 0 `, `"`, `"\`, `"\u12`, `-`, `1.`, `1e`,
		`01`, `[1,]`, `{"a":1,}`, `{"a"}`, `{1:2}`, `[}`, `nul`, "\"\x7f\"", "\"\x1f\"", "\"\xff\"", `"\ud800x\udc00"`, nested(64), nested(65), nested(3) + "x",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		start := skipSpace(in, 0)
		_, bad := skipValue(in, start, JSONDepthMax)
		got := validValue(in) != nil
		want := json.Valid(in) && utf8.Valid(in)
		if got != want && !(want && bad == faultDepth && depth(in) > JSONDepthMax) {
			t.Fatalf("validValue(%q) = %v, want %v (depth %d)", in, got, want, depth(in))
		}
		if got && depth(in) > JSONDepthMax {
			t.Fatalf("validValue(%q) accepts depth %d", in, depth(in))
		}
		var text string
		if got && in[start] == '"' && json.Unmarshal(in, &text) == nil {
			value := validValue(in)
			if s := string(unescape(value[1 : len(value)-1])); s != text {
				t.Fatalf("unescape(%s) = %q, want %q", value, s, text)
			}
		}
		var back string
		quoted := appendString(nil, in)
		if err := json.Unmarshal(quoted, &back); err != nil || back != string([]rune(string(in))) {
			t.Fatalf("appendString(%q) = %s, which reads %q, %v", in, quoted, back, err)
		}
	})
}

// depth is how deep valid JSON nests.
func depth(b []byte) int {
	deepest, now, inString := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			now++
			deepest = max(deepest, now)
		case c == ']' || c == '}':
			now--
		}
	}
	return deepest
}
