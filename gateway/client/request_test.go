package client

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// TestRequestsAnsweredInAnyOrder sends three and answers them backwards.
func TestRequestsAnsweredInAnyOrder(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		c, p := dialed(t, g, cfg, nil)
		var answers []<-chan answer
		var last uint32
		for i := range 3 {
			answers = append(answers, request(t.Context(), c, fmt.Sprint("q", i)))
			f := p.expect(wire.TypeRequest)
			if f.ID <= last || string(f.Command) != "test.echo" || string(f.Payload) != fmt.Sprint("q", i) {
				t.Fatalf("request %d is %+v, want an id above %d and payload q%d", i, f, last, i)
			}
			last = f.ID
		}
		for id := last; id > 0; id-- {
			p.reply(id, fmt.Sprint("a", id-1))
		}
		for i, ch := range answers {
			if got, want := <-ch, fmt.Sprint("a", i); got.err != nil || got.payload != want {
				t.Errorf("request %d = %q, %v, want %q", i, got.payload, got.err, want)
			}
		}
	})
}

// TestConcurrentRequestsIncrease holds the ids of many callers to the protocol's
// rule: strictly increasing in the order on the wire.
func TestConcurrentRequestsIncrease(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		c, p := dialed(t, g, cfg, nil)
		const n = 200
		var answers []<-chan answer
		for i := range n {
			answers = append(answers, request(t.Context(), c, fmt.Sprint(i)))
		}
		last := uint32(0)
		for range n {
			f := p.expect(wire.TypeRequest)
			if f.ID <= last {
				t.Fatalf("id %d after %d", f.ID, last)
			}
			last = f.ID
			p.reply(f.ID, string(f.Payload))
		}
		for i, ch := range answers {
			if got := <-ch; got.payload != fmt.Sprint(i) || got.err != nil {
				t.Errorf("request %d = %q, %v", i, got.payload, got.err)
			}
		}
	})
}

// TestWindowWaits: docs/protocol.md section 2, one request above the window is
// CLOSE 4506, so it must not be sent.
func TestWindowWaits(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		c, p := dialed(t, g, cfg, func(w *wire.Welcome) { w.Window = 2 })
		one := request(t.Context(), c, "one")
		synctest.Wait()
		request(t.Context(), c, "two")
		synctest.Wait()
		three := request(t.Context(), c, "three")
		p.expect(wire.TypeRequest)
		p.expect(wire.TypeRequest)
		p.silent()
		p.reply(1, "")
		<-one
		if f := p.expect(wire.TypeRequest); string(f.Payload) != "three" {
			t.Errorf("sent %q after a reply, want three", f.Payload)
		}
		p.reply(3, "yes")
		if got := <-three; got.payload != "yes" {
			t.Errorf("third = %q, %v, want yes", got.payload, got.err)
		}
	})
}

// TestAbandonedRequestKeepsItsPlace: the gateway counts a request as unanswered
// whether or not its caller still waits.
func TestAbandonedRequestKeepsItsPlace(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		c, p := dialed(t, g, cfg, func(w *wire.Welcome) { w.Window = 1 })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		sent := request(ctx, c, "slow")
		synctest.Wait()
		waits := request(ctx, c, "behind")
		p.expect(wire.TypeRequest)
		if got := <-sent; !errors.Is(got.err, ErrOutcomeUnknown) || !errors.Is(got.err, context.DeadlineExceeded) || NotRun(got.err) {
			t.Errorf("sent, no reply: %v, want ErrOutcomeUnknown by the deadline", got.err)
		}
		if got := <-waits; !errors.Is(got.err, ErrNotSent) || !errors.Is(got.err, context.DeadlineExceeded) || !NotRun(got.err) {
			t.Errorf("waited for the window: %v, want ErrNotSent by the deadline", got.err)
		}
		next := request(t.Context(), c, "next")
		p.silent()
		p.reply(1, "too late")
		p.expect(wire.TypeRequest)
		p.reply(2, "in time")
		if got := <-next; got.payload != "in time" {
			t.Errorf("next = %q, %v, want the reply to its own id", got.payload, got.err)
		}
	})
}

func TestRequestTimeoutIsTheDefault(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		cfg.RequestTimeout = 3 * time.Second
		c, p := dialed(t, g, cfg, nil)
		began := time.Now()
		got := request(t.Context(), c, "")
		p.expect(wire.TypeRequest)
		if err := (<-got).err; !errors.Is(err, ErrOutcomeUnknown) || time.Since(began) != 3*time.Second {
			t.Errorf("after %v: %v, want ErrOutcomeUnknown after 3s", time.Since(began), err)
		}
	})
}

func TestStatusErrors(t *testing.T) {
	explained := wire.AppendErrorPayload(nil, &wire.ErrorPayload{Message: "no instance", Reason: "vacant", RetryAfterMS: 250})
	tests := []struct {
		name           string
		status         wire.Status
		flags          wire.Flags
		payload        []byte
		want           StatusError
		notRun, mayRun bool
	}{
		{"gateway says not run", wire.StatusUnavailable, wire.FlagOriginGateway, explained,
			StatusError{Reason: "vacant", Message: "no instance", RetryAfter: 250 * time.Millisecond}, true, false},
		{"gateway does not know", wire.StatusUnknown, wire.FlagOriginGateway, []byte(`{"message":"cut"}`),
			StatusError{Message: "cut"}, false, true},
		{"gateway gives nonsense", wire.StatusDeadlineExceeded, wire.FlagOriginGateway, []byte("nonsense"),
			StatusError{}, false, true},
		{"backend's word is its own", wire.StatusUnavailable, 0, []byte("closed on Sundays"),
			StatusError{Payload: []byte("closed on Sundays")}, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *scripted, cfg Config) {
				c, p := dialed(t, g, cfg, nil)
				got := request(t.Context(), c, "")
				p.expect(wire.TypeRequest)
				p.send(wire.Frame{Type: wire.TypeReply, ID: 1, Status: tt.status, Flags: tt.flags, Payload: tt.payload})
				err := (<-got).err
				var status *StatusError
				if !errors.As(err, &status) {
					t.Fatalf("Request = %v, want a *StatusError", err)
				}
				tt.want.Status, tt.want.FromGateway = tt.status, tt.flags.FromGateway()
				if fmt.Sprint(*status) != fmt.Sprint(tt.want) {
					t.Errorf("error is %+v, want %+v", *status, tt.want)
				}
				if status.NotRun() != tt.notRun || NotRun(err) != tt.notRun || status.MayHaveRun() != tt.mayRun {
					t.Errorf("not run %v, may have run %v, want %v, %v", status.NotRun(), status.MayHaveRun(), tt.notRun, tt.mayRun)
				}
			})
		})
	}
}

// TestHopelessRequestsStayHere: what the gateway would close the connection for
// is refused without sending it, and uses up neither an id nor a place.
func TestHopelessRequestsStayHere(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		c, p := dialed(t, g, cfg, func(w *wire.Welcome) { w.Window, w.MaxFrame = 1, 100 })
		fits := strings.Repeat("x", 100-1-4-1-len("test.echo"))
		for _, tt := range []struct{ command, payload string }{
			{"test.echo", fits + "x"},
			{"", ""},
			{"Test", ""},
			{strings.Repeat("a", 65), ""},
		} {
			if _, err := c.Request(t.Context(), tt.command, []byte(tt.payload)); !NotRun(err) {
				t.Errorf("Request(%q, %d bytes) = %v, want ErrNotSent", tt.command, len(tt.payload), err)
			}
		}
		got := request(t.Context(), c, fits)
		if f := p.expect(wire.TypeRequest); f.ID != 1 {
			t.Errorf("id %d, want 1", f.ID)
		}
		p.reply(1, "ok")
		if a := <-got; a.payload != "ok" {
			t.Errorf("Request of max_frame bytes = %q, %v, want ok", a.payload, a.err)
		}
	})
}

// TestCut: what was sent has an unknown outcome, what waited goes on.
func TestCut(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		c, p := dialed(t, g, cfg, func(w *wire.Welcome) { w.Window = 1 })
		sent := request(t.Context(), c, "sent")
		synctest.Wait()
		waits := request(t.Context(), c, "waits")
		p.expect(wire.TypeRequest)
		p.conn.Close()
		p = g.welcome(nil) // the session is not to be had back
		if got := <-sent; !errors.Is(got.err, ErrOutcomeUnknown) {
			t.Errorf("sent before the cut: %v, want ErrOutcomeUnknown", got.err)
		}
		f := p.expect(wire.TypeRequest)
		if string(f.Payload) != "waits" || f.ID != 1 {
			t.Errorf("new session begins with %+v, want the request that waited, with id 1", f)
		}
		p.reply(1, "done")
		if got := <-waits; got.payload != "done" {
			t.Errorf("waited over the cut: %q, %v, want done", got.payload, got.err)
		}
	})
}

// TestUnwrittenRequestMoves: a request that was queued behind a write that never
// ended did not leave the process, so it goes to the next connection.
func TestUnwrittenRequestMoves(t *testing.T) {
	s := newSession(&wire.Welcome{Window: 4})
	c := newConnection(&tcpTransport{}, Session{}, s)
	s.resume(c, &wire.Welcome{})
	written, err := s.send(c, "a.b", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.takeOutput(nil)
	queued, err := s.send(c, "a.b", nil)
	if err != nil {
		t.Fatal(err)
	}
	s.discard()
	s.suspend(c.sentID)
	if r := <-written; !errors.Is(r.err, ErrOutcomeUnknown) {
		t.Errorf("taken by the writer: %v, want ErrOutcomeUnknown", r.err)
	}
	if r := <-queued; !errors.Is(r.err, errHeld) {
		t.Errorf("still queued: %v, want errHeld", r.err)
	}
}

// TestIdsRunOut: 4,294,967,295 is the last id, and the next request needs a new
// session.
func TestIdsRunOut(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		c, p := dialed(t, g, cfg, nil)
		c.current.session.lastID = math.MaxUint32 - 1
		last := request(t.Context(), c, "last")
		if f := p.expect(wire.TypeRequest); f.ID != math.MaxUint32 {
			t.Fatalf("id %d, want %d", f.ID, uint32(math.MaxUint32))
		}
		next := request(t.Context(), c, "next")
		p.silent()
		p.reply(math.MaxUint32, "z")
		<-last
		p2 := g.welcome(nil)
		if f := p2.expect(wire.TypeRequest); f.ID != 1 || string(f.Payload) != "next" {
			t.Errorf("new session begins with %+v, want id 1 and next", f)
		}
		p2.reply(1, "a")
		if got := <-next; got.err != nil {
			t.Errorf("next = %v", got.err)
		}
		p.expect(wire.TypeClose)
		p.conn.Close()
		p2.conn.Close()
		c.Close()
	})
}
