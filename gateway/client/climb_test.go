package client

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// twoKinds makes test:// an endpoint that prefers tcp2 to tcp. Both are the raw
// stream, which a scripted gateway speaks.
func twoKinds(t *testing.T) {
	dialers["tcp2"], schemes["test"] = dialTCP, scheme{[]string{"tcp2", "tcp"}, ""}
	t.Cleanup(func() {
		delete(dialers, "tcp2")
		delete(schemes, "test")
	})
}

// notAtFirst refuses one dial.
func notAtFirst() func(string) error {
	dials := 0
	return func(string) error {
		if dials++; dials == 1 {
			return errors.New("tcp2 does not get through")
		}
		return nil
	}
}

// quiet makes a gateway that may be silent for a day.
func quiet(w *wire.Welcome) { w.HeartbeatMS = 24 * 3600 * 1000 }

// TestClimbWithoutWelcome: the gateway has given the session to the connection
// that climbs, and its WELCOME is lost. The old one hears TAKEN_OVER, which is our
// own doing: the session is resumed. An hour later it would be somebody else's.
func TestClimbWithoutWelcome(t *testing.T) {
	twoKinds(t)
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		cfg.Endpoints = []string{"test://gw1:7000"}
		g.refuse = notAtFirst()
		c, old := dialed(t, g, cfg, quiet)
		began := time.Now()
		up := g.accept()
		if h := up.hello(); h.Resume == nil || h.HasToken || time.Since(began) != climbAfterDefault {
			t.Errorf("after %v HELLO with resume %+v, token %q, want to resume or nothing", time.Since(began), h.Resume, h.Token)
		}
		go old.close(wire.CloseTakenOver)
		synctest.Wait()
		up.conn.Close()
		next := g.accept()
		if h := next.hello(); h.Resume == nil || h.Resume.Secret != "x1" || !h.HasToken {
			t.Errorf("then HELLO with resume %+v, token %q", h.Resume, h.Token)
		}
		next.welcome(func(w *wire.Welcome) { w.Resumed = true; quiet(w) })
		got := request(t.Context(), c, "q")
		next.expect(wire.TypeRequest)
		next.reply(1, "a")
		if a := <-got; a.payload != "a" {
			t.Errorf("request = %q, %v", a.payload, a.err)
		}
		time.Sleep(time.Minute)
		next.close(wire.CloseTakenOver)
		<-c.Done()
	})
}

// TestClimbRefused: a session that the way up does not know stays where it is.
func TestClimbRefused(t *testing.T) {
	twoKinds(t)
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		cfg.Endpoints = []string{"test://gw1:7000"}
		g.refuse = notAtFirst()
		c, old := dialed(t, g, cfg, quiet)
		for range 3 {
			up := g.accept()
			up.hello()
			up.close(wire.CloseSessionExpired)
			got := request(t.Context(), c, "q")
			f := old.expect(wire.TypeRequest)
			old.reply(f.ID, "a")
			if a := <-got; a.payload != "a" {
				t.Errorf("request over the old connection = %q, %v", a.payload, a.err)
			}
		}
	})
}
