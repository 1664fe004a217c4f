package keys

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

var clock = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at() time.Time { return clock }

// hsKey returns an HS256 key whose secret is one byte repeated.
func hsKey(t *testing.T, kid string, b byte) Key {
	t.Helper()
	k, err := newHS256(kid, []byte(base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(rune(b)), 32)))))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func edKey(kid string, seed byte) Key {
	private := ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(seed)), 32)))
	return Key{kid: kid, method: jwt.SigningMethodEdDSA, verify: private.Public(), sign: private}
}

// token signs any header and claims, sensible or not.
func token(t *testing.T, k Key, header, claims map[string]any) string {
	t.Helper()
	tk := jwt.NewWithClaims(k.method, jwt.MapClaims(claims))
	tk.Header["kid"] = k.kid
	maps.Copy(tk.Header, header)
	for name, v := range header {
		if v == nil {
			delete(tk.Header, name)
		}
	}
	signing, err := tk.SigningString()
	if err != nil {
		t.Fatal(err)
	}
	sig, err := tk.Method.Sign(signing, k.sign)
	if err != nil {
		t.Fatal(err)
	}
	return signing + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func claims(more map[string]any) map[string]any {
	c := map[string]any{"sub": "1001", "exp": clock.Add(time.Hour).Unix()}
	maps.Copy(c, more)
	for k, v := range c {
		if v == nil {
			delete(c, k)
		}
	}
	return c
}

type m = map[string]any

func TestVerify(t *testing.T) {
	hs, ed, bare, rogue := hsKey(t, "h", 'h'), edKey("e", 'e'), hsKey(t, "", 'b'), hsKey(t, "h", 'r')
	ring, err := NewRing(DefaultPolicy(), at, hs, ed, bare)
	if err != nil {
		t.Fatal(err)
	}
	// The public key used as if it were a secret: the classic confusion.
	confused := Key{kid: "e", method: jwt.SigningMethodHS256, sign: []byte(ed.verify.(ed25519.PublicKey))}
	none := Key{kid: "h", method: jwt.SigningMethodNone, sign: jwt.UnsafeAllowNoneSignatureType}
	hs512 := Key{kid: "h", method: jwt.SigningMethodHS512, sign: hs.sign}
	sec := func(d time.Duration) int64 { return clock.Add(d).Unix() }
	tests := []struct {
		name  string
		token string
		want  error
	}{
		{"HS256", token(t, hs, nil, claims(nil)), nil},
		{"EdDSA", token(t, ed, nil, claims(nil)), nil},
		{"no kid, with a key for that", token(t, bare, m{"kid": nil}, claims(nil)), nil},
		{"not before now", token(t, hs, nil, claims(m{"nbf": sec(0), "iat": sec(0)})), nil},
		{"fractions of a second", token(t, hs, nil, claims(m{"exp": float64(sec(0)) + 0.5})), nil},
		{"expired within the leeway", token(t, hs, nil, claims(m{"exp": sec(0)})), nil},
		{"issued within the leeway", token(t, hs, nil, claims(m{"iat": sec(time.Second)})), nil},
		{"unknown claims", token(t, hs, nil, claims(m{"admin": true, "aud": "x", "iss": "y"})), nil},

		{"expired", token(t, hs, nil, claims(m{"exp": sec(-time.Minute)})), ErrExpired},
		{"expired at the leeway", token(t, hs, nil, claims(m{"exp": sec(-time.Second)})), ErrExpired},
		{"expired, by an unknown key", token(t, rogue, nil, claims(m{"exp": sec(-time.Minute)})), ErrRefused},
		{"expired and not valid yet", token(t, hs, nil, claims(m{"exp": sec(-time.Minute), "nbf": sec(time.Hour)})), ErrRefused},
		{"expired and without uid", token(t, hs, nil, claims(m{"exp": sec(-time.Minute), "sub": nil})), ErrRefused},

		{"empty", "", ErrRefused},
		{"no token", "1001", ErrRefused},
		{"three empty parts", "..", ErrRefused},
		{"too long", token(t, hs, nil, claims(m{"pad": strings.Repeat("x", TokenBytesMax)})), ErrRefused},
		{"another secret", token(t, rogue, nil, claims(nil)), ErrRefused},
		{"unknown kid", token(t, hs, m{"kid": "z"}, claims(nil)), ErrRefused},
		{"no kid by a key that has one", token(t, hs, m{"kid": nil}, claims(nil)), ErrRefused},
		{"kid that is no text", token(t, hs, m{"kid": 1}, claims(nil)), ErrRefused},
		{"algorithm none", token(t, none, nil, claims(nil)), ErrRefused},
		{"algorithm not the key's", token(t, hs512, nil, claims(nil)), ErrRefused},
		{"public key as secret", token(t, confused, nil, claims(nil)), ErrRefused},
		{"an extension we do not know", token(t, hs, m{"crit": []string{"exp"}}, claims(nil)), ErrRefused},
		{"no exp", token(t, hs, nil, claims(m{"exp": nil})), ErrRefused},
		{"exp that is no number", token(t, hs, nil, claims(m{"exp": "tomorrow"})), ErrRefused},
		{"not valid yet", token(t, hs, nil, claims(m{"nbf": sec(time.Minute)})), ErrRefused},
		{"issued in the future", token(t, hs, nil, claims(m{"iat": sec(time.Minute)})), ErrRefused},
		{"no sub", token(t, hs, nil, claims(m{"sub": nil})), ErrRefused},
		{"sub that is no text", token(t, hs, nil, claims(m{"sub": 1001})), ErrRefused},
		{"sub empty", token(t, hs, nil, claims(m{"sub": ""})), ErrRefused},
		{"sub too long", token(t, hs, nil, claims(m{"sub": strings.Repeat("u", 65)})), ErrRefused},
		{"sub with a control character", token(t, hs, nil, claims(m{"sub": "a\nb"})), ErrRefused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ring.Verify(tt.token)
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Fatalf("Verify = %+v, %v, want %v", got, err, tt.want)
			}
			if err == nil && got.UID != "1001" {
				t.Errorf("uid = %q, want 1001", got.UID)
			}
		})
	}
}

// TestVerifyAnyChange flips each bit of a good token, one at a time.
func TestVerifyAnyChange(t *testing.T) {
	hs := hsKey(t, "h", 'h')
	ring, err := NewRing(DefaultPolicy(), at, hs)
	if err != nil {
		t.Fatal(err)
	}
	good := token(t, hs, nil, claims(nil))
	for i := range len(good) {
		for bit := range 8 {
			b := []byte(good)
			b[i] ^= 1 << bit
			if got, err := ring.Verify(string(b)); err == nil {
				t.Errorf("Verify accepts byte %d with bit %d flipped: %+v", i, bit, got)
			}
		}
	}
}

func TestExpiresAt(t *testing.T) {
	hs := hsKey(t, "h", 'h')
	policy := DefaultPolicy()
	policy.RequireExpiry = false
	ring, err := NewRing(policy, at, hs)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		exp  any
		want time.Time
	}{
		{clock.Add(time.Hour).Unix(), clock.Add(time.Hour + policy.Leeway)},
		{nil, time.Time{}},
		{json.Number("1e17"), farthest},
		{json.Number("9000000000000000000"), farthest},
	} {
		got, err := ring.Verify(token(t, hs, nil, claims(m{"exp": tt.exp})))
		if err != nil || !got.ExpiresAt.Equal(tt.want) {
			t.Errorf("Verify with exp %v = %v, %v, want %v", tt.exp, got.ExpiresAt, err, tt.want)
		}
	}
}

func TestIssuerAndAudience(t *testing.T) {
	hs := hsKey(t, "h", 'h')
	policy := DefaultPolicy()
	policy.Issuer, policy.Audience = "me", "im"
	ring, err := NewRing(policy, at, hs)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		more m
		want error
	}{
		{m{"iss": "me", "aud": "im"}, nil},
		{m{"iss": "me", "aud": []string{"x", "im"}}, nil},
		{m{"iss": "me"}, ErrRefused},
		{m{"iss": "you", "aud": "im"}, ErrRefused},
		{m{"aud": "im"}, ErrRefused},
		{m{"iss": "you", "aud": "im", "exp": clock.Add(-time.Hour).Unix()}, ErrRefused},
		{m{"iss": "me", "aud": "im", "exp": clock.Add(-time.Hour).Unix()}, ErrExpired},
	} {
		if _, err := ring.Verify(token(t, hs, nil, claims(tt.more))); !errors.Is(err, tt.want) {
			t.Errorf("Verify of %v = %v, want %v", tt.more, err, tt.want)
		}
	}
}

func TestNewRingRefuses(t *testing.T) {
	if _, err := NewRing(DefaultPolicy(), at); err == nil {
		t.Error("NewRing without keys succeeded")
	}
	if _, err := NewRing(DefaultPolicy(), at, hsKey(t, "k", 'a'), edKey("k", 'b')); err == nil {
		t.Error("NewRing with one kid twice succeeded")
	}
	if _, err := NewRing(Policy{Leeway: time.Hour}, at, hsKey(t, "k", 'a')); err == nil {
		t.Error("NewRing with a leeway of an hour succeeded")
	}
}

// FuzzVerify holds Verify to never accepting what the key did not sign.
func FuzzVerify(f *testing.F) {
	secret := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s", 32)))
	k, err := newHS256("k", []byte(secret))
	if err != nil {
		f.Fatal(err)
	}
	ring, err := NewRing(DefaultPolicy(), at, k)
	if err != nil {
		f.Fatal(err)
	}
	good, err := k.Sign("1001", clock, time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("..")
	f.Add(good[:len(good)-1])
	f.Add("eyJhbGciOiJub25lIiwia2lkIjoiayJ9." + strings.Split(good, ".")[1] + ".")
	f.Fuzz(func(t *testing.T, in string) {
		if got, err := ring.Verify(in); err == nil && in != good {
			t.Fatalf("Verify accepts %q: %+v", in, got)
		}
	})
}

func BenchmarkVerifyHS256(b *testing.B) {
	k, err := newHS256("k", []byte(strings.Repeat("QUFB", 11)))
	if err != nil {
		b.Fatal(err)
	}
	ring, err := NewRing(DefaultPolicy(), at, k)
	if err != nil {
		b.Fatal(err)
	}
	good, err := k.Sign("1001", clock, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ring.Verify(good); err != nil {
			b.Fatal(err)
		}
	}
}
