package wire

import "strconv"

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
	http     int // status of a refusal on long poll and SSE; net/http would be a heavy import for a number
}

var closeRules = []closeRule{
	{CloseNormal, "NORMAL", ReactionNone, 401}, // the bearer's session has ended
	{CloseDraining, "DRAINING", ReactionFollow, 503},
	{CloseHeartbeatTimeout, "HEARTBEAT_TIMEOUT", ReactionResume, 503},
	{CloseSlowConsumer, "SLOW_CONSUMER", ReactionResumeOrSync, 503},
	{CloseOverloaded, "OVERLOADED", ReactionBackoff, 503},
	{CloseSessionExpired, "SESSION_EXPIRED", ReactionFresh, 410},
	{CloseHelloTimeout, "HELLO_TIMEOUT", ReactionBackoff, 408},
	{CloseInternal, "INTERNAL", ReactionBackoff, 500},
	{CloseBackendUnavailable, "BACKEND_UNAVAILABLE", ReactionBackoff, 503},
	{CloseLifetime, "LIFETIME", ReactionResumeOrReconnect, 503},
	{CloseTakenOver, "TAKEN_OVER", ReactionNone, 409},
	{CloseTicketInvalid, "TICKET_INVALID", ReactionScheduler, 421},
	{CloseRateLimited, "RATE_LIMITED", ReactionBackoff, 429},
	{CloseProtocolError, "PROTOCOL_ERROR", ReactionStop, 400},
	{CloseFrameTooLarge, "FRAME_TOO_LARGE", ReactionStop, 413},
	{CloseUnauthenticated, "UNAUTHENTICATED", ReactionNewToken, 401},
	{ClosePermissionDenied, "PERMISSION_DENIED", ReactionStop, 403},
	{CloseKicked, "KICKED", ReactionUser, 403},
	{CloseFlowControl, "FLOW_CONTROL", ReactionStop, 429},
	{CloseTokenExpired, "TOKEN_EXPIRED", ReactionNewToken, 401},
	{CloseUnsupportedVersion, "UNSUPPORTED_VERSION", ReactionStop, 400},
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
		return closeRule{c, "", ReactionBackoff, 503}
	case c >= 4500 && c <= 4999:
		return closeRule{c, "", ReactionStop, 400}
	default: // a WebSocket code such as 1001 or 1006
		return closeRule{c, "", ReactionResume, 500}
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
