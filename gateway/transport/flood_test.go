package transport

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/transport/secure"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// TestFloodIsReset: a client that goes on sending, whatever it was told, learns at
// once that nobody listens.
func TestFloodIsReset(t *testing.T) {
	l := serve(t, ListenerConfig{Transports: []Name{TCP, Poll}}, testDeps())
	for name, first := range map[string]string{
		"behind a frame that is refused":   "\x00\x00\x00\x01\xff",
		"behind a request that is refused": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n",
	} {
		conn := dial(t, l)
		say(t, conn, first)
		piece, sent := make([]byte, 64<<10), 0
		var err error
		for err == nil {
			var n int
			n, err = conn.Write(piece)
			sent += n
		}
		if os.IsTimeout(err) {
			t.Errorf("%s: after %d bytes the client waits for room: %v", name, sent, err)
		}
	}
}

// counting is deaf and counts.
type counting struct {
	deaf
	received, refused *atomic.Int64
}

func (c *counting) Receive(wire.Frame) { c.received.Add(1) }

func (c *counting) Refuse(err *wire.ProtocolError) {
	c.refused.Add(1)
	c.deaf.Refuse(err)
}

// TestNothingBehindTheEnd: what stands behind a refused frame or request in other
// records of TLS is thrown away, as without TLS.
func TestNothingBehindTheEnd(t *testing.T) {
	certificate, err := secure.SelfSigned(t.TempDir(), []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	cfg := ListenerConfig{Transports: []Name{TLS, Polls}, TLS: secure.DefaultConfig()}
	cfg.TLS.Certificates = []secure.Certificate{certificate}
	var received, refused, calls atomic.Int64
	deps := testDeps()
	deps.Accept = func(c *Conn) Receiver { return &counting{deaf{c}, &received, &refused} }
	deps.Serve = func(k *Call) {
		if calls.Add(1); !k.TurnAwayBody() {
			k.Answer(404, 0, nil)
		}
	}
	l := serve(t, cfg, deps)
	const ack = "\x00\x00\x00\x09\x06\x00\x00\x00\x00\x00\x00\x00\x01"
	conn := dialTLS(t, l)
	say(t, conn, ack+strings.Repeat(" ", 40)) // a length of 0x20202020
	for range 20 {
		_, _ = conn.Write([]byte(ack)) // it may be over by now
	}
	checkEnd(t, conn, "at most")
	if received.Load() != 1 || refused.Load() != 1 {
		t.Errorf("%d frames received and %d refused, want one each", received.Load(), refused.Load())
	}
	conn = dialTLS(t, l)
	say(t, conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n"+strings.Repeat("x", 99999))
	checkEnd(t, conn, "HTTP/1.1 413 ")
	if calls.Load() != 1 {
		t.Errorf("%d calls, want one", calls.Load())
	}
}

// dialTLS returns a connection that has shaken hands.
func dialTLS(t *testing.T, l *Listener) net.Conn {
	t.Helper()
	conn := tls.Client(dial(t, l), &tls.Config{InsecureSkipVerify: true})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	return conn
}

// checkEnd checks what a connection says last.
func checkEnd(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if b, err := io.ReadAll(conn); err != nil || !strings.Contains(string(b), want) {
		t.Errorf("read %q, %v; want ...%s...", b, err, want)
	}
}
