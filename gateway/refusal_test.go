package gateway_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/gateway"
	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// TestRefusals walks through every refusal of docs/protocol.md sections 2 and 3
// over a raw socket. Each time the right CLOSE arrives, the stream ends without
// a reset, and another session does not notice.
func TestRefusals(t *testing.T) {
	welcome := []byte(`{"session":"s"}`)
	hi := func(s string) []byte { return frame(append([]byte{0x01}, s...)...) }
	tests := []struct {
		name  string
		login bool // say HELLO before
		send  []byte
		want  wire.CloseCode
	}{
		{"first frame is a request", false, frame(0x03, 0, 0, 0, 1, 1, 'a'), wire.CloseProtocolError},
		{"first frame is a ping", false, frame(0x07), wire.CloseProtocolError},
		{"first frame is an ack", false, frame(0x06, 0, 0, 0, 0, 0, 0, 0, 0), wire.CloseProtocolError},
		{"first frame is a close", false, frame(0x0A, 0x03, 0xE8), wire.CloseProtocolError},
		{"first frame of a type that is none", false, frame(0x0B), wire.CloseProtocolError},
		{"type zero", false, frame(0x00), wire.CloseProtocolError},
		{"length zero", false, length(0), wire.CloseProtocolError},
		{"length over max_frame, before any of it", false, length(64<<10 + 1), wire.CloseFrameTooLarge},
		{"length that would be negative", false, length(0xFFFFFFFF), wire.CloseFrameTooLarge},
		{"hello without an object", false, frame(0x01), wire.CloseProtocolError},
		{"hello that is a list", false, hi(`[]`), wire.CloseProtocolError},
		{"hello that is not JSON", false, hi(`{"protocol":1`), wire.CloseProtocolError},
		{"protocol as a text", false, hi(`{"protocol":"1"}`), wire.CloseUnsupportedVersion},
		{"hello without protocol", false, hi(`{}`), wire.CloseUnsupportedVersion},
		{"protocol 2", false, hi(`{"protocol":2}`), wire.CloseUnsupportedVersion},
		{"protocol 0", false, hi(`{"protocol":0}`), wire.CloseUnsupportedVersion},
		{"token over 8 KiB", false, hi(`{"protocol":1,"token":"` + strings.Repeat("x", 8193) + `"}`), wire.CloseProtocolError},
		{"ticket over 2 KiB", false, hi(`{"protocol":1,"ticket":"` + strings.Repeat("x", 2049) + `"}`), wire.CloseProtocolError},
		{"17 attrs", false, hi(`{"protocol":1,"attrs":{` + pairs(17) + `}}`), wire.CloseProtocolError},
		{"attrs over 1 KiB", false, hi(`{"protocol":1,"attrs":{"k":"` + strings.Repeat("x", 1024) + `"}}`), wire.CloseProtocolError},
		{"device class that is none", false, hi(`{"protocol":1,"device":{"id":"d","class":"toaster"}}`), wire.CloseProtocolError},
		{"resume without a token", false, hi(`{"protocol":1,"resume":{"session":"s","secret":"x","seq":0}}`), wire.CloseSessionExpired},
		{"a ticket that nobody issued", false, hi(`{"protocol":1,"token":"u1","ticket":"garbage"}`), wire.CloseTicketInvalid},
		{"refused by the backend", false, hi(`{"protocol":1,"token":"refuse:4502"}`), wire.CloseUnauthenticated},
		{"backend unavailable", false, hi(`{"protocol":1,"token":"refuse:4007"}`), wire.CloseBackendUnavailable},

		{"a second hello", true, hi(`{"protocol":1}`), wire.CloseProtocolError},
		{"welcome from a client", true, frame(append([]byte{0x02}, welcome...)...), wire.CloseProtocolError},
		{"reply from a client", true, frame(0x04, 0, 0, 0, 1, 0, 0), wire.CloseProtocolError},
		{"push from a client", true, frame(0x05, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'a'), wire.CloseProtocolError},
		{"goaway from a client", true, frame(0x09, '{', '}'), wire.CloseProtocolError},
		{"unknown type", true, frame(0xFF, 1, 2, 3), wire.CloseProtocolError},
		{"length zero in a session", true, length(0), wire.CloseProtocolError},
		{"frame too large in a session", true, length(1 << 24), wire.CloseFrameTooLarge},
		{"request id 0", true, frame(0x03, 0, 0, 0, 0, 1, 'a'), wire.CloseProtocolError},
		{"request without a command", true, frame(0x03, 0, 0, 0, 1, 0), wire.CloseProtocolError},
		{"request whose command is cut", true, frame(0x03, 0, 0, 0, 1, 5, 'a'), wire.CloseProtocolError},
		{"request shorter than its head", true, frame(0x03, 0, 0), wire.CloseProtocolError},
		{"command of 65 bytes", true, frame(append([]byte{0x03, 0, 0, 0, 1, 65}, bytes.Repeat([]byte{'a'}, 65)...)...), wire.CloseProtocolError},
		{"command in capitals", true, frame(0x03, 0, 0, 0, 1, 1, 'A'), wire.CloseProtocolError},
		{"command with a space", true, frame(0x03, 0, 0, 0, 1, 3, 'a', ' ', 'b'), wire.CloseProtocolError},
		{"ping of 9 bytes", true, frame(0x07, 1, 2, 3, 4, 5, 6, 7, 8, 9), wire.CloseProtocolError},
		{"pong of 9 bytes", true, frame(0x08, 1, 2, 3, 4, 5, 6, 7, 8, 9), wire.CloseProtocolError},
		{"ack of 7 bytes", true, frame(0x06, 0, 0, 0, 0, 0, 0, 0), wire.CloseProtocolError},
		{"ack of a push that was not sent", true, frame(0x06, 0, 0, 0, 0, 0, 0, 0, 1), wire.CloseProtocolError},
		{"close without a code", true, frame(0x0A, 1), wire.CloseProtocolError},
		{"close with a reason of 121 bytes", true, frame(append([]byte{0x0A, 3, 0xE8}, bytes.Repeat([]byte{'r'}, 121)...)...), wire.CloseProtocolError},
		{"close with a reason that is not UTF-8", true, frame(0x0A, 3, 0xE8, 0xFF), wire.CloseProtocolError},
	}
	gw := start(t)
	witness := gw.login("witness")
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := gw.dial()
			p.t = t
			if tt.login {
				p.send(hello("u1"))
				if f := p.next(); f.Type != wire.TypeWelcome {
					t.Fatalf("came %s, want WELCOME", f.Type)
				}
			}
			p.raw(tt.send)
			before := p.wantClose(tt.want)
			wait := tt.want == wire.CloseBackendUnavailable
			if wait != (len(before) == 1 && before[0].Type == wire.TypeGoAway) {
				t.Errorf("before CLOSE came %v, want a GOAWAY: %v", before, wait)
			}
		})
		witness.wantEcho(uint32(i + 1))
	}
	eventually(t, "only the witness is left", func() bool { return gw.srv.Sessions() == 1 })
}

func pairs(n int) string {
	var s []string
	for i := range n {
		s = append(s, fmt.Sprintf(`"k%d":"v"`, i))
	}
	return strings.Join(s, ",")
}

// TestRefusedWhileSendingOn: bytes that the client had under way when it was
// refused must not turn the CLOSE into a reset.
func TestRefusedWhileSendingOn(t *testing.T) {
	gw := start(t)
	p := gw.login("u1")
	junk := append(frame(0xFF), bytes.Repeat([]byte{0xFF}, 100<<10)...)
	p.raw(junk)
	p.wantClose(wire.CloseProtocolError)
}

// TestFloodAfterClose: who goes on sending after its CLOSE is cut, before and
// after HELLO, and everybody else is served as before.
func TestFloodAfterClose(t *testing.T) {
	gw := start(t)
	witness := gw.login("witness")
	flood := append(frame(0x0B), bytes.Repeat([]byte{0xFF}, 600<<10)...)
	for i := range 6 {
		p := gw.dial()
		if i%2 == 1 {
			p.send(hello("u1"))
			p.next()
		}
		_ = p.SetWriteDeadline(time.Now().Add(deadline))
		for b := flood; len(b) > 0; { // the gateway may reset it before all is sent
			n, err := p.Write(b[:min(len(b), 16<<10)])
			if err != nil {
				break
			}
			b = b[n:]
		}
		witness.wantEcho(uint32(i + 1))
		gw.login("newcomer").wantEcho(1)
	}
	eventually(t, "the floods are gone", func() bool { return openConnections(t, gw.reg) == 7 })
}

// openConnections reads the gauge.
func openConnections(t *testing.T, reg *prometheus.Registry) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "holdfast_gateway_connections_open" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatal("no gauge of open connections")
	return 0
}

// TestAnswersWithinWindow: a client that reads is never cut for answers that it
// asked for within its window, however large they are together.
func TestAnswersWithinWindow(t *testing.T) {
	gw := start(t)
	c := gw.backend()
	p := gw.login("u1")
	payload := strings.Repeat("x", 60<<10)
	for id := uint32(1); id <= 64; id++ {
		p.send(request(id, "hold.big", ""))
	}
	lanes := gw.disp.of("u1")
	eventually(t, "all wait", func() bool { return len(lanes.submitted()) == 64 })
	var all []*holdfast.DeferredReply
	for id := int64(1); id <= 64; id++ {
		all = append(all, &holdfast.DeferredReply{
			Session: lanes.origin.Session, Service: "test", Seq: id, Attempt: 1, Reply: &holdfast.Reply{Payload: []byte(payload)},
		})
	}
	if r, err := c.Reply(t.Context(), &holdfast.ReplyRequest{Replies: all}); err != nil || r.Accepted != 64 {
		t.Fatalf("Reply = %v, %v", r, err)
	}
	for id := uint32(1); id <= 64; id++ {
		if f := p.next(); f.Type != wire.TypeReply || f.ID != id || len(f.Payload) != len(payload) {
			t.Fatalf("came %s id %d with %d bytes, want reply %d", f.Type, f.ID, len(f.Payload), id)
		}
	}
	p.wantEcho(65)
}

func TestRequestIDs(t *testing.T) {
	for _, ids := range [][]uint32{{5, 5}, {5, 4}} {
		gw := start(t)
		p := gw.login("u1")
		p.send(request(ids[0], "echo.say", "a"), request(ids[1], "echo.say", "b"))
		before := p.wantClose(wire.CloseProtocolError)
		if len(before) != 1 || before[0].ID != ids[0] {
			t.Errorf("ids %v: before CLOSE came %v, want the reply to the first", ids, before)
		}
	}
}

// TestWindow: a request beyond window is 4506; an answer makes room.
func TestWindow(t *testing.T) {
	gw := start(t, func(c *gateway.Config) { c.Session.Window = 2 })
	p := gw.login("u1")
	p.send(request(1, "hold.a", ""), request(2, "hold.a", ""))
	eventually(t, "both requests wait", func() bool { return len(gw.disp.of("u1").submitted()) == 2 })
	lanes := gw.disp.of("u1")
	if !lanes.Answer("test", 1, 1, 0, nil, false, "", 0) {
		t.Fatal("Answer = false")
	}
	lanes.sink.Flush()
	if f := p.next(); f.ID != 1 {
		t.Fatalf("reply to %d, want 1", f.ID)
	}
	p.send(request(3, "hold.a", ""), request(4, "hold.a", ""))
	p.wantClose(wire.CloseFlowControl)
}

// TestHelloTimeout: a client that began is told, one that said nothing is not.
func TestHelloTimeout(t *testing.T) {
	gw := start(t, func(c *gateway.Config) { c.Session.HelloTimeout = 150 * time.Millisecond })
	silent, slow := gw.dial(), gw.dial()
	slow.raw([]byte{0, 0, 0})
	slow.wantClose(wire.CloseHelloTimeout)
	if f, err := silent.read(deadline); err == nil {
		t.Errorf("the silent client got %s %s, want nothing", f.Type, describe(f))
	}
}

// TestFloodBehindHello: what a client may send before WELCOME is bounded.
func TestFloodBehindHello(t *testing.T) {
	gw := start(t)
	p := gw.dial()
	p.send(hello("wait"))
	eventually(t, "the login waits", func() bool { gw.disp.mu.Lock(); defer gw.disp.mu.Unlock(); return len(gw.disp.waiting) == 1 })
	p.raw(bytes.Repeat(frame(0x07), (64<<10+64<<10)/5+1000))
	p.wantClose(wire.CloseFlowControl)
	for _, done := range gw.disp.takeWaiting() {
		done(gateway.Verdict{UID: "late", Service: "test"})
	}
	eventually(t, "the late verdict leaves nothing", func() bool { return gw.srv.Sessions() == 0 })
}
