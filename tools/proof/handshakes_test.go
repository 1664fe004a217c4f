package proof

import (
	"crypto/tls"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/tools/testenv"
)

// handshakeGoroutines is what half-open handshakes may cost: those that are under
// way have one each.
const handshakeGoroutines = 200

// TestHalfOpenHandshakes has clients send a whole ClientHello and fall silent, more
// than twice as many as may shake hands at once, and as many again when somebody
// else has got in, which others do nevertheless.
func TestHalfOpenHandshakes(t *testing.T) {
	const each, flights = 300, 3
	g := deploy(t, options{})
	first := clientHello(t, g.tls)
	before := g.usage()
	goroutines := 0
	var tries, in atomic.Int64
	var slowest time.Duration
	for range flights {
		began := time.Now()
		gather(t, each, g.edge, func(conn net.Conn) error {
			_, err := conn.Write(first)
			return err
		})
		for time.Since(began) < time.Second {
			tries.Add(1)
			tried := time.Now()
			if g.encryptedVisit() == nil {
				in.Add(1)
			}
			slowest = max(slowest, time.Since(tried))
			goroutines = max(goroutines, int(g.metrics().value("go_goroutines")))
		}
	}
	after := g.usage()
	m := g.metrics()
	testenv.Figure(t, "P20", "%d half-open TLS handshakes in %v: %d of %d others got in, the slowest took %v; %d goroutines more, %.1f %% of a core; %.0f waited, %.0f under way at the end",
		each*flights, after.at.Sub(before.at).Round(100*time.Millisecond), in.Load(), tries.Load(), slowest.Round(10*time.Millisecond), goroutines-before.goroutines, 100*share(before, after),
		m.value("holdfast_gateway_tls_handshakes_waiting"), m.value("holdfast_gateway_tls_handshakes_running"))
	if in.Load() == 0 {
		t.Error("nobody else got in")
	}
	if more := goroutines - before.goroutines; more > handshakeGoroutines {
		t.Errorf("%d goroutines more, want at most %d", more, handshakeGoroutines)
	}
	eventually(t, "others get in at once", func() bool { return g.encryptedVisit() == nil })
}

// encryptedVisit is visit over TLS.
func (g *target) encryptedVisit() error {
	conn, err := net.DialTimeout("tcp", g.edge, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	c, err := login(tls.Client(conn, g.tls), "visitor")
	if err != nil {
		return err
	}
	return c.echo(1)
}
