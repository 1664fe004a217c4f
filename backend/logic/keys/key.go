// Package keys holds what a login is judged by: the keys that sign tokens, the
// judgement itself, and the data folder in which a first start keeps a key of
// its own. It is the only package that knows the JWT library.
package keys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The algorithms that a key can be for.
const (
	HS256 = "HS256" // one secret signs and verifies
	EdDSA = "EdDSA" // Ed25519: a private key signs elsewhere, the public one verifies here
)

const (
	secretBytesMin  = 32      // RFC 7518: an HS256 key is at least as long as its hash
	keyFileBytesMax = 1 << 16 // no key is longer; guards against a wrong path
	kidBytesMax     = 128
)

// Config names one key that tokens may be signed with.
type Config struct {
	// Kid is what the token's header calls the key. Empty judges the tokens that
	// name none.
	Kid string `koanf:"kid"`
	// Algorithm is HS256 or EdDSA. Tokens that name the key with another
	// algorithm are refused.
	Algorithm string `koanf:"algorithm"`
	// File holds the key: for HS256 at least 32 secret bytes in base64, for EdDSA
	// the public key in PEM.
	File string `koanf:"file"`
}

// Validate reports every setting that cannot work. It does not open the file.
func (c Config) Validate() error {
	var errs []error
	if len(c.Kid) > kidBytesMax {
		errs = append(errs, fmt.Errorf("kid: %d bytes, at most %d", len(c.Kid), kidBytesMax))
	}
	if c.Algorithm != HS256 && c.Algorithm != EdDSA {
		errs = append(errs, fmt.Errorf("algorithm: %q, want %s or %s", c.Algorithm, HS256, EdDSA))
	}
	if c.File == "" {
		errs = append(errs, errors.New("file: empty"))
	}
	return errors.Join(errs...)
}

// Key verifies the tokens that name it, and signs where it can. Its algorithm is
// part of it: a token cannot choose another one.
type Key struct {
	kid    string
	method jwt.SigningMethod
	verify any // []byte for HS256, ed25519.PublicKey for EdDSA
	sign   any // nil: a public key
}

// Load reads the key that c names.
func Load(c Config) (Key, error) {
	data, err := readKeyFile(c.File)
	if err != nil {
		return Key{}, err
	}
	k := Key{kid: c.Kid}
	switch c.Algorithm {
	case HS256:
		k, err = newHS256(c.Kid, data)
	case EdDSA:
		k.method = jwt.SigningMethodEdDSA
		k.verify, err = parsePublic(data)
	default:
		err = fmt.Errorf("algorithm %q", c.Algorithm)
	}
	if err != nil {
		return Key{}, fmt.Errorf("key file %s: %w", c.File, err)
	}
	return k, nil
}

// readKeyFile reads a short file. A longer one is not read to its end.
func readKeyFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	data, err := io.ReadAll(io.LimitReader(f, keyFileBytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if len(data) > keyFileBytesMax {
		return nil, fmt.Errorf("key file %s: longer than any key", path)
	}
	return data, nil
}

// newHS256 makes a key from base64 text in either alphabet, padded or not.
func newHS256(kid string, text []byte) (Key, error) {
	s := bytes.TrimRight(bytes.TrimSpace(text), "=")
	s = bytes.ReplaceAll(bytes.ReplaceAll(s, []byte("-"), []byte("+")), []byte("_"), []byte("/"))
	secret, err := base64.RawStdEncoding.AppendDecode(nil, s)
	if err != nil {
		return Key{}, errors.New("not base64") // the cause would show a part of the secret
	}
	if len(secret) < secretBytesMin {
		return Key{}, fmt.Errorf("%d bytes, want at least %d", len(secret), secretBytesMin)
	}
	return Key{kid: kid, method: jwt.SigningMethodHS256, verify: secret, sign: secret}, nil
}

func parsePublic(data []byte) (ed25519.PublicKey, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, errors.New("not a PEM block PUBLIC KEY")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	pub, ok := key.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("a key of type %T, want Ed25519", key)
	}
	return pub, nil
}

// Sign makes a token for uid that is valid from now for ttl. It fails for a uid
// that CheckUID refuses and for a key that only verifies.
func (k Key) Sign(uid string, now time.Time, ttl time.Duration) (string, error) {
	if err := CheckUID(uid); err != nil {
		return "", fmt.Errorf("uid: %w", err)
	}
	if k.sign == nil {
		return "", errors.New("the key can only verify")
	}
	t := jwt.NewWithClaims(k.method, jwt.RegisteredClaims{
		Subject: uid, IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(ttl)),
	})
	if k.kid != "" {
		t.Header["kid"] = k.kid
	}
	return t.SignedString(k.sign)
}
