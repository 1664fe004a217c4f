package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

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

// TestTokenFuncFails: not having a token right now is a failed attempt, where
// there is no session to resume.
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
		_, p := dialed(t, g, cfg, func(w *wire.Welcome) { w.ResumeTTLMS = 0 })
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
