package client

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

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
