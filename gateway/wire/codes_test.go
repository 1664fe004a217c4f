package wire

import (
	"testing"
)

// TestRanges walks every code that a frame can carry.
func TestRanges(t *testing.T) {
	for n := range 1 << 16 {
		c := CloseCode(n)
		ends := n == 1000 || n >= 4500 && n <= 4999
		if got := c.EndsSession(); got != ends {
			t.Errorf("CloseCode(%d).EndsSession() = %v, want %v", n, got, ends)
		}
		if ends && (c.Reconnect().ComesBack() || c.Reconnect().Resumes()) {
			t.Errorf("CloseCode(%d).Reconnect() = %v, though it ends the session", n, c.Reconnect())
		}
		if n >= 4000 && n <= 4499 && c != CloseTakenOver && !c.Reconnect().ComesBack() {
			t.Errorf("CloseCode(%d).Reconnect() = %v, want one that comes back", n, c.Reconnect())
		}
		if s := c.HTTPStatus(); s < 400 || s > 599 {
			t.Errorf("CloseCode(%d).HTTPStatus() = %d, want 4xx or 5xx", n, s)
		}
	}
}

func TestUnnamedCodes(t *testing.T) {
	tests := []struct {
		code CloseCode
		name string
		want Reaction
	}{
		{0, "CODE_0", ReactionResume},
		{1001, "CODE_1001", ReactionResume},
		{1006, "CODE_1006", ReactionResume},
		{3999, "CODE_3999", ReactionResume},
		{4012, "CODE_4012", ReactionBackoff},
		{4499, "CODE_4499", ReactionBackoff},
		{4505, "CODE_4505", ReactionStop},
		{4999, "CODE_4999", ReactionStop},
		{5000, "CODE_5000", ReactionResume},
	}
	for _, tt := range tests {
		if got := tt.code.Reconnect(); got != tt.want || tt.code.String() != tt.name || tt.code.Named() {
			t.Errorf("%d: %s reacts by %v, want %s by %v", tt.code, tt.code, got, tt.name, tt.want)
		}
	}
}

// TestHTTPStatus is the list at the end of docs/protocol.md section 6.
func TestHTTPStatus(t *testing.T) {
	want := map[CloseCode]int{
		4500: 400, 4508: 400, 4502: 401, 4507: 401, 4503: 403, 4504: 403, 4004: 410,
		4009: 409, 4501: 413, 4010: 421, 4011: 429, 4506: 429, 4003: 503, 4007: 503,
	}
	for code, status := range want {
		if got := code.HTTPStatus(); got != status {
			t.Errorf("CloseCode(%d).HTTPStatus() = %d, want %d", code, got, status)
		}
	}
}

// TestStatusMeaning walks every status under every flags byte: only the gateway
// says whether a request ran.
func TestStatusMeaning(t *testing.T) {
	for s := range 256 {
		for f := range 256 {
			st, fl := Status(s), Flags(f)
			gateway := f&1 == 1
			if got, want := st.MayRetry(fl), gateway && (s == 14 || s == 8); got != want {
				t.Errorf("Status(%d).MayRetry(%#x) = %v, want %v", s, f, got, want)
			}
			if got, want := st.MayHaveRun(fl), gateway && (s == 2 || s == 4); got != want {
				t.Errorf("Status(%d).MayHaveRun(%#x) = %v, want %v", s, f, got, want)
			}
			if got, want := st.NotRun(fl), gateway && (s == 14 || s == 8 || s == 12); got != want {
				t.Errorf("Status(%d).NotRun(%#x) = %v, want %v", s, f, got, want)
			}
		}
	}
}

func TestNames(t *testing.T) {
	tests := []struct{ got, want string }{
		{StatusUnavailable.String(), "UNAVAILABLE"},
		{StatusUnauthenticated.String(), "UNAUTHENTICATED"},
		{Status(17).String(), "STATUS_17"},
		{CloseDraining.String(), "DRAINING"},
		{TypeGoAway.String(), "goaway"},
		{Type(0).String(), "unknown"},
		{Type(11).String(), "unknown"},
		{FromClient.String(), "client"},
		{FromGateway.String(), "gateway"},
		{ReactionNone.String(), "none"},
		{ReactionUser.String(), "stop_until_user_acts"},
		{Reaction(99).String(), "unknown"},
		{Stream.String() + Binary.String() + JSON.String() + Encoding(9).String(), "streambinaryjsonunknown"},
		{(&ProtocolError{CloseFlowControl, "window: 65 unanswered, at most 64"}).Error(), "wire: FLOW_CONTROL: window: 65 unanswered, at most 64"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestTrimReason(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"short", "because", "because"},
		{"just fits", reason120, reason120},
		{"one byte over", reason120 + "x", reason120},
		{"cut before a character of 3 bytes", reason120[:118] + "漢字", reason120[:118]},
		{"cut behind a character of 2 bytes", reason120[:118] + "éé", reason120[:118] + "é"},
		{"not UTF-8", "a\xff\xfeb", "a\uFFFDb"},
	}
	for _, tt := range tests {
		if got := TrimReason(tt.in); got != tt.want {
			t.Errorf("%s: TrimReason(%q) = %q, want %q", tt.name, tt.in, got, tt.want)
		}
	}
}
