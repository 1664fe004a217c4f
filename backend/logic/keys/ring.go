package keys

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TokenBytesMax bounds a token. It is checked before anything else is done with
// a token, since whoever sends one has not been identified.
const TokenBytesMax = 8 << 10

var (
	// ErrRefused means that a token proves nothing. Why is wrapped for the log and
	// is not for the client: it would tell a forger what to mend.
	ErrRefused = errors.New("token refused")
	// ErrExpired means that a token was good and has run out.
	ErrExpired = errors.New("token expired")
)

// Policy is what besides the signature a token must fulfil.
type Policy struct {
	// Leeway is how far the clock of whoever issues tokens may differ from ours.
	Leeway time.Duration `koanf:"leeway"`
	// RequireExpiry refuses tokens that never run out.
	RequireExpiry bool `koanf:"require_expiry"`
	// Issuer, when given, is what a token's iss must be.
	Issuer string `koanf:"issuer"`
	// Audience, when given, is what a token's aud must contain.
	Audience string `koanf:"audience"`
}

// DefaultPolicy wants an expiry and allows for clocks that are kept by NTP.
func DefaultPolicy() Policy { return Policy{Leeway: time.Second, RequireExpiry: true} }

// Validate reports every setting that cannot work.
func (p Policy) Validate() error {
	if p.Leeway < 0 || p.Leeway > 5*time.Minute {
		return fmt.Errorf("leeway: %v, want 0s to 5m", p.Leeway)
	}
	return nil
}

// Claims is what a good token says.
type Claims struct {
	UID       string
	ExpiresAt time.Time // from then on Verify refuses it, so with the leeway; zero: never
}

// Ring is a set of keys, each found by its kid. It does not change, so it may be
// used from any goroutine.
type Ring struct {
	keys   map[string]Key
	parser *jwt.Parser
	leeway time.Duration
}

// NewRing returns a ring that judges by the clock now.
func NewRing(p Policy, now func() time.Time, keys ...Key) (*Ring, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	r := &Ring{keys: map[string]Key{}, leeway: p.Leeway}
	for _, k := range keys {
		if _, twice := r.keys[k.kid]; twice {
			return nil, fmt.Errorf("two keys with kid %q", k.kid)
		}
		r.keys[k.kid] = k
	}
	if len(keys) == 0 {
		return nil, errors.New("no key")
	}
	opts := []jwt.ParserOption{
		jwt.WithValidMethods([]string{HS256, EdDSA}), // find narrows this to the key's own
		jwt.WithLeeway(p.Leeway), jwt.WithIssuedAt(), jwt.WithStrictDecoding(), jwt.WithTimeFunc(now),
	}
	if p.RequireExpiry {
		opts = append(opts, jwt.WithExpirationRequired())
	}
	if p.Issuer != "" {
		opts = append(opts, jwt.WithIssuer(p.Issuer))
	}
	if p.Audience != "" {
		opts = append(opts, jwt.WithAudience(p.Audience))
	}
	r.parser = jwt.NewParser(opts...)
	return r, nil
}

// Verify judges a token. Errors wrap ErrRefused, or ErrExpired when expiry is
// all that is wrong with it.
func (r *Ring) Verify(token string) (Claims, error) {
	if len(token) > TokenBytesMax {
		return Claims{}, fmt.Errorf("%w: %d bytes, at most %d", ErrRefused, len(token), TokenBytesMax)
	}
	var claims jwt.RegisteredClaims
	_, err := r.parser.ParseWithClaims(token, &claims, r.find)
	if err != nil {
		// Claims are looked at only under a good signature, so a token that is found
		// expired is no forgery; but it may have other faults too.
		if expiredOnly(err) && CheckUID(claims.Subject) == nil {
			return Claims{}, ErrExpired
		}
		return Claims{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if err := CheckUID(claims.Subject); err != nil {
		return Claims{}, fmt.Errorf("%w: sub: %w", ErrRefused, err)
	}
	c := Claims{UID: claims.Subject}
	if claims.ExpiresAt != nil {
		c.ExpiresAt = earlier(claims.ExpiresAt.Add(r.leeway), farthest)
	}
	return c, nil
}

// find returns the key that the token's header names, if the header goes with it.
func (r *Ring) find(t *jwt.Token) (any, error) {
	if _, ok := t.Header["crit"]; ok {
		return nil, errors.New("header crit: no extension is understood")
	}
	kid := ""
	if v, ok := t.Header["kid"]; ok {
		if kid, ok = v.(string); !ok {
			return nil, errors.New("header kid: not a text")
		}
	}
	k, ok := r.keys[kid]
	if !ok {
		return nil, fmt.Errorf("no key with kid %.*q", kidBytesMax, kid)
	}
	if t.Method.Alg() != k.method.Alg() {
		return nil, fmt.Errorf("algorithm %s with a key for %s", t.Method.Alg(), k.method.Alg())
	}
	return k.verify, nil
}

// expiredOnly tells whether a valid token would become valid by an earlier clock.
func expiredOnly(err error) bool {
	if !errors.Is(err, jwt.ErrTokenExpired) {
		return false
	}
	for _, other := range []error{
		jwt.ErrTokenNotValidYet, jwt.ErrTokenUsedBeforeIssued, jwt.ErrTokenInvalidIssuer,
		jwt.ErrTokenInvalidAudience, jwt.ErrTokenRequiredClaimMissing,
	} {
		if errors.Is(err, other) {
			return false
		}
	}
	return true
}

// farthest is the last expiry told: milliseconds up to there are exact in every
// language's numbers, which a token's own number need not be.
var farthest = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
