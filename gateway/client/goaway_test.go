package client

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// elsewhere makes a GOAWAY that waits 2 s and names these addresses.
func elsewhere(addresses ...string) wire.GoAway {
	g := wire.GoAway{Code: wire.CloseDraining, DeadlineMS: 30_000, ReconnectAfterMS: 2000, Ticket: "t1"}
	for _, a := range addresses {
		g.Endpoints = append(g.Endpoints, wire.Endpoint{Gateway: "x", Transport: "tcp", Address: a})
	}
	return g
}

// TestGoAway is docs/protocol.md section 5: finish what is in flight, wait,
// connect to one of the endpoints, close the old connection.
func TestGoAway(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		c, old := dialed(t, g, cfg, nil)
		slow := request(t.Context(), c, "slow")
		old.expect(wire.TypeRequest)
		began := time.Now()
		old.goAway(elsewhere("gw2:7000"))

		g.none(time.Second) // it waits, and works on meanwhile
		quick := request(t.Context(), c, "quick")
		f := old.expect(wire.TypeRequest)
		old.reply(f.ID, "a")
		if a := <-quick; a.payload != "a" {
			t.Errorf("request while waiting = %q, %v, want a", a.payload, a.err)
		}

		g.none(2 * time.Second) // the wait is over, but a request is in flight
		held := request(t.Context(), c, "held")
		old.silent()
		old.reply(1, "b")
		if a := <-slow; a.payload != "b" {
			t.Errorf("request in flight = %q, %v, want b", a.payload, a.err)
		}

		next := g.accept()
		h, _ := wire.ParseHello(next.expect(wire.TypeHello).Payload)
		if next.address != "gw2:7000" || h.Ticket != "t1" || time.Since(began) != 3*time.Second {
			t.Errorf("went to %s with ticket %q after %v, want gw2:7000, t1, 3s", next.address, h.Ticket, time.Since(began))
		}
		old.silent()
		next.welcome(nil)
		if f := old.expect(wire.TypeClose); f.Code != wire.CloseNormal {
			t.Errorf("old connection got CLOSE %d, want 1000", f.Code)
		}
		next.expect(wire.TypeRequest)
		next.reply(1, "c")
		if a := <-held; a.payload != "c" {
			t.Errorf("request between the connections = %q, %v, want c", a.payload, a.err)
		}
		next.conn.Close()
	})
}

// TestGoAwayEndpointsInOrder: each is tried once, one that this client does not
// speak is passed over, and then the configured ones have their turn. The old
// connection serves until then.
func TestGoAwayEndpointsInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		var tried []string
		var down atomic.Bool
		down.Store(true)
		g.refuse = func(address string) error {
			tried = append(tried, address)
			if down.Load() && len(tried) > 1 {
				return errors.New("down")
			}
			return nil
		}
		c, old := dialed(t, g, cfg, nil)
		going := elsewhere("gw2:7000", "gw3:7000")
		going.Endpoints[0].Transport = "sse"
		going.Endpoints = append(going.Endpoints, wire.Endpoint{Transport: "tcp", Address: "gw4:7000"})
		old.goAway(going)
		time.Sleep(2*time.Second + 50*time.Millisecond) // below the shortest back-off
		synctest.Wait()
		want := []string{"gw1:7000", "gw3:7000", "gw4:7000"}
		if len(tried) != 3 || tried[1] != want[1] || tried[2] != want[2] {
			t.Fatalf("tried %v, want %v", tried, want)
		}
		got := request(t.Context(), c, "q")
		old.expect(wire.TypeRequest)
		old.reply(1, "still here")
		if a := <-got; a.payload != "still here" {
			t.Errorf("request between attempts = %q, %v", a.payload, a.err)
		}
		down.Store(false)
		next := g.welcome(nil)
		if next.address != "gw1:7000" {
			t.Errorf("then went to %s, want gw1:7000", next.address)
		}
		old.expect(wire.TypeClose)
		next.conn.Close()
	})
}

// TestGoAwayNowhere: without endpoints it is the configured ones, another one
// first.
func TestGoAwayNowhere(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		cfg.Endpoints = []string{"gw1:7000", "gw2:7000"}
		_, old := dialed(t, g, cfg, nil)
		old.goAway(elsewhere())
		next := g.welcome(nil)
		if next.address != "gw2:7000" {
			t.Errorf("went to %s, want gw2:7000", next.address)
		}
		old.expect(wire.TypeClose)
		next.conn.Close()
	})
}

// TestGoAwayDeadline: what is not finished by then has an unknown outcome, since
// the gateway closes at its deadline.
func TestGoAwayDeadline(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		c, old := dialed(t, g, cfg, nil)
		stuck := request(t.Context(), c, "stuck")
		old.expect(wire.TypeRequest)
		going := elsewhere("gw2:7000")
		going.DeadlineMS = 5000
		began := time.Now()
		old.goAway(going)
		next := g.welcome(nil)
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("moved after %v, want at the deadline of 5s", took)
		}
		old.expect(wire.TypeClose)
		old.conn.Close()
		if a := <-stuck; !errors.Is(a.err, ErrOutcomeUnknown) {
			t.Errorf("unfinished request = %v, want ErrOutcomeUnknown", a.err)
		}
		next.conn.Close()
	})
}

// TestGoAwayAndGone: the gateway closes while the client waits; the wait holds.
func TestGoAwayAndGone(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		_, old := dialed(t, g, cfg, nil)
		began := time.Now()
		old.goAway(elsewhere("gw2:7000"))
		time.Sleep(time.Second)
		old.close(wire.CloseDraining)
		next := g.welcome(nil)
		if took := time.Since(began); took != 2*time.Second || next.address != "gw2:7000" {
			t.Errorf("moved to %s after %v, want gw2:7000 after 2s", next.address, took)
		}
		next.conn.Close()
	})
}

// TestKickedWhileLeaving: a stop is a stop, also after GOAWAY.
func TestKickedWhileLeaving(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		c, old := dialed(t, g, cfg, nil)
		old.goAway(elsewhere("gw2:7000"))
		time.Sleep(time.Second)
		old.close(wire.CloseKicked)
		<-c.Done()
		g.none(time.Hour)
	})
}

// TestOwnDeviceTakesOver: the gateway answers the second HELLO of a device with
// TAKEN_OVER on the first connection. That is our own doing and no reason to stop.
func TestOwnDeviceTakesOver(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		c, old := dialed(t, g, cfg, nil)
		old.goAway(elsewhere("gw2:7000"))
		next := g.accept()
		next.expect(wire.TypeHello)
		old.close(wire.CloseTakenOver)
		synctest.Wait()
		next.welcome(nil)
		got := request(t.Context(), c, "q")
		next.expect(wire.TypeRequest)
		next.reply(1, "a")
		if a := <-got; a.payload != "a" {
			t.Errorf("request after the move = %q, %v", a.payload, a.err)
		}
		next.conn.Close()
	})
}

// TestKickedDuringTheMove: a stop that reaches the old connection while the new
// one says HELLO counts.
func TestKickedDuringTheMove(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		c, old := dialed(t, g, cfg, nil)
		old.goAway(elsewhere("gw2:7000"))
		next := g.accept()
		next.expect(wire.TypeHello)
		old.close(wire.CloseKicked)
		synctest.Wait()
		next.welcome(nil)
		if f := next.expect(wire.TypeClose); f.Code != wire.CloseNormal {
			t.Errorf("new connection got CLOSE %d, want 1000", f.Code)
		}
		next.conn.Close()
		<-c.Done()
		var closed *CloseError
		if !errors.As(c.Err(), &closed) || closed.Code != wire.CloseKicked {
			t.Errorf("Err() = %v, want 4504", c.Err())
		}
	})
}

// TestPushesAroundTheMove: the old connection's pushes come before the new one's,
// and each is acknowledged where it came from.
func TestPushesAroundTheMove(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		onPush, got := collect()
		cfg.OnPush = onPush
		_, old := dialed(t, g, cfg, nil)
		old.goAway(elsewhere("gw2:7000"))
		old.push(1, "old")
		if f := old.expect(wire.TypeAck); f.Seq != 1 {
			t.Errorf("old connection got ACK %d, want 1", f.Seq)
		}
		next := g.welcome(nil)
		old.expect(wire.TypeClose)
		next.push(1, "new")
		if f := next.expect(wire.TypeAck); f.Seq != 1 {
			t.Errorf("new connection got ACK %d, want 1", f.Seq)
		}
		if a, b := <-got, <-got; a != "old" || b != "new" {
			t.Errorf("pushes %q, %q, want old, new", a, b)
		}
		next.conn.Close()
	})
}
