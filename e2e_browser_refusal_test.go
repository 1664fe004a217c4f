package main

import (
	"context"
	"fmt"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/backend/kit"
)

// socketEnd is what a browser says of a WebSocket that has ended.
type socketEnd struct {
	Opened   bool
	Protocol string
	Failed   bool
	Frames   []string // types
	Code     int
	Reason   string
	WasClean bool
}

// Messages of a page, for drive.socket.
func sendText(s string) map[string]any { return map[string]any{"text": s} }
func sendHello(token string) map[string]any {
	return sendText(fmt.Sprintf(`{"type":"hello","protocol":1,"token":%q}`, token))
}
func sendBytes(b ...int) map[string]any     { return map[string]any{"binary": b} }
func sendLong(n int) map[string]any         { return map[string]any{"long": n} }
func closeSocket(how ...any) map[string]any { return map[string]any{"close": append([]any{}, how...)} }

// TestBrowserCloseCodes checks what a browser makes of the ways in which a WebSocket
// ends: the code and the reason reach the page, and none looks like a cut.
func TestBrowserCloseCodes(t *testing.T) {
	e := startBrowserEdge(t)
	b := startChromium(t, e.cert)
	b.visit(e.page)
	type messages []map[string]any
	tests := []struct {
		name, protocol string
		messages       messages
		code           int
		reason         string // a part of it
		frames         string // not looked at where empty
	}{
		{"closed by the page", "", messages{sendHello("a"), closeSocket(1000, "bye")}, 1000, "", ""},
		{"closed by the page with a code of its own", "", messages{sendHello("a"), closeSocket(3001)}, 3001, "", ""},
		{"closed by the page without a code", "", messages{sendHello("a"), closeSocket()}, 1005, "", ""},
		{"CLOSE as a frame", "", messages{sendHello("a"), sendText(`{"type":"close","code":1000}`)}, 1000, "", ""},
		{"unknown token", "", messages{sendHello("stranger")}, 4502, "nobody knows you", "close"},
		{"refused for a while", "", messages{sendHello("late")}, 4003, "come back later", "goaway close"},
		{"no HELLO", "", messages{sendText(`{"type":"ack","seq":1}`)}, 4500, "", "close"},
		{"another protocol", "", messages{sendText(`{"type":"hello","protocol":2}`)}, 4508, "", "close"},
		{"no JSON", "holdfast.v1.json", messages{sendText("hello")}, 4500, "", "close"},
		{"too long", "", messages{sendLong(70_000)}, 4501, "", "close"},
		{"much too long", "", messages{sendLong(200_000)}, 4501, "", "close"},
		{"bytes where text is spoken", "", messages{sendBytes(1, 2)}, 1003, "", ""},
		{"text where bytes are spoken", "holdfast.v1", messages{sendText("hello")}, 1003, "", ""},
		{"no frame", "holdfast.v1", messages{sendBytes(99)}, 4500, "", "0x0a"},
	}
	for _, scheme := range []string{"ws", "wss"} {
		for _, tt := range tests {
			var got socketEnd
			var protocols any
			if tt.protocol != "" {
				protocols = []string{"unknown", tt.protocol}
			}
			b.call(&got, "socket", scheme+"://"+e.endpoint+"/v1/ws", protocols, tt.messages)
			if !got.Opened || got.Protocol != tt.protocol || got.Code != tt.code || !strings.Contains(got.Reason, tt.reason) || !got.WasClean {
				t.Errorf("%s, %s: the page sees %+v, want a clean end with %d %q", scheme, tt.name, got, tt.code, tt.reason)
			}
			if frames := strings.Join(got.Frames, " "); tt.frames != "" && frames != tt.frames {
				t.Errorf("%s, %s: frames %q, want %q", scheme, tt.name, frames, tt.frames)
			}
		}
	}
	var got socketEnd
	b.call(&got, "socket", "ws://"+e.endpoint+"/v1/ws", []string{"unknown"}, messages{})
	if got.Opened || !got.Failed || got.Code != 1006 {
		t.Errorf("an unknown subprotocol: the page sees %+v, want a handshake that fails", got)
	}
	checkBrokenFrames(t, e, b)
	checkKicked(t, e, b)
}

// checkBrokenFrames puts something between browser and gateway that breaks the first
// frame, which no page can do itself.
func checkBrokenFrames(t *testing.T, e *browserEdge, b *browser) {
	t.Helper()
	const payload = 2 + 4 // behind head and mask of a short frame
	for _, tt := range []struct {
		name string
		code int
		at   int
		flip byte
	}{
		{"a reserved bit", 1002, 0, 0x40},
		{"no mask", 1002, 1, 0x80},
		{"an unknown opcode", 1002, 0, 0x02},
		{"text that is no UTF-8", 1007, payload, 0x80},
	} {
		var got socketEnd
		b.call(&got, "socket", "ws://"+startFlipper(t, e.endpoint, tt.at, tt.flip)+"/v1/ws", nil,
			[]map[string]any{sendText("a text of some bytes")})
		if !got.Opened || got.Code != tt.code || got.Reason == "" || !got.WasClean {
			t.Errorf("%s: the page sees %+v, want a clean end with %d", tt.name, got, tt.code)
		}
	}
}

// startFlipper passes a connection on, and flips bits of a byte of the second thing
// that comes from the client: the one behind the handshake, which is answered first.
func startFlipper(t *testing.T, target string, at int, flip byte) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		in, err := ln.Accept()
		if err != nil {
			return // the test has ended
		}
		defer in.Close()
		out, err := net.Dial("tcp", target)
		if err != nil {
			return // the page sees the end
		}
		defer out.Close()
		back := make(chan struct{})
		go func() {
			defer close(back)
			pass(in, out, -1, 0)
		}()
		pass(out, in, at, flip)
		<-back
	}()
	t.Cleanup(func() {
		ln.Close()
		<-done
	})
	return ln.Addr().String()
}

// pass copies until the end and passes that on too. at >= 0: it flips bits of that
// byte of the second piece.
func pass(to, from net.Conn, at int, flip byte) {
	buf := make([]byte, 4096)
	_ = from.SetReadDeadline(time.Now().Add(patience)) // a failure shows in Read
	for piece := 0; ; piece++ {
		n, err := from.Read(buf)
		if piece == 1 && at >= 0 && n > at {
			buf[at] ^= flip
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			_ = to.(*net.TCPConn).CloseWrite() // it may be gone
			return
		}
	}
}

// checkKicked has the backend end a session while the page waits.
func checkKicked(t *testing.T, e *browserEdge, b *browser) {
	t.Helper()
	kicked := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		kicked <- e.room.kick(ctx, "victim", "enough")
	}()
	var got socketEnd
	b.call(&got, "socket", "wss://"+e.endpoint+"/v1/ws", nil, []map[string]any{sendHello("victim")})
	if err := <-kicked; err != nil || got.Code != 4504 || got.Reason != "enough" || !got.WasClean {
		t.Errorf("kicked (%v): the page sees %+v, want 4504 enough", err, got)
	}
}

// kick ends a user's session as soon as there is one.
func (r *room) kick(ctx context.Context, uid, reason string) error {
	for {
		r.mu.Lock()
		gateway := r.at
		r.mu.Unlock()
		ended, err := r.Pusher().Kick(ctx, gateway, kit.KickItem{To: kit.ToUID(uid), Code: kit.CloseKicked, Reason: reason})
		if err != nil || ended[0] > 0 {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// callEnd is what a page may see of an answer.
type callEnd struct {
	Status     int
	Type       string
	RetryAfter string
	Body       string
	Failed     string
}

// options are those of fetch.
type options map[string]any

func (o options) with(key string, value any) options {
	changed := maps.Clone(o)
	changed[key] = value
	return changed
}

// postHello is the call that begins a session; its Content-Type asks for a preflight.
func postHello(token string) options {
	return options{"method": "POST", "body": fmt.Sprintf(`{"protocol":1,"token":%q}`, token),
		"headers": map[string]any{"Content-Type": "application/json"}}
}

// byBearer is a call of a session that is not there.
var byBearer = options{"headers": map[string]any{"Authorization": "Bearer no.such"}}

// TestBrowserMayRead checks that a page which may connect can read why a call is
// refused.
func TestBrowserMayRead(t *testing.T) {
	e := startBrowserEdge(t)
	b := startChromium(t, e.cert)
	b.visit(e.page)
	post := func(body string) options { return options{"method": "POST", "body": body} }
	for _, scheme := range []string{"http", "https"} {
		for _, tt := range []struct {
			path       string
			options    options
			status     int
			body       string
			retryAfter string
		}{
			{"/v1/poll", postHello("stranger"), 401, `"code":4502,"reason":"nobody knows you"`, ""},
			{"/v1/poll", postHello("late"), 503, `"code":4003`, "2"},
			{"/v1/poll?seq=0", byBearer, 401, `"type":"close"`, ""},
			{"/v1/events?seq=0", byBearer, 401, `"type":"close"`, ""},
			{"/v1/poll", post(strings.Repeat("x", 70_000)), 413, `"code":4501`, ""},
			{"/v1/poll", post(`{}`), 400, `"type":"close"`, ""},
			{"/v1/events", post(`{}`), 405, "", ""},
		} {
			var got callEnd
			url := scheme + "://" + e.endpoint + tt.path
			b.call(&got, "call", url, tt.options)
			if got.Failed != "" || got.Status != tt.status || !strings.Contains(got.Body, tt.body) || got.RetryAfter != tt.retryAfter {
				t.Errorf("%v %s: the page sees %+v, want %d, %q with %s", tt.options["method"], url, got, tt.status, tt.retryAfter, tt.body)
			}
		}
	}
}

// TestBrowserOrigins checks that a page from elsewhere, or from nowhere, reaches
// nothing.
func TestBrowserOrigins(t *testing.T) {
	e := startBrowserEdge(t)
	b := startChromium(t, e.cert)
	b.visit(servePage(t, "127.0.0.2"))
	for _, scheme := range []string{"http", "https"} {
		url := scheme + "://" + e.endpoint
		for name, o := range map[string]options{
			"with a preflight":    postHello("a"),
			"without":             postHello("a").with("headers", options{"Content-Type": "text/plain"}),
			"with credentials":    postHello("a").with("credentials", "include"),
			"that reads nothing":  postHello("a").with("mode", "no-cors").with("headers", options{}),
			"by another's bearer": byBearer,
		} {
			var got callEnd
			b.call(&got, "call", url+"/v1/poll", o)
			if got.Failed == "" && (got.Type != "opaque" || got.Body != "") {
				t.Errorf("%s, a call %s from a page that is not listed: %+v, want nothing to see", scheme, name, got)
			}
		}
		var got socketEnd
		b.call(&got, "socket", strings.Replace(url, "http", "ws", 1)+"/v1/ws", nil, []options{sendHello("a")})
		if got.Opened || !got.Failed || got.Code != 1006 {
			t.Errorf("%s, a WebSocket from a page that is not listed: %+v, want a handshake that fails", scheme, got)
		}
	}
	b.visit(e.page)
	var end string
	b.call(&end, "nowhere", fmt.Sprintf(`const s = new WebSocket("ws://%s/v1/ws");
		s.onopen = () => parent.postMessage("open", "*"); s.onclose = (e) => parent.postMessage("refused " + e.code, "*")`, e.endpoint))
	if end != "refused 1006" {
		t.Errorf("a WebSocket from a frame without an origin: %q, want it refused", end)
	}
	if n := e.room.countLogins(); n != 0 {
		t.Errorf("the backend saw %d logins of pages that are not listed", n)
	}
}
