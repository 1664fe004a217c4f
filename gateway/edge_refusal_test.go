package gateway_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-io/holdfast/gateway"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// httpStatus is the table at the end of docs/protocol.md section 6.
var httpStatus = map[wire.CloseCode]int{
	4500: 400, 4508: 400,
	4502: 401, 4507: 401,
	4503: 403, 4504: 403,
	4004: 410, 4009: 409, 4501: 413, 4010: 421,
	4011: 429, 4506: 429,
	4003: 503, 4007: 503,
}

// wantRefused wants the same of a refusal on every transport: the code, on
// WebSocket also as the close code, on HTTP the status of the table, and word of
// the wait where the code means one.
func wantRefused(t *testing.T, w way, c visitor, code wire.CloseCode) {
	t.Helper()
	frames, how := wantEnd(t, c, code)
	for _, f := range frames {
		if f.Type != wire.TypeGoAway {
			t.Errorf("before CLOSE came %s %s", f.Type, describe(f))
		}
	}
	if want, ok := httpStatus[code]; w.http() && ok && how.status != want {
		t.Errorf("%d came with HTTP %d, want %d", code, how.status, want)
	}
	if w.ws() && how.ws != uint16(code) {
		t.Errorf("%d came with the WebSocket close code %d", code, how.ws)
	}
	if waits := code == 4003 || code == 4007 || code == 4011; how.waits != waits {
		t.Errorf("%d told to wait: %v, want %v", code, how.waits, waits)
	}
}

// faulty is what no client may send, in both forms of frames.
type faulty struct {
	name string
	bin  []byte
	json string
	want wire.CloseCode
}

// TestRefusedAtTheDoor: every transport refuses the same first frames with the
// same codes.
func TestRefusedAtTheDoor(t *testing.T) {
	hi := func(s string) faulty { return faulty{bin: append([]byte{1}, s...), json: typed(s)} }
	with := func(f faulty, name string, want wire.CloseCode) faulty { f.name, f.want = name, want; return f }
	rows := []faulty{
		{name: "a request", bin: []byte{3, 0, 0, 0, 1, 1, 'a'}, json: `{"type":"request","id":1,"command":"a"}`, want: 4500},
		{name: "a ping", bin: []byte{7}, json: `{"type":"ping"}`, want: 4500},
		{name: "an ack", bin: []byte{6, 0, 0, 0, 0, 0, 0, 0, 0}, json: `{"type":"ack","seq":0}`, want: 4500},
		{name: "a close", bin: []byte{0x0A, 3, 0xE8}, json: `{"type":"close","code":1000}`, want: 4500},
		{name: "a welcome", bin: []byte("\x02{}"), json: `{"type":"welcome"}`, want: 4500},
		{name: "no type that there is", bin: []byte{0x0B}, json: `{"type":"nonsense"}`, want: 4500},
		{name: "nothing", bin: []byte{}, json: ``, want: 4500},
		with(hi(`[]`), "a list", 4500),
		with(hi(`{"protocol":1`), "half an object", 4500),
		with(hi(`{"protocol":1,"device":{"id":"d","class":"toaster"}}`), "a device of no class", 4500),
		with(hi(`{"protocol":1,"token":"`+strings.Repeat("x", 8193)+`"}`), "a token over 8 KiB", 4500),
		with(hi(`{"protocol":1,"ticket":"`+strings.Repeat("x", 2049)+`"}`), "a ticket over 2 KiB", 4500),
		with(hi(`{"protocol":1,"attrs":{`+pairs(17)+`}}`), "17 attrs", 4500),
		with(hi(`{"protocol":1,"attrs":{"k":"`+strings.Repeat("x", 1024)+`"}}`), "attrs over 1 KiB", 4500),
		with(hi(`{"protocol":"1"}`), "protocol as a text", 4508),
		with(hi(`{"token":"u1"}`), "no protocol", 4508),
		with(hi(`{"protocol":2}`), "protocol 2", 4508),
		with(hi(`{"protocol":1,"token":"u1","ticket":"garbage"}`), "a ticket of nobody's", 4010),
		with(hi(`{"protocol":1,"resume":{"session":"s","secret":"x","seq":0}}`), "a resume of nothing", 4004),
	}
	for _, code := range wire.CloseCodes() { // whatever a backend says goes out as it is
		rows = append(rows, with(hi(fmt.Sprintf(`{"protocol":1,"token":"refuse:%d"}`, code)), "refused by the backend", code))
	}
	e := startEdge(t)
	each(t, func(t *testing.T, w way) {
		for _, row := range rows {
			t.Run(fmt.Sprint(row.name, " ", row.want), func(t *testing.T) {
				c := e.come(t, w, approach{})
				c.sayBody(row.bin, row.json)
				if row.want == 4000 || row.want == 1000 { // told to wait, which the table leaves open; a session that ended
					wantEnd(t, c, row.want)
					return
				}
				wantRefused(t, w, c, row.want)
			})
		}
	})
	eventually(t, "nobody is left", func() bool { return openConnections(t, e.reg) == 0 })
	if n := e.srv.Sessions(); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

// typed puts the type in front of an object's members.
func typed(s string) string {
	if rest, ok := strings.CutPrefix(s, "{"); ok {
		return `{"type":"hello",` + rest
	}
	return s
}

// TestRefusedInside: every transport ends a session for the same faults.
func TestRefusedInside(t *testing.T) {
	request := func(id uint32, command string) faulty {
		b := append(binary.BigEndian.AppendUint32([]byte{3}, id), byte(len(command)))
		return faulty{bin: append(b, command...), json: fmt.Sprintf(`{"type":"request","id":%d,"command":%q}`, id, command)}
	}
	with := func(f faulty, name string, want wire.CloseCode) faulty { f.name, f.want = name, want; return f }
	rows := []faulty{
		{name: "a second hello", bin: []byte(`` + "\x01" + `{"protocol":1}`), json: `{"type":"hello","protocol":1}`, want: 4500},
		{name: "a welcome", bin: []byte("\x02{}"), json: `{"type":"welcome"}`, want: 4500},
		{name: "a reply", bin: []byte{4, 0, 0, 0, 1, 0, 0}, json: `{"type":"reply","id":1,"status":0}`, want: 4500},
		{name: "a push", bin: []byte{5, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'a'}, json: `{"type":"push","seq":0,"command":"a"}`, want: 4500},
		{name: "a goaway", bin: []byte("\x09{}"), json: `{"type":"goaway"}`, want: 4500},
		{name: "no type that there is", bin: []byte{0xFF, 1}, json: `{"type":"nonsense"}`, want: 4500},
		{name: "a list", bin: []byte{0x0B}, json: `[]`, want: 4500},
		with(request(0, "a"), "request id 0", 4500),
		with(request(1, ""), "no command", 4500),
		with(request(1, strings.Repeat("a", 65)), "a long command", 4500),
		with(request(1, "Upper"), "a command of other characters", 4500),
		{name: "a ping of 9 bytes", bin: append([]byte{7}, "123456789"...), json: `{"type":"ping","data":"MTIzNDU2Nzg5"}`, want: 4500},
		{name: "an ack of what was not sent", bin: []byte{6, 0, 0, 0, 0, 0, 0, 0, 9}, json: `{"type":"ack","seq":9}`, want: 4500},
		{name: "a short ack", bin: []byte{6, 0}, json: `{"type":"ack"}`, want: 4500},
		{name: "a negative id", bin: []byte{3}, json: `{"type":"request","id":-1,"command":"a"}`, want: 4500},
	}
	e := startEdge(t)
	each(t, func(t *testing.T, w way) {
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				c, _ := e.loginBy(t, w, approach{}, "u1")
				c.sayBody(row.bin, row.json)
				wantRefused(t, w, c, row.want)
			})
		}
		t.Run("more requests than window", func(t *testing.T) {
			c, _ := e.loginBy(t, w, approach{}, "u1")
			var all []wire.Frame
			for id := uint32(1); id <= 65; id++ {
				all = append(all, wire.Frame{Type: wire.TypeRequest, ID: id, Command: []byte("hold.x")})
			}
			c.say(all...)
			wantRefused(t, w, c, 4506)
		})
		t.Run("an id again", func(t *testing.T) { idAgain(t, e, w) })
		t.Run("too long a frame", func(t *testing.T) { tooLong(t, e, w) })
	})
	eventually(t, "no session is left", func() bool { return e.srv.Sessions() == 0 })
}

// idAgain: an id that repeats is an error on streams and a repeat elsewhere.
func idAgain(t *testing.T, e *edge, w way) {
	c, _ := e.loginBy(t, w, approach{}, "u1")
	wantReply(t, c, 5, "echo.say", `"a"`, `"a"`)
	c.say(request(5, "echo.say", `"b"`))
	if !w.http() {
		wantRefused(t, w, c, 4500)
		return
	}
	if f, ok := c.hear(); !ok || f.ID != 5 || string(f.Payload) != `"a"` {
		t.Errorf("the repeat was answered with %s %+v, want the kept reply", describe(f), c.end())
	}
	c.say(wire.Frame{Type: wire.TypeClose, Code: wire.CloseNormal})
}

// tooLong: a frame beyond max_frame is refused from its length alone.
func tooLong(t *testing.T, e *edge, w way) {
	c, _ := e.loginBy(t, w, approach{}, "u1")
	switch c := c.(type) {
	case *streamClient:
		c.write(length(64<<10 + 1))
	case *wsClient:
		c.write(append(wsHead(map[bool]byte{true: 0x81, false: 0x82}[c.text], 64<<10+1, 0x80), 1, 2, 3, 4))
	case *httpClient:
		c.post(`[` + strings.Repeat(" ", 64<<10) + `]`)
		wantRefused(t, w, c, 4501)
		c.done = false // the connection is over, the session is not: nothing of the body was read
		c.say(wire.Frame{Type: wire.TypeClose, Code: wire.CloseNormal})
		return
	}
	wantRefused(t, w, c, 4501)
}

// TestWebSocketFaults: faults of the WebSocket layer itself end with that
// layer's codes, and no CLOSE of ours.
func TestWebSocketFaults(t *testing.T) {
	e := startEdge(t)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	data, other := map[bool]byte{true: 1, false: 2}, map[bool]byte{true: 2, false: 1}
	tests := []struct {
		name string
		send func(text bool) []byte
		want uint16
	}{
		{"not masked", func(text bool) []byte { return append(wsHead(0x80|data[text], 2, 0), "{}"...) }, 1002},
		{"a reserved bit", func(text bool) []byte { return wsFrame(0xC0|data[text], []byte("{}")) }, 1002},
		{"an opcode of nothing", func(bool) []byte { return wsFrame(0x83, nil) }, 1002},
		{"a ping in fragments", func(bool) []byte { return wsFrame(0x09, nil) }, 1002},
		{"a long ping", func(bool) []byte { return wsFrame(0x89, make([]byte, 126)) }, 1002},
		{"a continuation of nothing", func(bool) []byte { return wsFrame(0x80, []byte("x")) }, 1002},
		{"a message in a message", func(text bool) []byte {
			return join(wsFrame(data[text], []byte("{")), wsFrame(0x80|data[text], []byte("}")))
		}, 1002},
		{"a length with its top bit", func(text bool) []byte { return append(wsHead(0x80|data[text], 1<<63, 0x80), 1, 2, 3, 4) }, 1002},
		{"a close of one byte", func(bool) []byte { return wsFrame(0x88, []byte{3}) }, 1002},
		{"a close code that must not travel", func(bool) []byte { return wsFrame(0x88, []byte{3, 0xED}) }, 1002},
		{"the other kind of message", func(text bool) []byte { return wsFrame(0x80|other[text], []byte("{}")) }, 1003},
		{"a close reason that is no text", func(bool) []byte { return wsFrame(0x88, []byte{3, 0xE8, 0xFF}) }, 1007},
		{"many fragments", func(text bool) []byte {
			return join(wsFrame(data[text], []byte(" ")), bytes.Repeat(wsFrame(0, []byte(" ")), 2000))
		}, 1009},
		{"fragments beyond max_frame", func(text bool) []byte {
			return join(wsFrame(data[text], bytes.Repeat([]byte(" "), 60<<10)), wsHead(0x80, 5<<10, 0x80), []byte{1, 2, 3, 4})
		}, 4501},
	}
	for _, w := range []way{ways[3], ways[4], ways[6]} {
		for i, tt := range tests {
			t.Run(fmt.Sprint(w.name, " ", tt.name), func(t *testing.T) {
				c := e.come(t, w, approach{}).(*wsClient)
				if i%2 == 1 { // the same before HELLO and after
					c.say(hello("u1"))
					wantWelcome(t, c)
				}
				c.write(tt.send(w.kind == kindText))
				wantWSEnd(t, c, tt.want)
			})
		}
	}
	c := e.come(t, way{kind: kindText}, approach{}).(*wsClient)
	c.write(wsFrame(0x81, []byte("\xff")))
	wantWSEnd(t, c, 1007)
}

func wantWSEnd(t *testing.T, c *wsClient, code uint16) {
	t.Helper()
	frames, how := rest(c)
	ours := wire.CloseCode(0)
	if code >= 4000 {
		ours = wire.CloseCode(code)
	}
	if how.ws != code || how.code != ours || len(frames) > 0 {
		t.Errorf("came %s %+v, want the close code %d", types(frames), how, code)
	}
}

// TestWebSocketClose: a close frame of the client is CLOSE with its code. What is
// no CLOSE that ends a session leaves it for a resume.
func TestWebSocketClose(t *testing.T) {
	e := startEdge(t)
	for i, tt := range []struct {
		payload []byte
		want    uint16 // what comes back
		ends    bool
	}{
		{nil, 0, false}, {[]byte{3, 0xE8}, 1000, true}, {[]byte{3, 0xE9}, 1001, false}, {[]byte{0x0F, 0xA1}, 4001, false}, {[]byte{0x11, 0x94}, 4500, true},
	} {
		uid := fmt.Sprint("u", i)
		c, welcome := e.loginBy(t, ways[3+i%3], approach{}, uid)
		c.(*wsClient).write(wsFrame(0x88, tt.payload))
		if frames, how := rest(c); how.ws != tt.want || how.code != 0 || len(frames) > 0 {
			t.Errorf("close frame % x: came %s %+v, want the close code %d back", tt.payload, types(frames), how, tt.want)
		}
		back := e.come(t, ways[0], approach{})
		back.say(helloJSON(resumeOf(welcome, 0)))
		if tt.ends {
			wantRefused(t, ways[0], back, 4004)
		} else if w := wantWelcome(t, back); !w.Resumed {
			t.Errorf("close frame % x: the session was not resumed", tt.payload)
		}
	}
}

// resumeOf is a HELLO that wants a session back.
func resumeOf(w wire.Welcome, seq uint64) string {
	return fmt.Sprintf(`{"protocol":1,"resume":{"session":%q,"secret":%q,"seq":%d}}`, w.Session, w.Secret, seq)
}

// TestHandshakes: a wrong WebSocket handshake is 400 or 426, any other path 404.
func TestHandshakes(t *testing.T) {
	e := startEdge(t, func(c *gateway.Config) { c.Origins = []string{"https://good.test"} })
	const upgrade, connection = "Upgrade: websocket\r\n", "Connection: Upgrade\r\n"
	const key, version = "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n", "Sec-WebSocket-Version: 13\r\n"
	tests := []struct {
		name, line, fields string
		want               int
	}{
		{"all right", "GET /v1/ws HTTP/1.1", upgrade + connection + key + version, 101},
		{"a query", "GET /v1/ws?x=1 HTTP/1.1", upgrade + connection + key + version, 101},
		{"no Upgrade", "GET /v1/ws HTTP/1.1", connection + key + version, 426},
		{"no Connection", "GET /v1/ws HTTP/1.1", upgrade + key + version, 400},
		{"no key", "GET /v1/ws HTTP/1.1", upgrade + connection + version, 400},
		{"a short key", "GET /v1/ws HTTP/1.1", upgrade + connection + "Sec-WebSocket-Key: AAEC\r\n" + version, 400},
		{"version 8", "GET /v1/ws HTTP/1.1", upgrade + connection + key + "Sec-WebSocket-Version: 8\r\n", 426},
		{"a subprotocol of nobody's", "GET /v1/ws HTTP/1.1", upgrade + connection + key + version + "Sec-WebSocket-Protocol: mqtt\r\n", 400},
		{"POST", "POST /v1/ws HTTP/1.1", upgrade + connection + key + version + "Content-Length: 0\r\n", 400},
		{"HTTP/1.0", "GET /v1/ws HTTP/1.0", upgrade + connection + key + version, 400},
		{"a banned Origin", "GET /v1/ws HTTP/1.1", upgrade + connection + key + version + "Origin: https://evil.test\r\n", 403},
		{"a listed Origin", "GET /v1/ws HTTP/1.1", upgrade + connection + key + version + "Origin: https://good.test\r\n", 101},
		{"two Origins", "GET /v1/ws HTTP/1.1", upgrade + connection + key + version + "Origin: https://good.test\r\nOrigin: https://evil.test\r\n", 403},
		{"another path", "GET /v1/wss HTTP/1.1", upgrade + connection + key + version, 404},
		{"a slash more", "GET /v1/ws/ HTTP/1.1", upgrade + connection + key + version, 404},
		{"an escape", "GET /v1/%77s HTTP/1.1", upgrade + connection + key + version, 404},
		{"HTTP/2", "PRI * HTTP/2.0", "", 505},
	}
	for _, tls := range []bool{false, true} {
		for _, tt := range tests {
			t.Run(fmt.Sprint(tt.name, " tls=", tls), func(t *testing.T) {
				resp := e.ask(t, way{tls: tls}, approach{}, tt.line+"\r\nHost: gw.test\r\n"+tt.fields+"\r\n")
				if resp.StatusCode != tt.want {
					t.Errorf("answer %d %q, want %d", resp.StatusCode, resp.body, tt.want)
				}
				if tt.want == http.StatusUpgradeRequired && resp.Header.Get("Sec-WebSocket-Version") != "13" {
					t.Errorf("426 without the version that is spoken")
				}
			})
		}
	}
}
