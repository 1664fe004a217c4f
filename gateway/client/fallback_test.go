package client_test

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/client"
)

// TestFallback: where a transport does not get through, the next one at the same
// address does, at the first attempt and in the middle of a session.
func TestFallback(t *testing.T) {
	certificate, roots := selfSigned(t)
	for _, tt := range []struct {
		scheme  string
		tls     *tls.Config
		ladder  []string
		blocked int // how many of them do not get through
	}{
		{"auto", nil, []string{"tcp", "ws", "poll"}, 0},
		{"auto", nil, []string{"tcp", "ws", "poll"}, 1},
		{"auto", nil, []string{"tcp", "ws", "poll"}, 2},
		{"autos", &tls.Config{Certificates: []tls.Certificate{certificate}}, []string{"tls", "wss", "polls"}, 1},
		{"autos", &tls.Config{Certificates: []tls.Certificate{certificate}}, []string{"tls", "wss", "polls"}, 2},
	} {
		gateway := startTinyWith(tt.tls)
		gateway.block(tt.ladder[:tt.blocked]...)
		c, told := connect(t, client.Config{
			Endpoints: []string{tt.scheme + "://" + gateway.addr()},
			TLS:       &tls.Config{RootCAs: roots},
			OnPush:    client.Discard,
			Backoff:   client.Backoff{Base: 2 * time.Millisecond, Max: 10 * time.Millisecond},
		})
		if got := c.Session().Endpoint; !strings.HasPrefix(got, tt.ladder[tt.blocked]+"://") {
			t.Errorf("%s with %d blocked: session at %s", tt.scheme, tt.blocked, got)
		}
		gateway.block(tt.ladder[:2]...)
		gateway.cut()
		if tt.blocked < 2 {
			told.await(t, client.StateResumed, 1)
		}
		if _, err := c.Request(within(t), "echo.say", nil); err != nil {
			t.Errorf("%s: request after falling back: %v", tt.scheme, err)
		}
		if got := c.Session().Endpoint; !strings.HasPrefix(got, tt.ladder[2]+"://") {
			t.Errorf("%s: session at %s, want %s", tt.scheme, got, tt.ladder[2])
		}
		c.Close()
		gateway.stop()
	}
}

// TestFallbackByConfig: Fallback makes a plain endpoint fall back; without it,
// the endpoint is what it says.
func TestFallbackByConfig(t *testing.T) {
	gateway := startTiny()
	defer gateway.stop()
	gateway.block("tcp")
	if c, err := client.Dial(t.Context(), client.Config{Endpoints: []string{gateway.addr()}}); err == nil {
		c.Close()
		t.Error("Dial over a blocked tcp works")
	}
	c, _ := connect(t, client.Config{Endpoints: []string{gateway.addr()}, Fallback: true, OnPush: client.Discard})
	if got := c.Session().Endpoint; got != "ws://"+gateway.addr() {
		t.Errorf("session at %s, want ws", got)
	}
	c.Close()
	if got, want := gateway.hellos(), []string{"ws"}; !slices.Equal(got, want) {
		t.Errorf("HELLOs over %v, want %v", got, want)
	}
}

// TestNeverToNoTLS: a certificate that is not to be trusted is no reason to go on
// without.
func TestNeverToNoTLS(t *testing.T) {
	certificate, _ := selfSigned(t)
	gateway := startTinyWith(&tls.Config{Certificates: []tls.Certificate{certificate}})
	defer gateway.stop()
	c, err := client.Dial(t.Context(), client.Config{Endpoints: []string{"autos://" + gateway.addr()}})
	if err == nil {
		c.Close()
	}
	if err == nil || strings.Count(err.Error(), "certificate") < 3 || len(gateway.hellos()) > 0 {
		t.Errorf("Dial = %v with HELLOs over %v, want three refused certificates and none", err, gateway.hellos())
	}
}

// TestServerName: the certificate must be the endpoint's host's, or that of the
// name that the configuration gives.
func TestServerName(t *testing.T) {
	certificate, roots := selfSigned(t)
	gateway := startTinyWith(&tls.Config{Certificates: []tls.Certificate{certificate}})
	defer gateway.stop()
	for name, works := range map[string]bool{"": true, "gw.test": true, "other.test": false} {
		for _, scheme := range []string{"tls", "wss", "polls"} {
			c, err := client.Dial(t.Context(), client.Config{
				Endpoints: []string{scheme + "://" + gateway.addr()},
				TLS:       &tls.Config{RootCAs: roots, ServerName: name},
			})
			if err == nil {
				c.Close()
			}
			if (err == nil) != works {
				t.Errorf("%s with server name %q: %v, want it to work: %v", scheme, name, err, works)
			}
		}
	}
}

// TestClimb: a client that has fallen back moves up again without its connection
// being cut, while requests and pushes flow; until it can, it stays where it is.
func TestClimb(t *testing.T) {
	gateway := startTiny()
	defer gateway.stop()
	gateway.block("tcp", "ws")
	cfg := client.Config{Endpoints: []string{"auto://" + gateway.addr()}}
	cfg.ClimbAfter(30 * time.Millisecond)
	c, told := connect(t, cfg)
	ctx := within(t)
	steps := []string{"poll", "ws", "tcp"}
	for i, n := 0, 0; i < len(steps); n += 20 {
		if got := pushed(ctx, t, c, n, 20); !slices.Equal(got, numbers(n, 20)) {
			t.Fatalf("pushes %v, want %d to %d; life: %v", got, n, n+19, told)
		}
		if !strings.HasPrefix(c.Session().Endpoint, steps[i]+"://") {
			continue
		}
		if i++; i < len(steps) {
			gateway.block(steps[i+1:]...)
		}
	}
	if told.count(client.StateWaiting) > 0 || told.count(client.StateConnected) != 1 {
		t.Errorf("life: %v, want one session and no rest", told)
	}
	if again := ranTwice(gateway); len(again) > 0 {
		t.Errorf("ran twice: %v", again)
	}
}
