package client

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// TestReactionToClose walks the table of docs/protocol.md section 5, and codes
// that it does not list.
func TestReactionToClose(t *testing.T) {
	comesBack := map[wire.CloseCode]bool{
		4000: true, 4001: true, 4002: true, 4003: true, 4004: true, 4005: true, 4006: true, 4007: true,
		4008: true, 4009: false, 4010: true, 4011: true,
		4500: false, 4501: false, 4502: false, 4503: false, 4504: false, 4506: false, 4507: false, 4508: false,
		1000: false,
		4042: true, 4499: true, 4599: false, 4999: false, 1001: true, 1006: true,
	}
	for _, code := range wire.CloseCodes() {
		if _, ok := comesBack[code]; !ok {
			t.Errorf("no row for %d %s", code, code)
		}
	}
	for code, want := range comesBack {
		t.Run(fmt.Sprint(uint16(code)), func(t *testing.T) {
			bubble(t, func(t *testing.T, g *scripted, cfg Config) {
				c, p := dialed(t, g, cfg, nil)
				p.close(code)
				if want {
					g.welcome(nil).conn.Close()
					return
				}
				<-c.Done()
				var closed *CloseError
				if !errors.As(c.Err(), &closed) || closed.Code != code || closed.Reason != "as the script says" {
					t.Errorf("Err() = %v, want a *CloseError with %d", c.Err(), code)
				}
				g.none(time.Hour)
				if _, err := c.Request(t.Context(), "a.b", nil); !errors.As(err, &closed) || !NotRun(err) {
					t.Errorf("Request afterwards = %v, want ErrNotSent with the *CloseError", err)
				}
			})
		})
	}
}

// TestRefusedAtHello: the same table holds for a CLOSE in place of WELCOME when
// reconnecting.
func TestRefusedAtHello(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		c, p := dialed(t, g, cfg, nil)
		p.conn.Close()
		p = g.accept()
		p.expect(wire.TypeHello)
		p.close(wire.CloseBackendUnavailable)
		p = g.accept()
		p.expect(wire.TypeHello)
		p.close(wire.ClosePermissionDenied)
		<-c.Done()
		var closed *CloseError
		if !errors.As(c.Err(), &closed) || closed.Code != wire.ClosePermissionDenied {
			t.Errorf("Err() = %v, want 4503", c.Err())
		}
	})
}

// TestRefusalSaysWhen: a GOAWAY before the CLOSE gives the time to wait exactly.
func TestRefusalSaysWhen(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		_, p := dialed(t, g, cfg, nil)
		for i, wait := range []time.Duration{7 * time.Second, 40 * time.Second} {
			if i > 0 {
				p = g.accept()
				p.expect(wire.TypeHello)
			}
			p.goAway(wire.GoAway{Code: wire.CloseOverloaded, ReconnectAfterMS: wait.Milliseconds()})
			p.close(wire.CloseOverloaded)
			g.none(wait - time.Millisecond)
			time.Sleep(time.Millisecond)
			synctest.Wait()
			if len(g.peers) != 1 {
				t.Fatalf("%d connections after %v, want 1", len(g.peers), wait)
			}
		}
		g.welcome(nil).conn.Close()
	})
}

// TestBackoffBetweenAttempts: full jitter under a growing ceiling, never zero,
// and the next endpoint after three failures on one.
func TestBackoffBetweenAttempts(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		cfg.Endpoints = []string{"gw1:7000", "gw2:7000"}
		cfg.random = func() float64 { return 0.999999 } // close to the ceiling
		type try struct {
			address string
			after   time.Duration
		}
		var tries []try
		last := time.Now()
		g.refuse = func(address string) error {
			tries = append(tries, try{address, time.Since(last).Round(10 * time.Millisecond)})
			last = time.Now()
			if len(tries) == 1 || len(tries) == 21 {
				return nil
			}
			return errors.New("refused")
		}
		_, p := dialed(t, g, cfg, nil)
		synctest.Wait()
		time.Sleep(20 * time.Second) // a connection that lived
		last = time.Now()
		p.conn.Close()
		g.welcome(nil).conn.Close()
		synctest.Wait()
		ceiling := time.Second
		for i, tr := range tries[1:21] {
			if want := min(ceiling, 300*time.Second).Round(10 * time.Millisecond); tr.after != want {
				t.Errorf("attempt %d after %v, want %v", i, tr.after, want)
			}
			if want := fmt.Sprintf("gw%d:7000", 1+i/3%2); tr.address != want {
				t.Errorf("attempt %d at %s, want %s", i, tr.address, want)
			}
			ceiling = time.Duration(float64(ceiling) * 1.8)
		}
	})
}

// TestWelcomedAndClosedAgain: a gateway that takes a client in and throws it out
// at once must not be asked more often for it.
func TestWelcomedAndClosedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		cfg.random = func() float64 { return 0.999999 }
		_, p := dialed(t, g, cfg, nil)
		began := time.Now()
		for range 10 {
			p.close(wire.CloseInternal)
			p = g.welcome(nil)
		}
		if took := time.Since(began); took < 10*time.Minute {
			t.Errorf("10 rounds in %v, want the ceiling to grow", took)
		}
		p.conn.Close()
	})
}

func TestHeartbeat(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		var lost error
		cfg.OnState = func(ch Change) {
			if ch.State == StateWaiting && lost == nil {
				lost = ch.Err
			}
		}
		_, p := dialed(t, g, cfg, nil)
		for i := range 3 {
			time.Sleep(25 * time.Second)
			p.send(wire.Frame{Type: wire.TypePing, Payload: []byte{7, byte(i)}})
			if f := p.expect(wire.TypePong); !slices.Equal(f.Payload, []byte{7, byte(i)}) {
				t.Errorf("PONG %x, want the PING's bytes 07%02x", f.Payload, i)
			}
		}
		last := time.Now()
		p.hungUp()
		if silent := time.Since(last); silent != 33*time.Second {
			t.Errorf("dropped after a silence of %v, want 33s", silent)
		}
		g.welcome(nil).conn.Close()
		if !errors.Is(lost, errSilent) {
			t.Errorf("state waiting with %v, want errSilent", lost)
		}
	})
}

func TestGatewayTalksNonsense(t *testing.T) {
	for name, say := range map[string]func(p *peer){
		"type zero":           func(p *peer) { p.sendRaw([]byte{0, 0, 0, 1, 0}) },
		"a client's frame":    func(p *peer) { p.send(wire.Frame{Type: wire.TypeAck, Seq: 1}) },
		"a second WELCOME":    func(p *peer) { p.welcome(nil) },
		"GOAWAY without code": func(p *peer) { p.send(wire.Frame{Type: wire.TypeGoAway, Payload: []byte("{}")}) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *scripted, cfg Config) {
				_, p := dialed(t, g, cfg, nil)
				say(p)
				if f := p.expect(wire.TypeClose); f.Code != wire.CloseProtocolError {
					t.Errorf("CLOSE %d, want 4500", f.Code)
				}
				p.hungUp()
				g.welcome(nil).conn.Close() // the next one may be sane
			})
		})
	}
}

// TestReplyToNobody is ignored.
func TestReplyToNobody(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		c, p := dialed(t, g, cfg, nil)
		p.reply(99, "?")
		got := request(t.Context(), c, "q")
		p.expect(wire.TypeRequest)
		p.reply(1, "a")
		if a := <-got; a.payload != "a" {
			t.Errorf("Request = %q, %v", a.payload, a.err)
		}
	})
}
