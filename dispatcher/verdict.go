package dispatcher

import (
	"time"
	"unicode"
	"unicode/utf8"

	hf "github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// Close codes that the dispatcher itself gives (docs/protocol.md section 5).
const (
	closeOverloaded         uint16 = 4003
	closeInternal           uint16 = 4006
	closeBackendUnavailable uint16 = 4007
)

// refusalCodes are the close codes with which a backend may refuse a login.
var refusalCodes = map[int32]bool{
	4003: true, 4004: true, 4006: true, 4007: true, 4009: true, 4010: true, 4011: true,
	4502: true, 4503: true, 4504: true, 4507: true,
}

// Limits of ConnectResult (idl/holdfast.thrift).
const (
	uidBytesMax    = 64
	attrsMax       = 16
	attrsBytesMax  = 1024
	reasonBytesMax = 120
)

// loginKind is what became of a login, as a metric label: the set is closed.
type loginKind uint8

const (
	loginWelcome     loginKind = iota
	loginRefused               // by the backend
	loginUnavailable           // nobody could be asked
	loginOverload              // too many wait
	loginBadAnswer             // the backend's answer breaks the contract
	loginKinds
)

var loginKindNames = [loginKinds]string{"welcome", "refused", "unavailable", "overload", "bad_answer"}

// verdictOf turns a backend's result into a verdict, and holds it to the contract:
// a uid or attributes out of bounds would travel with every packet from then on.
func verdictOf(r *hf.ConnectResult_) (loginKind, Verdict) {
	switch {
	case r == nil:
		return badAnswer()
	case r.CloseCode != 0:
		if !refusalCodes[r.CloseCode] {
			return badAnswer()
		}
		return loginRefused, Verdict{
			CloseCode:  uint16(r.CloseCode),
			Reason:     clip(r.CloseReason, reasonBytesMax),
			RetryAfter: max(0, min(time.Duration(r.RetryAfterMs)*time.Millisecond, retryAfterMax)),
		}
	case !validUID(r.Uid) || !validAttrs(r.Attrs) || r.Window < 0 || r.ExpiresAtMs < 0:
		return badAnswer()
	}
	v := Verdict{UID: r.Uid, Window: int(r.Window)}
	if len(r.Attrs) > 0 {
		v.Attrs = r.Attrs
	}
	if r.ExpiresAtMs > 0 {
		v.ExpiresAt = time.UnixMilli(r.ExpiresAtMs)
	}
	return loginWelcome, v
}

func badAnswer() (loginKind, Verdict) {
	return loginBadAnswer, Verdict{CloseCode: closeInternal, Reason: "the backend's answer breaks the contract"}
}

func validUID(uid string) bool {
	if len(uid) < 1 || len(uid) > uidBytesMax || !utf8.ValidString(uid) {
		return false
	}
	for _, r := range uid {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}

func validAttrs(attrs map[string]string) bool {
	n := 0
	for k, v := range attrs {
		n += len(k) + len(v)
		if !utf8.ValidString(k) || !utf8.ValidString(v) {
			return false
		}
	}
	return len(attrs) <= attrsMax && n <= attrsBytesMax
}

// clip shortens s to at most n bytes of valid UTF-8.
func clip(s string, n int) string {
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	if !utf8.ValidString(s) {
		return ""
	}
	return s
}
