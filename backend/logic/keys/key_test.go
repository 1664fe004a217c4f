package keys

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadHS256(t *testing.T) {
	secret := make([]byte, 33)
	for i := range secret {
		secret[i] = 0xfb // both alphabets differ in it
	}
	want, err := Load(Config{Kid: "k", Algorithm: HS256, File: file(t, base64.StdEncoding.EncodeToString(secret))})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		base64.URLEncoding.EncodeToString(secret), base64.RawURLEncoding.EncodeToString(secret),
		base64.RawStdEncoding.EncodeToString(secret) + "\n", "  " + base64.StdEncoding.EncodeToString(secret) + "\r\n",
	} {
		k, err := Load(Config{Kid: "k", Algorithm: HS256, File: file(t, text)})
		if err != nil {
			t.Errorf("Load of %q = %v", text, err)
			continue
		}
		signed, err := k.Sign("1001", clock, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		ring, _ := NewRing(DefaultPolicy(), at, want)
		if _, err := ring.Verify(signed); err != nil {
			t.Errorf("%q is another key: %v", text, err)
		}
	}
}

func TestLoadEdDSA(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	k, err := Load(Config{Kid: "k", Algorithm: EdDSA, File: file(t, text)})
	if err != nil {
		t.Fatalf("Load = %v", err)
	}
	ring, err := NewRing(DefaultPolicy(), at, k)
	if err != nil {
		t.Fatal(err)
	}
	signer := k
	signer.sign = private
	signed, err := signer.Sign("1001", clock, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := ring.Verify(signed); err != nil || c.UID != "1001" {
		t.Errorf("Verify = %+v, %v", c, err)
	}
	if _, err := k.Sign("1001", clock, time.Hour); err == nil {
		t.Error("a public key signs")
	}
}

func TestLoadRefuses(t *testing.T) {
	short := base64.StdEncoding.EncodeToString(make([]byte, 31))
	for name, c := range map[string]Config{
		"no file":           {Algorithm: HS256, File: filepath.Join(t.TempDir(), "none")},
		"a folder":          {Algorithm: HS256, File: t.TempDir()},
		"empty":             {Algorithm: HS256, File: file(t, "")},
		"short secret":      {Algorithm: HS256, File: file(t, short)},
		"not base64":        {Algorithm: HS256, File: file(t, strings.Repeat("hunter2!", 8))},
		"long":              {Algorithm: HS256, File: file(t, strings.Repeat("A", 1<<17))},
		"no PEM":            {Algorithm: EdDSA, File: file(t, short)},
		"PEM of other type": {Algorithm: EdDSA, File: file(t, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")},
		"PEM of nothing":    {Algorithm: EdDSA, File: file(t, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")},
		"algorithm":         {Algorithm: "RS256", File: file(t, short)},
	} {
		_, err := Load(c)
		if err == nil {
			t.Errorf("Load of %s succeeded", name)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Load of %s shows the secret: %v", name, err)
		}
	}
}

func TestSignRefusesUID(t *testing.T) {
	k := hsKey(t, "k", 'a')
	for _, uid := range []string{"", strings.Repeat("x", 65), "a\x00b", "\xff", "a\u0085", "\ufffd"} {
		if _, err := k.Sign(uid, clock, time.Hour); err == nil {
			t.Errorf("Sign(%q) succeeded", uid)
		}
	}
	for _, uid := range []string{"1", strings.Repeat("x", 64), "été", "a b", "😀", "\"'<>&"} {
		if _, err := k.Sign(uid, clock, time.Hour); err != nil {
			t.Errorf("Sign(%q) = %v", uid, err)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	if err := (Config{Kid: "k", Algorithm: EdDSA, File: "f"}).Validate(); err != nil {
		t.Errorf("Validate = %v", err)
	}
	err := Config{Kid: strings.Repeat("k", 129), Algorithm: "none"}.Validate()
	want := "kid: 129 bytes, at most 128\nalgorithm: \"none\", want HS256 or EdDSA\nfile: empty"
	if err == nil || err.Error() != want {
		t.Errorf("Validate = %v, want %s", err, want)
	}
}
