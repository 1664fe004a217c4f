package wire

import (
	"reflect"
	"testing"
)

func TestVectorHellos(t *testing.T) {
	for _, r := range readVectors(t).Hellos {
		t.Run(r.Name, func(t *testing.T) {
			h, err := ParseHello(r.bytes())
			if r.Code != 0 {
				checkRefused(t, "ParseHello", err, r.Code, "hello")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := plainOfHello(h); !reflect.DeepEqual(got, r.Hello) {
				t.Errorf("ParseHello = %s, want %s", asText(got), asText(r.Hello))
			}
			again, err := AppendHello(nil, &h)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := ParseHello(again); err != nil || !reflect.DeepEqual(got, h) {
				t.Errorf("ParseHello(AppendHello(%+v)) = %+v, %v", h, got, err)
			}
		})
	}
}

func TestVectorWelcomes(t *testing.T) {
	for _, r := range readVectors(t).Welcomes {
		t.Run(r.Name, func(t *testing.T) {
			w, err := ParseWelcome(r.bytes())
			if r.Code != 0 {
				checkRefused(t, "ParseWelcome", err, r.Code, "welcome")
				return
			}
			if got := (*plainWelcome)(&w); err != nil || !reflect.DeepEqual(got, r.Welcome) {
				t.Fatalf("ParseWelcome = %s, %v, want %s", asText(got), err, asText(r.Welcome))
			}
			if got, err := ParseWelcome(AppendWelcome(nil, &w)); err != nil || !reflect.DeepEqual(got, w) {
				t.Errorf("ParseWelcome(AppendWelcome(%+v)) = %+v, %v", w, got, err)
			}
		})
	}
}

func TestVectorGoAways(t *testing.T) {
	for _, r := range readVectors(t).GoAways {
		t.Run(r.Name, func(t *testing.T) {
			g, err := ParseGoAway(r.bytes())
			if r.Code != 0 {
				checkRefused(t, "ParseGoAway", err, r.Code, "goaway")
				return
			}
			if got := plainOfGoAway(g); err != nil || !reflect.DeepEqual(got, r.GoAway) {
				t.Fatalf("ParseGoAway = %s, %v, want %s", asText(got), err, asText(r.GoAway))
			}
			if got, err := ParseGoAway(AppendGoAway(nil, &g)); err != nil || !reflect.DeepEqual(got, g) {
				t.Errorf("ParseGoAway(AppendGoAway(%+v)) = %+v, %v", g, got, err)
			}
		})
	}
}

func TestVectorErrors(t *testing.T) {
	for _, r := range readVectors(t).Errors {
		t.Run(r.Name, func(t *testing.T) {
			e, err := ParseErrorPayload(r.bytes())
			if r.Code != 0 {
				checkRefused(t, "ParseErrorPayload", err, r.Code, "error")
				return
			}
			if got := (*plainError)(&e); err != nil || !reflect.DeepEqual(got, r.Error) {
				t.Fatalf("ParseErrorPayload = %+v, %v, want %+v", got, err, r.Error)
			}
			if got, err := ParseErrorPayload(AppendErrorPayload(nil, &e)); err != nil || got != e {
				t.Errorf("ParseErrorPayload(AppendErrorPayload(%+v)) = %+v, %v", e, got, err)
			}
		})
	}
}

// TestAppendHelloRefuses: a client learns of its mistake before it connects.
func TestAppendHelloRefuses(t *testing.T) {
	long := string(make([]byte, 9000))
	tests := []struct {
		name string
		h    Hello
		code CloseCode
	}{
		{"version 2", Hello{Protocol: 2}, CloseUnsupportedVersion},
		{"token", Hello{Token: long}, CloseProtocolError},
		{"ticket", Hello{Ticket: long}, CloseProtocolError},
		{"class", Hello{Device: &Device{Class: "toaster"}}, CloseProtocolError},
		{"attrs", Hello{Attrs: map[string]string{"a": long}}, CloseProtocolError},
		{"resume", Hello{Resume: &Resume{}}, CloseProtocolError},
	}
	for _, tt := range tests {
		got, err := AppendHello([]byte("before"), &tt.h)
		checkRefused(t, "AppendHello: "+tt.name, err, tt.code, "")
		if string(got) != "before" {
			t.Errorf("AppendHello: %s: left %q in dst", tt.name, got)
		}
	}
}

// TestAppendHelloFillsIn: the zero Hello is a valid one.
func TestAppendHelloFillsIn(t *testing.T) {
	got, err := AppendHello(nil, &Hello{Token: "t"})
	if want := `{"protocol":1,"token":"t"}`; err != nil || string(got) != want {
		t.Errorf("AppendHello = %s, %v, want %s", got, err, want)
	}
}

// TestAppendClampsDurations: what the protocol cannot say becomes the nearest
// that it can, and never a number that a client refuses.
func TestAppendClampsDurations(t *testing.T) {
	w := Welcome{Session: "s", Secret: "x", Window: 1, MaxFrame: 1, HeartbeatMS: 1 << 40, ResumeTTLMS: -5, TimeMS: -1}
	got, err := ParseWelcome(AppendWelcome(nil, &w))
	if err != nil || got.HeartbeatMS != DurationMSMax || got.ResumeTTLMS != 0 || got.TimeMS != 0 {
		t.Errorf("ParseWelcome(AppendWelcome(%+v)) = %+v, %v", w, got, err)
	}
}
