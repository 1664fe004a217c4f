package proof

import (
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// halfShare is what half frames may cost (P21).
const halfShare = 0.01

// TestHalfFrames has 5,000 clients that stop in the middle: of a frame, on tcp and
// as a WebSocket message, once they are logged in, and of an HTTP head. While
// nothing more comes they cost nothing.
func TestHalfFrames(t *testing.T) {
	// The deadlines are another promise's: here nobody is to be closed meanwhile.
	g := deploy(t, options{more: "session: {hello_timeout: 60s, heartbeat: 60s}\n"})
	half := bare(request(1, "echo.say", make([]byte, 600)))
	long := stream(request(1, "echo.say", make([]byte, 600)))
	before := g.usage()
	tcp := gather(t, 2000, g.edge, welcomed())
	tcp.say(long[:len(long)/2])
	ws := gather(t, 2000, g.edge, webSocketWelcomed())
	ws.say(wsFrame(wsBinary, half)[:len(half)/2])
	http := gather(t, 1000, g.edge, nil)
	http.say(upgrade("X-Filler: a")[:200])
	all := append(append(tcp, ws...), http...)

	quiet := 5 * time.Second
	if testenv.Soak() {
		quiet = 40 * time.Second
	}
	time.Sleep(time.Second) // garbage of the logins is collected
	began := g.usage()
	time.Sleep(quiet)
	after := g.usage()
	testenv.Figure(t, "P21", "%d half frames (2,000 tcp, 2,000 WebSocket, 1,000 HTTP heads): %.2f %% of a core in %v; %d goroutines more; %.1f KB resident each",
		len(all), 100*share(began, after), quiet, after.goroutines-before.goroutines, float64(after.rss-before.rss)/float64(len(all))/1e3)
	if s := share(began, after); s > halfShare {
		t.Errorf("%.2f %% of a core, want at most %.0f %%", 100*s, 100*halfShare)
	}
	if n := all.left(); n != len(all) {
		t.Errorf("%d of %d are open, want all: it was not half frames that were measured", n, len(all))
	}
}

// welcomed opens a session on tcp, each for a user of its own.
func welcomed() func(net.Conn) error {
	var users atomic.Int64
	return func(conn net.Conn) error {
		_, err := login(conn, fmt.Sprintf("u%d", users.Add(1)))
		return err
	}
}

// webSocketWelcomed is the same on a WebSocket.
func webSocketWelcomed() func(net.Conn) error {
	var users atomic.Int64
	return func(conn net.Conn) error {
		if _, err := becomeWebSocket(conn, ""); err != nil {
			return err
		}
		frame := bare(&wire.Frame{Type: wire.TypeHello, Payload: fmt.Appendf(nil, `{"protocol":1,"token":"w%d"}`, users.Add(1))})
		if _, err := conn.Write(wsFrame(wsBinary, frame)); err != nil {
			return err
		}
		head := make([]byte, 4)
		if _, err := io.ReadFull(conn, head); err != nil {
			return err
		}
		if head[0] != wsBinary || head[1] != 126 { // WELCOME is longer than 125 bytes and shorter than 64 KiB
			return fmt.Errorf("%x instead of WELCOME", head)
		}
		_, err := io.CopyN(io.Discard, conn, int64(head[2])<<8|int64(head[3]))
		return err
	}
}
