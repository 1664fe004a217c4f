package transport

import (
	"strings"
	"testing"
)

// TestPartial has every kind of client stop in the middle: what is kept of it is
// counted.
func TestPartial(t *testing.T) {
	edge, _ := scriptListeners(t)
	const sent = 3000
	filler := strings.Repeat("x", sent)
	upgrade := "GET /v1/ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
	for what, in := range map[string]string{
		"a frame":               "\x00\x00\x0f\xff\x03" + filler,
		"a message":             upgrade + "\x81\xfe\x0f\xff\x00\x00\x00\x00" + filler,
		"the head of a request": "GET /v1/poll HTTP/1.1\r\nHost: h\r\nX: " + filler,
		"the body of a request": "POST /v1/poll HTTP/1.1\r\nHost: h\r\nContent-Length: 4000\r\n\r\n" + filler,
	} {
		s := newScript(t, edge, "127.0.0.1:1")
		s.feed([]byte(in))
		if n := s.c.Partial(); n < sent || n > sent+200 {
			t.Errorf("%s: %d bytes are kept, want about %d", what, n, sent)
		}
		s.end()
	}
}
