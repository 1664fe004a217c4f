package wire

import (
	"strings"
	"unicode/utf8"
)

// The limits of docs/protocol.md. They are part of the protocol: a peer may
// rely on them, so none may shrink.
const (
	// ProtocolVersion is what HELLO must name.
	ProtocolVersion = 1

	// CommandBytesMax bounds a command, a leading $ included.
	CommandBytesMax = 64
	// ReasonBytesMax bounds the reason of a CLOSE. A WebSocket close frame
	// has room for 123 bytes.
	ReasonBytesMax = 120
	// PingBytesMax bounds the data of a PING and a PONG.
	PingBytesMax = 8
	// FrameBytesMax is the most that max_frame can be set to. It keeps the
	// first byte of a raw stream 0x00, by which a shared port tells raw frames
	// from TLS, HTTP and PROXY headers.
	FrameBytesMax = 1<<24 - 1
	// SeqMax bounds a push's seq, so that it fits a signed 64-bit integer in
	// languages that have no other.
	SeqMax = 1<<63 - 1

	// TicketBytesMax bounds HELLO's ticket.
	TicketBytesMax = 2048
	// TokenBytesMax bounds HELLO's token.
	TokenBytesMax = 8192
	// AttrsMax bounds how many attrs HELLO may carry.
	AttrsMax = 16
	// AttrsBytesMax bounds the names and values of HELLO's attrs together.
	AttrsBytesMax = 1024
	// DeviceTextBytesMax bounds each text of HELLO's device.
	DeviceTextBytesMax = 128
	// ResumeTextBytesMax bounds the session and the secret of HELLO's resume.
	ResumeTextBytesMax = 128

	// JSONDepthMax is how deep the value of a member may nest; a number is
	// 0 deep, [] is 1 deep. It bounds what the scanner's stack can grow to.
	JSONDepthMax = 64
	// TimeMSMax bounds the times in JSON objects: beyond it a language whose
	// numbers are all doubles loses digits.
	TimeMSMax = 1<<53 - 1
	// DurationMSMax bounds the durations in JSON objects, 24.8 days: beyond
	// it the timers of browsers fire at once.
	DurationMSMax = 1<<31 - 1
	// WindowMax bounds WELCOME's window, since clients size tables by it.
	WindowMax = 1 << 16
)

// StreamPrefixBytes is the size of the length before each frame of a stream.
const StreamPrefixBytes = 4

// commandBytes marks the bytes a command is made of.
var commandBytes = func() (t [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyz0123456789._-") {
		t[c] = true
	}
	return t
}()

// ValidCommand reports whether b can be a command: 1 to CommandBytesMax bytes of
// a-z 0-9 . _ - of which the gateway's own begin with a $ that does not stand
// alone.
func ValidCommand(b []byte) bool {
	if len(b) > CommandBytesMax {
		return false
	}
	if len(b) > 0 && b[0] == '$' {
		b = b[1:]
	}
	for _, c := range b {
		if !commandBytes[c] {
			return false
		}
	}
	return len(b) > 0
}

// TrimReason makes any text fit the reason of a CLOSE: what is not UTF-8 is
// replaced, and what is too long is cut between two characters.
func TrimReason(reason string) string {
	reason = strings.ToValidUTF8(reason, "\uFFFD")
	if len(reason) <= ReasonBytesMax {
		return reason
	}
	n := ReasonBytesMax
	for !utf8.RuneStart(reason[n]) {
		n--
	}
	return reason[:n]
}
