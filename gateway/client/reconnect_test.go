package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
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

func TestTokenIsRenewed(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		tokens := []string{"a", "b", "b"}
		cfg.Token = ""
		cfg.TokenFunc = func(context.Context) (string, error) {
			next := tokens[0]
			tokens = tokens[1:]
			return next, nil
		}
		c, p := dialed(t, g, cfg, nil)
		p.close(wire.CloseTokenExpired)
		p = g.accept()
		if h, err := wire.ParseHello(p.expect(wire.TypeHello).Payload); err != nil || h.Token != "b" {
			t.Errorf("HELLO with token %q, %v, want b", h.Token, err)
		}
		p.close(wire.CloseUnauthenticated)
		<-c.Done() // b again: there is no use in asking
		var closed *CloseError
		if !errors.As(c.Err(), &closed) || closed.Code != wire.CloseUnauthenticated || !errors.Is(c.Err(), errSameToken) {
			t.Errorf("Err() = %v, want 4502 and no new token", c.Err())
		}
		g.none(time.Hour)
	})
}

// TestTokenFuncFails: not having a token right now is a failed attempt.
func TestTokenFuncFails(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		asked := 0
		cfg.Token = ""
		cfg.TokenFunc = func(context.Context) (string, error) {
			if asked++; asked == 2 {
				return "", errors.New("login service is down")
			}
			return "t", nil
		}
		_, p := dialed(t, g, cfg, nil)
		p.conn.Close()
		g.welcome(nil).conn.Close()
		if asked != 3 {
			t.Errorf("asked %d times, want 3", asked)
		}
	})
}

func TestHelloSaysWhoWeAre(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		cfg.Device = &Device{ID: "d1", Class: "pc", Version: "1.2.3"}
		cfg.Attrs = map[string]string{"lang": "en"}
		var c *Client
		dialedNow := make(chan struct{})
		go func() {
			defer close(dialedNow)
			c, _ = Dial(t.Context(), cfg)
		}()
		p := g.accept()
		h, err := wire.ParseHello(p.expect(wire.TypeHello).Payload)
		if err != nil || h.Token != "tok" || *h.Device != *cfg.Device || h.Attrs["lang"] != "en" || h.Resume != nil {
			t.Errorf("HELLO %+v, %v", h, err)
		}
		p.welcome(nil)
		<-dialedNow
		want := Session{
			ID: "s1", UID: "1001", Gateway: "gw-1", Endpoint: "tcp://gw1:7000", Heartbeat: 25 * time.Second,
			HeartbeatTimeout: 8 * time.Second, RequestTimeout: 10 * time.Second, ResumeTTL: time.Minute, Window: 64, MaxFrame: 65536,
		}
		if c.Session() != want {
			t.Errorf("Session() = %+v, want %+v", c.Session(), want)
		}
		p.conn.Close()
		c.Close()
	})
}

// TestDialFails: every endpoint is tried once, and every error is told.
func TestDialFails(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		cfg.Endpoints = []string{"gw1:7000", "tcp://gw2:7000", "gw3:7000"}
		g.refuse = func(address string) error {
			if address == "gw3:7000" {
				return nil
			}
			return errors.New(address + " says no")
		}
		go func() {
			p := g.accept()
			p.expect(wire.TypeHello)
			p.goAway(wire.GoAway{Code: wire.CloseRateLimited, ReconnectAfterMS: 3000})
			p.close(wire.CloseRateLimited)
		}()
		_, err := Dial(t.Context(), cfg)
		var closed *CloseError
		if !errors.As(err, &closed) || closed.RetryAfter != 3*time.Second {
			t.Errorf("Dial = %v, want 4011 with 3s among the errors", err)
		}
		for _, part := range []string{"gw1:7000 says no", "gw2:7000 says no", "gw3:7000", "4011 RATE_LIMITED"} {
			if !strings.Contains(fmt.Sprint(err), part) {
				t.Errorf("Dial = %v, want %q in it", err, part)
			}
		}
	})
}

// TestDialStops: a refusal for good is not tried elsewhere.
func TestDialStops(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		cfg.Endpoints = []string{"gw1:7000", "gw2:7000"}
		go func() {
			p := g.accept()
			p.expect(wire.TypeHello)
			p.close(wire.CloseUnauthenticated)
		}()
		_, err := Dial(t.Context(), cfg)
		var closed *CloseError
		if !errors.As(err, &closed) || closed.Code != wire.CloseUnauthenticated {
			t.Errorf("Dial = %v, want 4502", err)
		}
		g.none(time.Hour)
	})
}

// TestDialTimesOut: a gateway that takes the connection and says nothing.
func TestDialTimesOut(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		began := time.Now()
		_, err := Dial(t.Context(), cfg)
		if !errors.Is(err, errNoWelcome) || time.Since(began) != 10*time.Second {
			t.Errorf("Dial = %v after %v, want no WELCOME after 10s", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := Dial(ctx, cfg); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Dial = %v, want the caller's deadline", err)
		}
		for range 2 {
			g.accept()
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

func TestClose(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		onPush, got := collect()
		cfg.OnPush = onPush
		c, p := dialed(t, g, cfg, nil)
		inFlight := request(t.Context(), c, "q")
		p.expect(wire.TypeRequest)
		p.push(1, "handled, not yet acknowledged")
		<-got
		synctest.Wait()
		go func() {
			if f := p.expect(wire.TypeAck); f.Seq != 1 {
				t.Errorf("ACK %d, want 1", f.Seq)
			}
			if f := p.expect(wire.TypeClose); f.Code != wire.CloseNormal {
				t.Errorf("CLOSE %d, want 1000", f.Code)
			}
			p.conn.Close()
		}()
		began := time.Now()
		if err := c.Close(); err != nil || time.Since(began) > 0 {
			t.Errorf("Close = %v after %v, want nil at once", err, time.Since(began))
		}
		if a := <-inFlight; !errors.Is(a.err, ErrOutcomeUnknown) {
			t.Errorf("in flight at Close: %v, want ErrOutcomeUnknown", a.err)
		}
		<-c.Done()
		if !errors.Is(c.Err(), ErrClosed) {
			t.Errorf("Err() = %v, want ErrClosed", c.Err())
		}
		if _, err := c.Request(t.Context(), "a.b", nil); !errors.Is(err, ErrClosed) || !NotRun(err) {
			t.Errorf("Request after Close = %v, want ErrClosed, not sent", err)
		}
		c.Close() // again is harmless
	})
}

// TestCloseIsBounded: by a gateway that does not close its side, and by one that
// does not even read.
func TestCloseIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		c, _ := dialed(t, g, cfg, nil)
		began := time.Now()
		c.Close()
		if took := time.Since(began); took > lingerTime {
			t.Errorf("Close took %v with a gateway that stays open, want %v", took, lingerTime)
		}
	})
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		near, far := net.Pipe()
		cfg.Dial = func(context.Context, string, string) (net.Conn, error) { return near, nil }
		p := &peer{t: t, conn: far}
		go func() {
			if _, err := io.ReadAtLeast(far, make([]byte, 4096), 20); err != nil {
				t.Error(err)
			}
			p.welcome(nil)
		}()
		c, err := Dial(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		c.Close()
		if took := time.Since(began); took > closeTime {
			t.Errorf("Close took %v with a gateway that does not read, want %v", took, closeTime)
		}
		far.Close()
	})
}

// TestCloseWhileWaiting ends the back-off, too.
func TestCloseWhileWaiting(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		c, p := dialed(t, g, cfg, nil)
		g.refuse = func(string) error { return errors.New("down") }
		p.conn.Close()
		time.Sleep(time.Hour)
		waits := request(t.Context(), c, "")
		synctest.Wait()
		began := time.Now()
		c.Close()
		if time.Since(began) > 0 {
			t.Errorf("Close took %v", time.Since(began))
		}
		if a := <-waits; !NotRun(a.err) || !errors.Is(a.err, ErrClosed) {
			t.Errorf("request that waited = %v, want ErrNotSent, ErrClosed", a.err)
		}
	})
}

// TestStates tells a life as OnState sees it.
func TestStates(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		var told []string
		cfg.OnState = func(ch Change) {
			s := ch.State.String()
			switch ch.State {
			case StateConnecting:
				s += " " + ch.Endpoint
			case StateConnected:
				s += " " + ch.Session.UID
			case StateWaiting, StateLeaving:
				if ch.RetryIn <= 0 {
					t.Errorf("%v with RetryIn %v", ch.State, ch.RetryIn)
				}
			}
			if ch.Err != nil {
				s += ": " + ch.Err.Error()
			}
			told = append(told, s)
		}
		c, p := dialed(t, g, cfg, nil)
		p.close(wire.CloseInternal)
		p = g.welcome(nil)
		p.goAway(wire.GoAway{Code: wire.CloseDraining, ReconnectAfterMS: 1000})
		next := g.welcome(nil)
		p.expect(wire.TypeClose)
		p.conn.Close()
		next.close(wire.CloseKicked)
		<-c.Done()
		want := []string{
			"connecting tcp://gw1:7000", "connected 1001",
			"waiting: client: closed by the gateway: 4006 INTERNAL: as the script says",
			"connecting tcp://gw1:7000", "connected 1001",
			"leaving",
			"connecting tcp://gw1:7000", "connected 1001",
			"stopped: client: closed by the gateway: 4504 KICKED: as the script says",
		}
		if !slices.Equal(told, want) {
			t.Errorf("told\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
		}
	})
}
