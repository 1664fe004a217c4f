package wire

import (
	"net/http"
	"strconv"
)

// CloseCode says why a connection was closed, and so what the client does
// next. On WebSocket it is the close code too.
type CloseCode uint16

// The close codes. The numbers are the protocol's: never renumber one.
// 4000 to 4499 ask the client to come back, 4500 to 4999 to stay away.
const (
	CloseNormal             CloseCode = 1000 // the sender is done
	CloseDraining           CloseCode = 4000
	CloseHeartbeatTimeout   CloseCode = 4001
	CloseSlowConsumer       CloseCode = 4002
	CloseOverloaded         CloseCode = 4003
	CloseSessionExpired     CloseCode = 4004
	CloseHelloTimeout       CloseCode = 4005
	CloseInternal           CloseCode = 4006
	CloseBackendUnavailable CloseCode = 4007
	CloseLifetime           CloseCode = 4008
	CloseTakenOver          CloseCode = 4009
	CloseTicketInvalid      CloseCode = 4010
	CloseRateLimited        CloseCode = 4011
	CloseProtocolError      CloseCode = 4500
	CloseFrameTooLarge      CloseCode = 4501
	CloseUnauthenticated    CloseCode = 4502
	ClosePermissionDenied   CloseCode = 4503
	CloseKicked             CloseCode = 4504
	CloseFlowControl        CloseCode = 4506
	CloseTokenExpired       CloseCode = 4507
	CloseUnsupportedVersion CloseCode = 4508
)

// closeRule is a row of the table in docs/protocol.md sections 5 and 6.
type closeRule struct {
	code     CloseCode
	name     string
	reaction Reaction
	http     int // of a refusal on long poll and SSE
}

var closeRules = []closeRule{
	{CloseNormal, "NORMAL", ReactionNone, http.StatusUnauthorized}, // the bearer's session has ended
	{CloseDraining, "DRAINING", ReactionFollow, http.StatusServiceUnavailable},
	{CloseHeartbeatTimeout, "HEARTBEAT_TIMEOUT", ReactionResume, http.StatusServiceUnavailable},
	{CloseSlowConsumer, "SLOW_CONSUMER", ReactionResumeOrSync, http.StatusServiceUnavailable},
	{CloseOverloaded, "OVERLOADED", ReactionBackoff, http.StatusServiceUnavailable},
	{CloseSessionExpired, "SESSION_EXPIRED", ReactionFresh, http.StatusGone},
	{CloseHelloTimeout, "HELLO_TIMEOUT", ReactionBackoff, http.StatusRequestTimeout},
	{CloseInternal, "INTERNAL", ReactionBackoff, http.StatusInternalServerError},
	{CloseBackendUnavailable, "BACKEND_UNAVAILABLE", ReactionBackoff, http.StatusServiceUnavailable},
	{CloseLifetime, "LIFETIME", ReactionResumeOrReconnect, http.StatusServiceUnavailable},
	{CloseTakenOver, "TAKEN_OVER", ReactionNone, http.StatusConflict},
	{CloseTicketInvalid, "TICKET_INVALID", ReactionScheduler, http.StatusMisdirectedRequest},
	{CloseRateLimited, "RATE_LIMITED", ReactionBackoff, http.StatusTooManyRequests},
	{CloseProtocolError, "PROTOCOL_ERROR", ReactionStop, http.StatusBadRequest},
	{CloseFrameTooLarge, "FRAME_TOO_LARGE", ReactionStop, http.StatusRequestEntityTooLarge},
	{CloseUnauthenticated, "UNAUTHENTICATED", ReactionNewToken, http.StatusUnauthorized},
	{ClosePermissionDenied, "PERMISSION_DENIED", ReactionStop, http.StatusForbidden},
	{CloseKicked, "KICKED", ReactionUser, http.StatusForbidden},
	{CloseFlowControl, "FLOW_CONTROL", ReactionStop, http.StatusTooManyRequests},
	{CloseTokenExpired, "TOKEN_EXPIRED", ReactionNewToken, http.StatusUnauthorized},
	{CloseUnsupportedVersion, "UNSUPPORTED_VERSION", ReactionStop, http.StatusBadRequest},
}

// CloseCodes lists the codes that the protocol names, in rising order. It is
// where metrics take their closed set of labels from.
func CloseCodes() []CloseCode {
	codes := make([]CloseCode, len(closeRules))
	for i, r := range closeRules {
		codes[i] = r.code
	}
	return codes
}

// rule finds the row of c; for a code without one it makes the row that its
// range implies, with an empty name.
func (c CloseCode) rule() closeRule {
	for _, r := range closeRules { // 21 rows, read when a connection ends
		if r.code == c {
			return r
		}
	}
	switch {
	case c >= 4000 && c <= 4499:
		return closeRule{c, "", ReactionBackoff, http.StatusServiceUnavailable}
	case c >= 4500 && c <= 4999:
		return closeRule{c, "", ReactionStop, http.StatusBadRequest}
	default: // a WebSocket code such as 1001 or 1006
		return closeRule{c, "", ReactionResume, http.StatusInternalServerError}
	}
}

// String is the code's name, as in DRAINING, or CODE_4321 where it has none.
func (c CloseCode) String() string {
	if name := c.rule().name; name != "" {
		return name
	}
	return "CODE_" + strconv.Itoa(int(c))
}

// Named reports whether the protocol names c.
func (c CloseCode) Named() bool { return c.rule().name != "" }

// Reconnect says what a client does after it was closed with c. A code that
// the protocol does not name is judged by its range.
func (c CloseCode) Reconnect() Reaction { return c.rule().reaction }

// EndsSession reports whether a CLOSE with c, from either side, ends the
// session at once. Every other code leaves it resumable, if only for as long
// as resume_ttl_ms.
func (c CloseCode) EndsSession() bool {
	return c == CloseNormal || c >= 4500 && c <= 4999
}

// HTTPStatus is the status of an HTTP answer that refuses with c on long poll
// and SSE.
func (c CloseCode) HTTPStatus() int { return c.rule().http }
