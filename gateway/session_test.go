package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// TestWelcome holds WELCOME to docs/protocol.md section 3.
func TestWelcome(t *testing.T) {
	gw := start(t, func(c *gateway.Config) { c.Listeners[0].Advertise = "gw-1.example.com:7000" })
	p := gw.dial()
	p.send(hello("1001"))
	w, err := wire.ParseWelcome(p.next().Payload)
	if err != nil {
		t.Fatal(err)
	}
	if w.UID != "1001" || w.Resumed || w.Gateway != "gw-test" || w.ReturnTo["tcp"] != "gw-1.example.com:7000" {
		t.Errorf("WELCOME = %+v", w)
	}
	if w.HeartbeatMS != 25000 || w.HeartbeatTimeoutMS != 8000 || w.RequestTimeoutMS != 10000 || w.Window != 64 ||
		w.MaxFrame != 65536 || w.LastRequestID != 0 || w.TimeMS == 0 {
		t.Errorf("WELCOME = %+v, want the defaults", w)
	}
	for _, s := range []string{w.Session, w.Secret} {
		if len(s) != 22 || strings.Contains(s, ".") {
			t.Errorf("session or secret %q, want 22 characters without a dot", s)
		}
	}
	if w.Session == w.Secret {
		t.Error("session and secret are the same")
	}
}

// TestResumeWithToken: what cannot be resumed is a fresh HELLO when it carries
// a token.
func TestResumeWithToken(t *testing.T) {
	gw := start(t)
	p := gw.dial()
	p.send(helloJSON(`{"protocol":1,"token":"u1","resume":{"session":"gone","secret":"x","seq":7}}`))
	w, err := wire.ParseWelcome(p.next().Payload)
	if err != nil || w.Resumed || w.UID != "u1" {
		t.Errorf("WELCOME = %+v, %v, want a fresh session of u1", w, err)
	}
}

// TestBytewise sends a whole conversation a byte at a time and all at once: the
// frames are the same.
func TestBytewise(t *testing.T) {
	var all []byte
	frames := []wire.Frame{hello("u1"), request(1, "echo.say", "one"), {Type: wire.TypePing, Payload: []byte("p")}, request(2, "echo.say", strings.Repeat("x", 3000))}
	for i := range frames {
		all, _ = wire.AppendStream(all, &frames[i])
	}
	for _, step := range []int{1, 7, 512, len(all)} {
		t.Run(fmt.Sprint("step ", step), func(t *testing.T) {
			gw := start(t)
			p := gw.dial()
			p.t = t
			for b := all; len(b) > 0; {
				n := min(step, len(b))
				p.raw(b[:n])
				b = b[n:]
			}
			var got []string
			for range 4 {
				f := p.next()
				got = append(got, fmt.Sprint(f.Type, " ", f.ID, " ", len(f.Payload)))
			}
			want := "[reply 1 3 pong 0 1 reply 2 3000]"
			if s := fmt.Sprint(got[1:]); s != want {
				t.Errorf("after WELCOME came %s, want %s", s, want)
			}
		})
	}
}

func TestPingPong(t *testing.T) {
	gw := start(t)
	p := gw.login("u1")
	for _, data := range []string{"", "12345678"} {
		p.send(wire.Frame{Type: wire.TypePing, Payload: []byte(data)})
		if f := p.next(); f.Type != wire.TypePong || string(f.Payload) != data {
			t.Errorf("PING %q = %s %q", data, f.Type, f.Payload)
		}
	}
}

func TestGatewayCommands(t *testing.T) {
	gw := start(t)
	p := gw.login("u1")
	p.send(request(1, "$time", ""))
	f := p.next()
	now := decode[struct {
		TimeMS int64 `json:"time_ms"`
	}](t, f.Payload)
	if d := time.Since(time.UnixMilli(now.TimeMS)); f.Status != wire.StatusOK || f.Flags != 0 || d < 0 || d > deadline {
		t.Errorf("$time = %s", describe(f))
	}
	p.send(request(2, "$nothing", ""))
	if f := p.next(); f.Status != wire.StatusUnimplemented || f.Flags != wire.FlagOriginGateway {
		t.Errorf("$nothing = %s", describe(f))
	}
	p.send(request(3, "no.route", ""))
	f = p.next()
	e, err := wire.ParseErrorPayload(f.Payload)
	if f.Status != wire.StatusUnimplemented || f.Flags != wire.FlagOriginGateway || err != nil || e.Reason != "no_route" {
		t.Errorf("no.route = %s, %v", describe(f), err)
	}
	p.send(request(4, "big.reply", ""))
	if f := p.next(); f.Status != wire.StatusInternal || f.Flags != wire.FlagOriginGateway {
		t.Errorf("a reply over max_frame = %s, want INTERNAL of the gateway", describe(f))
	}
	p.wantEcho(5)
}

func TestRefresh(t *testing.T) {
	gw := start(t)
	p := gw.login("u1")
	ask := func(id uint32, payload string) wire.Frame {
		p.send(request(id, "$refresh", payload))
		return p.next()
	}
	if f := ask(1, `{"token":"u1"}`); f.Status != wire.StatusOK {
		t.Errorf("refresh = %s", describe(f))
	}
	if f := ask(2, `{"token":"refuse:4502"}`); f.Status != wire.StatusUnauthenticated || f.Flags != wire.FlagOriginGateway {
		t.Errorf("refused refresh = %s", describe(f))
	}
	if f := ask(3, `{"token":"refuse:4007"}`); f.Status != wire.StatusUnavailable || !bytes.Contains(f.Payload, []byte(`"retry_after_ms":250`)) {
		t.Errorf("refresh without a backend = %s", describe(f))
	}
	for i, bad := range []string{``, `{}`, `{"token":1}`, `[]`, `{"token":"` + strings.Repeat("x", 8193) + `"}`} {
		if f := ask(uint32(10+i), bad); f.Status != wire.StatusInvalidArgument {
			t.Errorf("refresh with %.20q = %s", bad, describe(f))
		}
	}
	p.wantEcho(20)
	p.send(request(21, "$refresh", `{"token":"somebody-else"}`))
	p.wantClose(wire.ClosePermissionDenied)
}

// TestExpiry: an idle client is warned and then closed; a refresh prevents it.
func TestExpiry(t *testing.T) {
	gw := start(t, func(c *gateway.Config) { c.Session.ExpiryWarning = 10 * time.Second })
	gw.disp.mu.Lock()
	gw.disp.expires = time.Now().Add(1500 * time.Millisecond)
	gw.disp.mu.Unlock()
	stays, goes := gw.login("stays"), gw.login("goes")
	for _, p := range []*peer{stays, goes} {
		f := p.next()
		if f.Type != wire.TypePush || f.Seq != 0 || string(f.Command) != "$expiring" || !bytes.Contains(f.Payload, []byte("expires_in_ms")) {
			t.Fatalf("came %s %s, want $expiring", f.Type, describe(f))
		}
	}
	gw.disp.mu.Lock()
	gw.disp.expires = time.Time{}
	gw.disp.mu.Unlock()
	stays.send(request(1, "$refresh", `{"token":"stays"}`))
	if f := stays.next(); f.Status != wire.StatusOK {
		t.Fatalf("refresh = %s", describe(f))
	}
	goes.wantClose(wire.CloseTokenExpired)
	stays.wantEcho(2)
}

// TestHeartbeat: the gateway asks a silent client and closes one that does not
// answer.
func TestHeartbeat(t *testing.T) {
	gw := start(t, func(c *gateway.Config) {
		c.Session.Heartbeat, c.Session.HeartbeatTimeout = 200*time.Millisecond, 400*time.Millisecond
	})
	deaf, alive := gw.login("deaf"), gw.login("alive")
	for range 6 {
		if f := alive.next(); f.Type != wire.TypePing {
			t.Fatalf("came %s %s, want PING", f.Type, describe(f))
		}
		alive.send(wire.Frame{Type: wire.TypePong})
	}
	before := deaf.wantClose(wire.CloseHeartbeatTimeout)
	if len(before) != 1 || before[0].Type != wire.TypePing {
		t.Errorf("before CLOSE came %v, want one PING", before)
	}
	alive.send(request(1, "echo.say", "x"))
	for f := alive.next(); f.Type != wire.TypeReply; f = alive.next() {
		if f.Type != wire.TypePing {
			t.Fatalf("came %s %s", f.Type, describe(f))
		}
	}
	eventually(t, "the backend hears of the end", func() bool {
		return strings.Contains(fmt.Sprint(gw.disp.endings()), "deaf HEARTBEAT_TIMEOUT")
	})
}

// TestTakeover: a device that comes back ends its live session with 4009 and is
// not KICKED; another device of the user stays.
func TestTakeover(t *testing.T) {
	gw := start(t)
	login := func(device string) *peer {
		p := gw.dial()
		p.send(helloJSON(`{"protocol":1,"token":"u1","device":{"id":"` + device + `","class":"ios"}}`))
		if f := p.next(); f.Type != wire.TypeWelcome {
			t.Fatalf("came %s %s", f.Type, describe(f))
		}
		return p
	}
	phone, tablet := login("phone"), login("tablet")
	again := login("phone")
	phone.wantClose(wire.CloseTakenOver)
	again.wantEcho(1)
	tablet.wantEcho(1)
	nameless1, nameless2 := gw.login("u1"), gw.login("u1")
	nameless1.wantEcho(1)
	nameless2.wantEcho(1)
	eventually(t, "four sessions", func() bool { return gw.srv.Sessions() == 4 })
}

// TestClientCloses: CLOSE of the client is answered and ends the session.
func TestClientCloses(t *testing.T) {
	gw := start(t)
	p := gw.login("u1")
	p.send(wire.Frame{Type: wire.TypeClose, Code: wire.CloseNormal})
	p.wantClose(wire.CloseNormal)
	eventually(t, "the session ends", func() bool { return fmt.Sprint(gw.disp.endings()) == "[u1 NORMAL]" })
	cut := gw.login("u2")
	cut.Close()
	eventually(t, "the cut session ends", func() bool {
		return fmt.Sprint(gw.disp.endings()) == "[u1 NORMAL u2 connection_lost]"
	})
}

// TestDrain: every client gets GOAWAY, spread over the window, before its
// CLOSE 4000; who leaves in time is not closed; newcomers are sent away.
func TestDrain(t *testing.T) {
	gw := start(t, func(c *gateway.Config) { c.Drain.Window = 2 * time.Second })
	var peers []*peer
	for i := range 40 {
		peers = append(peers, gw.login(fmt.Sprint("u", i)))
	}
	late, half, silent := gw.dial(), gw.dial(), gw.dial()
	half.raw([]byte{0, 0, 0, 40, 1})
	if err := gw.srv.Ready(); err != nil {
		t.Errorf("Ready = %v before the drain", err)
	}
	// They read from the start: those that come late would miss the window.
	results := make(chan string, len(peers))
	for i, p := range peers {
		go func() { results <- p.leave(i%2 == 0) }()
	}
	gw.stop()
	eventually(t, "not ready", func() bool { return gw.srv.Ready() != nil })
	late.send(hello("late"))
	if before := late.wantClose(wire.CloseDraining); len(before) != 1 || before[0].Type != wire.TypeGoAway {
		t.Errorf("the newcomer got %v before CLOSE, want GOAWAY", before)
	}
	if before := half.wantClose(wire.CloseDraining); len(before) != 1 || before[0].Type != wire.TypeGoAway {
		t.Errorf("the client amid its HELLO got %v before CLOSE, want GOAWAY", before)
	}
	got := map[string]int{}
	for range peers {
		got[<-results]++
	}
	if got["goaway echo 1000"] != 20 || got["goaway 4000"] != 20 {
		t.Errorf("the clients saw %v, want half to leave and half to be closed", got)
	}
	gw.end()
	if f, err := silent.read(deadline); err == nil {
		t.Errorf("the silent client got %s, want the end", f.Type)
	}
	if n := gw.srv.Sessions(); n != 0 {
		t.Errorf("%d sessions after Run", n)
	}
	if n := len(gw.disp.endings()); n != len(peers) {
		t.Errorf("the backend heard of %d ends, want %d", n, len(peers))
	}
}

// leave follows a drain: it waits for GOAWAY and then goes by itself, or stays
// until it is closed. It says what came.
func (p *peer) leave(byItself bool) string {
	var saw []string
	for {
		f, err := p.read(deadline)
		if err != nil {
			return strings.Join(append(saw, err.Error()), " ")
		}
		switch f.Type {
		case wire.TypeGoAway:
			g, err := wire.ParseGoAway(f.Payload)
			if err != nil || g.Code != wire.CloseDraining || g.DeadlineMS != 500 || g.ReconnectAfterMS <= 0 || g.ReconnectAfterMS >= g.DeadlineMS {
				return describe(f)
			}
			saw = append(saw, "goaway")
			if byItself {
				p.send(request(1, "echo.say", ""), wire.Frame{Type: wire.TypeClose, Code: wire.CloseNormal})
			}
		case wire.TypeReply:
			saw = append(saw, "echo")
		case wire.TypeClose:
			return strings.Join(append(saw, fmt.Sprint(uint16(f.Code))), " ")
		}
	}
}

// TestAddressInUse: Listen says which address, and leaves nothing bound.
func TestAddressInUse(t *testing.T) {
	gw := start(t)
	cfg := gateway.DefaultConfig()
	cfg.RPC.Listen = "127.0.0.1:0"
	cfg.Listeners[0].Address = gw.addr
	srv, err := gateway.New(cfg, discard(), newRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Listen(); err == nil || !strings.Contains(err.Error(), gw.addr) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("Listen = %v, want the address that is in use", err)
	}
}

// TestStopWithoutClients: a gateway that is told to stop before it has begun
// stops.
func TestStopWithoutClients(t *testing.T) {
	cfg := gateway.DefaultConfig()
	cfg.RPC.Listen, cfg.Listeners[0].Address = "127.0.0.1:0", "127.0.0.1:0"
	srv, err := gateway.New(cfg, discard(), newRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := srv.Run(ctx, newFakeDispatcher()); err != nil {
		t.Errorf("Run = %v", err)
	}
}
