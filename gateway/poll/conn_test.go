package poll

import (
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// TestHello: POST /v1/poll is answered with WELCOME, which says poll_ms.
func TestHello(t *testing.T) {
	w := newWorld(t)
	for _, body := range []string{`{"protocol":1}`, `{"type":"hello","protocol":1}`} {
		k := w.call("POST", "/v1/poll", body)
		w.said(k, "200 welcome")
		welcome, err := wire.ParseWelcome([]byte(k.body))
		if err != nil || welcome.PollMS != 15000 || welcome.Session != "s" || welcome.Window != 4 {
			t.Errorf("WELCOME %s = %+v, %v, want session s, window 4 and poll_ms 15000", k.body, welcome, err)
		}
		w.heard("hello, away")
	}
}

func TestHelloRefused(t *testing.T) {
	tests := []struct {
		name, body, want string
		heard            string
	}{
		{"not JSON", `x`, "400 close 4500", "refuse 4500"},
		{"not a HELLO", `{"type":"ack","seq":1}`, "400 close 4500", "refuse 4500"},
		{"empty", ``, "400 close 4500", "refuse 4500"},
		{"too long", `{"protocol":1,"x":"` + strings.Repeat("x", 2048) + `"}`, "413 close 4501", "refuse 4501"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.said(w.call("POST", "/v1/poll", tt.body), tt.want)
			w.heard(tt.heard)
			w.pass(time.Second)
			w.heard("closed")
		})
	}
}

// TestRefusalStatus: every close code has its status, and a wait is in the head
// in whole seconds and in the object in milliseconds.
func TestRefusalStatus(t *testing.T) {
	for _, code := range wire.CloseCodes() {
		w := newWorld(t)
		w.login = func(r *fakeReceiver) {
			away := wire.Frame{Type: wire.TypeGoAway, Payload: wire.AppendGoAway(nil, &wire.GoAway{Code: code, ReconnectAfterMS: 1234})}
			r.conn.CloseWith(code, "no", away)
		}
		k := w.call("POST", "/v1/poll", `{"protocol":1}`)
		if k.status != code.HTTPStatus() || words([]byte(k.body)) != "close "+digits(uint32(code)) {
			t.Errorf("CloseWith(%s) = %d %s, want %d and its CLOSE", code, k.status, k.body, code.HTTPStatus())
		}
		if k.retryAfter != 2*time.Second || reconnectAfterOf(k.body) != 1234 {
			t.Errorf("CloseWith(%s) behind GOAWAY waits %v and %s, want 2s and 1234 ms", code, k.retryAfter, k.body)
		}
	}
	w := newWorld(t)
	w.login = func(r *fakeReceiver) { r.conn.CloseWith(wire.CloseBackendUnavailable, "no") }
	if k := w.call("POST", "/v1/poll", `{"protocol":1}`); k.status != 503 || k.retryAfter != time.Second {
		t.Errorf("4007 without GOAWAY = %d after %v, want 503 after 1s", k.status, k.retryAfter)
	}
}

// TestAcceptRefuses: the gateway may let nobody in before HELLO is looked at.
func TestAcceptRefuses(t *testing.T) {
	w := newWorld(t)
	w.accept = func(c *Conn) bool { return !c.CloseWith(wire.CloseRateLimited, "too many") }
	w.said(w.call("POST", "/v1/poll", `{"protocol":1}`), "429 close 4011")
	w.heard("")
	w.pass(time.Second)
	w.heard("closed")
}

// TestHelloLost: a client that goes before WELCOME leaves a session that can be
// resumed, and nothing is said on its connection any more.
func TestHelloLost(t *testing.T) {
	w := newWorld(t)
	w.login = func(r *fakeReceiver) { r.conn.Hold() }
	k := w.call("POST", "/v1/poll", `{"protocol":1}`)
	w.said(k, "waits")
	early := w.get("") // by a secret from before a resume
	post := w.post("", `[]`)
	k.lose()
	w.heard("hello, closed")
	w.said(early, "503 close 4008")
	w.said(post, "503 close 4008")
	if !w.r.conn.Queue(welcomeFrame(4)) || !w.r.conn.Closing() {
		t.Error("a connection that is gone must take everything and say so")
	}
	w.r.conn.Flush()
	w.r.conn.Release()
	w.pass(time.Minute)
	w.heard("")
}

// TestHeld: calls that come while the login is judged wait for the session.
func TestHeld(t *testing.T) {
	w := newWorld(t)
	w.login = func(r *fakeReceiver) { r.conn.Hold() }
	k := w.call("POST", "/v1/poll", `{"protocol":1}`)
	get := w.get("?seq=0")
	w.heard("hello")
	session := &fakeReceiver{world: w, conn: w.r.conn}
	w.r.conn.Queue(welcomeFrame(4))
	w.r.conn.SetReceiver(session)
	w.r.conn.Flush()
	w.said(k, "200 welcome")
	w.r.conn.Release()
	w.heard("")
	w.r = session
	w.heard("ack 0")
	w.said(get, "waits")
}

// TestPoll: a GET is answered at once when frames wait, else when one comes, else
// after poll_ms with [].
func TestPoll(t *testing.T) {
	w := begin(t)
	w.push(1)
	w.said(w.get("?seq=0"), "200 push 1 a.b")
	w.heard("back, ack 0, away")

	k := w.get("?seq=1")
	w.said(k, "waits")
	w.heard("back, ack 1")
	w.pass(14 * time.Second)
	w.said(k, "waits")
	w.push(2)
	w.said(k, "200 push 2 a.b")
	w.heard("away")

	k = w.get("?seq=2")
	w.pass(14 * time.Second)
	w.said(k, "waits")
	w.pass(1100 * time.Millisecond)
	w.said(k, "200")
	if k.body != "[]" {
		t.Errorf("after poll_ms the body is %s, want []", k.body)
	}
}

// TestLostAnswer: nothing that is kept is dropped until the client names it.
func TestLostAnswer(t *testing.T) {
	w := begin(t)
	w.push(1)
	w.reply(1)
	w.reply(2)
	w.push(2)
	for range 3 { // two are lost
		w.said(w.get(""), "200 push 1 a.b, reply 1, reply 2, push 2 a.b")
	}
	w.said(w.get("?seq=1"), "200 reply 1, reply 2, push 2 a.b")
	w.said(w.get("?seq=1&replies=1"), "200 reply 2, push 2 a.b")
	w.said(w.get("?seq=2"), "waits") // 2 came before the push that has arrived
	w.heard("back, away, back, away, back, away, back, ack 1, away, back, ack 1, arrived 1, away, back, ack 2")
}

// TestGoneIsKept: what a call that is lost was to be answered with waits for the
// next one.
func TestGoneIsKept(t *testing.T) {
	w := begin(t)
	k := w.get("")
	k.lose()
	w.heard("back, away")
	w.push(1)
	w.said(w.get(""), "200 push 1 a.b")
	if k.answers != 0 {
		t.Error("a call whose client is gone was answered")
	}
	deaf := newCall("GET", "/v1/poll?seq=1", "s.x", "")
	deaf.deaf = true
	w.srv.Serve(deaf)
	w.push(2)
	w.said(w.get("?seq=1"), "200 push 2 a.b")
}

// TestNewerCallWins: of GETs and streams there is one.
func TestNewerCallWins(t *testing.T) {
	w := begin(t)
	one := w.get("")
	two := w.get("")
	w.said(one, "200")
	w.said(two, "waits")
	stream := w.open("")
	w.said(two, "200")
	w.push(1)
	w.said(stream, "stream push 1 a.b")
	later := w.open("?seq=0")
	w.said(stream, "stream push 1 a.b, end")
	w.said(later, "stream push 1 a.b")
	w.said(w.get("?seq=1"), "waits")
	w.said(later, "stream push 1 a.b, end")
	w.heard("back, ack 0, ack 1")
}

// TestStream: events have the seq of reliable pushes as id, and comments when
// there is nothing else.
func TestStream(t *testing.T) {
	w := begin(t)
	w.reply(1)
	k := w.open("")
	w.push(1)
	w.queue(wire.Frame{Type: wire.TypePush, Command: []byte("a.c"), Payload: []byte("{\r\n\"x\": [1,\n2]}")})
	want := "data: {\"type\":\"reply\",\"id\":1,\"status\":0}\n\n" +
		"id: 1\ndata: {\"type\":\"push\",\"seq\":1,\"command\":\"a.b\"}\n\n" +
		"data: {\"type\":\"push\",\"seq\":0,\"command\":\"a.c\",\"payload\":{\ndata: \ndata: \"x\": [1,\ndata: 2]}}\n\n"
	if got := k.text.String(); got != want {
		t.Errorf("the stream is\n%q, want\n%q", got, want)
	}
	w.pass(24 * time.Second)
	w.reply(2)
	w.pass(24 * time.Second) // silent for less than the heartbeat
	w.pass(2 * time.Second)
	w.pass(26 * time.Second)
	w.said(k, "stream reply 1, push 1 a.b, push 0 a.c, reply 2, beat, beat")
	w.heard("back")
}

// TestStreamResumes: Last-Event-ID works as seq, and seq is worth more.
func TestStreamResumes(t *testing.T) {
	for _, tt := range []struct{ query, last, want, heard string }{
		{"", "2", "stream push 3 a.b", "back, ack 2"},
		{"?seq=1", "2", "stream push 2 a.b, push 3 a.b", "back, ack 1"},
		{"?replies=1", "", "stream push 1 a.b, push 2 a.b, push 3 a.b", "back, arrived 1"},
		{"", "two", "400 close 4500", "back, refuse 4500"},
	} {
		w := begin(t)
		for seq := range uint64(3) {
			w.push(seq + 1)
		}
		k := newCall("GET", "/v1/events"+tt.query, "s.x", "")
		k.req.Header.Set("Last-Event-ID", tt.last)
		w.srv.Serve(k)
		w.said(k, tt.want)
		w.heard(tt.heard)
	}
}

// TestSlowStream: a stream that takes nothing is over, and its frames are kept.
func TestSlowStream(t *testing.T) {
	w := begin(t)
	k := w.open("")
	w.push(1)
	k.slow = true
	w.push(2)
	w.push(3)
	w.heard("back, away")
	w.said(w.get("?seq=1"), "200 push 2 a.b, push 3 a.b")
	gone := w.open("?seq=1")
	gone.lose()
	w.said(w.open("?seq=1"), "stream push 2 a.b, push 3 a.b")
	deaf := newCall("GET", "/v1/events?seq=3", "s.x", "")
	deaf.deaf = true
	w.srv.Serve(deaf)
	w.push(4)
	w.said(w.get("?seq=3"), "200 push 4 a.b")
}

// TestFrames: a POST is answered 202 and its replies come by the poll.
func TestFrames(t *testing.T) {
	w := begin(t)
	w.push(1)
	w.said(w.post("", `[{"type":"request","id":1,"command":"a.b","payload":{"x":1}},{"type":"ack","seq":1}]`), "202")
	w.heard(`back, request 1 a.b {"x":1}, ack 1, away`)
	w.reply(1)
	w.said(w.get("?replies=1"), "waits") // the push was acknowledged
	w.said(w.post("", `[]`), "202")
	w.heard("back, arrived 1")
}

func TestFramesRefused(t *testing.T) {
	many := "[" + strings.Repeat(`{"type":"ack","seq":0},`, 8) + `{"type":"ack","seq":0}]`
	for _, tt := range []struct{ name, query, body, want string }{
		{"not an array", "", `{}`, "400 close 4500"},
		{"a bad frame refuses all", "", `[{"type":"ack","seq":0},{"type":"ack"}]`, "400 close 4500"},
		{"a ping", "", `[{"type":"ping"}]`, "400 close 4500"},
		{"a hello", "", `[{"type":"hello","protocol":1}]`, "400 close 4500"},
		{"too many", "", many, "400 close 4500"},
		{"too long", "", "[" + strings.Repeat(" ", 2048) + "]", "413 close 4501"},
		{"wait_ms", "?wait_ms=x", `[]`, "400 close 4500"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := begin(t)
			get := w.get("")
			k := w.post(tt.query, tt.body)
			w.said(k, tt.want)
			w.said(get, "200 close "+tt.want[len(tt.want)-4:])
			w.heard("back, refuse " + tt.want[len(tt.want)-4:])
			w.said(w.get(""), tt.want)
			w.pass(time.Second)
			w.heard("closed")
		})
	}
}

// TestWait: wait_ms brings the replies of this call, when all are there or in
// time, and wakes nobody else.
func TestWait(t *testing.T) {
	w := begin(t)
	get := w.get("")
	k := w.post("?wait_ms=5000", `[{"type":"request","id":1,"command":"a"},{"type":"request","id":2,"command":"a"}]`)
	w.reply(2)
	w.said(k, "waits")
	w.said(get, "waits")
	w.reply(1)
	w.said(k, "200 reply 2, reply 1")
	w.said(get, "waits")
	w.push(1) // they are kept until they are named
	w.said(get, "200 reply 2, reply 1, push 1 a.b")
	w.said(w.get("?seq=1"), "waits")

	k = w.post("?wait_ms=5000", `[{"type":"request","id":3,"command":"a"},{"type":"request","id":4,"command":"a"}]`)
	w.reply(3)
	w.pass(5100 * time.Millisecond)
	w.said(k, "200 reply 3")
	w.reply(4)
	w.said(w.get("?replies=3"), "200 reply 4")

	w.said(w.post("?wait_ms=5000", `[]`), "200")
	w.said(w.post("?wait_ms=0", `[{"type":"request","id":5,"command":"a"}]`), "200")
	k = w.post("?wait_ms=2147483647", `[{"type":"request","id":6,"command":"a"}]`)
	w.pass(10100 * time.Millisecond) // request_timeout_ms is the most
	w.said(k, "200")
}

// TestWaitLost: the replies that a lost POST asked for go to whoever waits.
func TestWaitLost(t *testing.T) {
	w := begin(t)
	get := w.get("")
	k := w.post("?wait_ms=5000", `[{"type":"request","id":1,"command":"a"},{"type":"request","id":2,"command":"a"}]`)
	w.reply(1)
	w.said(get, "waits")
	k.lose()
	w.said(get, "200 reply 1")
	again := w.post("?wait_ms=5000", `[{"type":"request","id":2,"command":"a"}]`)
	w.reply(2)
	w.said(again, "200 reply 2")
}

// TestRepeat: a reply that is asked for again is in the list once, and is sent
// once more.
func TestRepeat(t *testing.T) {
	w := begin(t)
	w.r.receive = func(f wire.Frame) {
		if f.Type == wire.TypeRequest {
			w.reply(f.ID)
		}
	}
	for range 2 {
		w.said(w.post("?wait_ms=1000", `[{"type":"request","id":1,"command":"a"}]`), "200 reply 1")
	}
	w.said(w.post("", `[{"type":"request","id":2,"command":"a"}]`), "202")
	w.said(w.post("", `[{"type":"request","id":1,"command":"a"},{"type":"request","id":1,"command":"a"}]`), "202")
	w.said(w.get(""), "200 reply 1, reply 2")
	stream := w.open("")
	w.post("", `[{"type":"request","id":1,"command":"a"}]`)
	w.said(stream, "stream reply 1, reply 2, reply 1")
	get := w.get("?replies=2")
	w.said(get, "waits")
	w.post("", `[{"type":"request","id":2,"command":"a"}]`)
	w.said(get, "200 reply 2")
}

// TestNamingSparesWhatWasNeverSent: a client that has its reply from a POST does
// not lose an earlier one.
func TestNamingSparesWhatWasNeverSent(t *testing.T) {
	w := begin(t)
	w.post("", `[{"type":"request","id":1,"command":"a"}]`)
	w.reply(1)
	k := w.post("?wait_ms=1000", `[{"type":"request","id":2,"command":"a"}]`)
	w.reply(2)
	w.said(k, "200 reply 2")
	w.r.heardAll()
	w.said(w.get("?replies=2"), "200 reply 1")
	w.heard("back, away") // the session must not let go of reply 1 either
	w.said(w.get("?replies=1"), "waits")
	w.heard("back, arrived 1")
}

// TestStreamSendsAheadOfPushes: what a POST brings goes out on a stream only
// ahead of a push, so that acknowledging the push says that it has arrived.
func TestStreamSendsAheadOfPushes(t *testing.T) {
	w := begin(t)
	stream := w.open("")
	k := w.post("?wait_ms=1000", `[{"type":"request","id":1,"command":"a"},{"type":"request","id":2,"command":"a"}]`)
	w.reply(1)
	w.said(stream, "stream ")
	w.push(1)
	w.said(stream, "stream reply 1, push 1 a.b")
	w.reply(2)
	w.said(k, "200 reply 1, reply 2")
	w.reply(3)
	w.said(stream, "stream reply 1, push 1 a.b, reply 3")
	w.post("", `[{"type":"ack","seq":1}]`)
	w.push(2)
	w.said(stream, "stream reply 1, push 1 a.b, reply 3, reply 2, push 2 a.b")
	w.post("", `[{"type":"ack","seq":2}]`)
	if c := w.r.conn; c.list.items != nil {
		t.Errorf("after the last push was acknowledged there are %d frames", len(c.list.items))
	}
}

// TestOnePost: another POST meanwhile is refused, and the session goes on.
func TestOnePost(t *testing.T) {
	w := begin(t)
	k := w.post("?wait_ms=1000", `[{"type":"request","id":1,"command":"a"}]`)
	w.said(w.post("", `[]`), "429 close 4011")
	w.reply(1)
	w.said(k, "200 reply 1")
	w.said(w.post("", `[]`), "202")
	w.heard("back, request 1 a , away, back, away")
}

// TestDelete ends the session; what waits is told.
func TestDelete(t *testing.T) {
	w := begin(t)
	stream := w.open("")
	post := w.post("?wait_ms=1000", `[{"type":"request","id":1,"command":"a"}]`)
	w.said(w.call("DELETE", "/v1/poll", ""), "200 close 1000")
	w.said(stream, "stream close 1000, end")
	w.said(post, "401 close 1000")
	w.heard("back, request 1 a , close 1000")
	w.said(w.call("DELETE", "/v1/poll", ""), "401 close 1000")
	w.pass(time.Second)
	w.heard("closed")
}

// TestCloseFrame: a client that sends CLOSE has its POST answered as usual.
func TestCloseFrame(t *testing.T) {
	w := begin(t)
	get := w.get("")
	w.said(w.post("", `[{"type":"close","code":1000},{"type":"request","id":1,"command":"a"}]`), "202")
	w.said(get, "200 close 1000")
	w.heard("back, close 1000")
	w = begin(t)
	w.r.receive = func(f wire.Frame) {
		if f.Type == wire.TypeRequest {
			w.reply(f.ID)
		}
	}
	w.said(w.post("?wait_ms=9", `[{"type":"request","id":1,"command":"a"},{"type":"close","code":1000}]`), "200 reply 1")
}

// TestCloseWith: who waits is told, with what is kept before it; who comes later
// is refused.
func TestCloseWith(t *testing.T) {
	away := wire.Frame{Type: wire.TypeGoAway, Payload: wire.AppendGoAway(nil, &wire.GoAway{Code: wire.CloseDraining, ReconnectAfterMS: 500})}
	w := begin(t)
	get := w.get("")
	post := w.post("?wait_ms=1000", `[{"type":"request","id":1,"command":"a"},{"type":"request","id":2,"command":"a"}]`)
	w.reply(1)
	if !w.r.conn.CloseWith(wire.CloseDraining, "leaving", away) || w.r.conn.CloseWith(wire.CloseKicked, "") {
		t.Error("CloseWith must report true the first time only")
	}
	w.said(post, "503 close 4000")
	w.said(get, "200 reply 1, goaway, close 4000")
	k := w.get("")
	w.said(k, "503 close 4000")
	if k.retryAfter != time.Second || reconnectAfterOf(k.body) != 500 {
		t.Errorf("refused with Retry-After %v and %s, want 1s and 500 ms", k.retryAfter, k.body)
	}
	w.said(w.post("", `[]`), "503 close 4000")
	w.said(w.open(""), "503 close 4000")
	if !w.r.conn.Queue(wire.Frame{Type: wire.TypePing}) || w.r.conn.Queued() != 0 || !w.r.conn.Closing() {
		t.Error("a closed connection takes everything and keeps nothing")
	}
	w.r.heardAll()
	w.pass(time.Second)
	w.pass(time.Second)
	w.heard("closed")
}

// TestGoAwayIsAFrame: the session goes on after it, and it is sent once.
func TestGoAwayIsAFrame(t *testing.T) {
	w := begin(t)
	away := wire.Frame{Type: wire.TypeGoAway, Payload: wire.AppendGoAway(nil, &wire.GoAway{Code: wire.CloseDraining, ReconnectAfterMS: 500})}
	w.queue(away)
	w.push(1)
	w.said(w.get(""), "200 goaway, push 1 a.b")
	w.said(w.get(""), "200 push 1 a.b")
}

// TestAbort answers who waits as if nothing had come, and no CLOSE is counted.
func TestAbort(t *testing.T) {
	w := begin(t)
	get := w.get("")
	w.r.conn.Abort()
	w.said(get, "200")
	w.said(w.get(""), "500 close 4006")
	w.pass(time.Second)
	w.heard("back, closed")
}

// TestBadAck: an acknowledgement of what was not sent ends the session, with the
// call that brought it.
func TestBadAck(t *testing.T) {
	w := begin(t)
	waiting := w.get("")
	w.said(w.get("?seq=1"), "400 close 4500")
	w.said(waiting, "200 close 4500")
	w = begin(t)
	w.said(w.post("", `[{"type":"ack","seq":1},{"type":"request","id":1,"command":"a"}]`), "400 close 4500")
	w.heard("back, ack 1")
	w = begin(t)
	w.said(w.open("?seq=1"), "400 close 4500")
}

// TestTransport names how the client came last.
func TestTransport(t *testing.T) {
	w := begin(t)
	c := w.r.conn
	check := func(transport, ip string) {
		t.Helper()
		if c.Transport() != transport || c.RemoteIP() != ip {
			t.Errorf("came by %s from %s, want %s from %s", c.Transport(), c.RemoteIP(), transport, ip)
		}
	}
	check("poll", "192.0.2.7")
	k := newCall("GET", "/v1/events", "s.x", "")
	k.secure, k.ip = true, "192.0.2.8"
	w.srv.Serve(k)
	check("sses", "192.0.2.8")
	w.pass(time.Second)
	w.post("", `[]`)
	check("sses", "192.0.2.7")
	if c.LastRead() != c.Now() || c.Pings() || c.Encoding() != wire.JSON {
		t.Errorf("LastRead %d at %d, Pings %v, Encoding %v", c.LastRead(), c.Now(), c.Pings(), c.Encoding())
	}
	w.get("")
	check("poll", "192.0.2.7")
}

// TestReceiverExpires: the receiver is woken when it asked for it, and not by the
// connection's own deadlines.
func TestReceiverExpires(t *testing.T) {
	w := begin(t)
	w.r.next = 60_000
	w.r.conn.WakeAt(w.now + 1000)
	w.get("")
	w.pass(900 * time.Millisecond)
	w.heard("back")
	w.pass(200 * time.Millisecond)
	w.heard("expire")
	w.pass(20 * time.Second)
	w.heard("away")
	w.r.next = 0
	w.pass(40 * time.Second)
	w.heard("expire")
	w.pass(time.Hour)
	w.heard("")
}

// TestIdleConnIsSmall: a session that waits costs no more than this.
func TestIdleConnIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Conn{}); size > 400 {
		t.Errorf("a Conn takes %d bytes, want at most 400", size)
	}
	w := begin(t)
	w.push(1)
	w.get("")
	w.get("?seq=1")
	c := w.r.conn
	if c.list.items != nil || c.inbox != nil || c.post != nil || c.welcome != nil {
		t.Errorf("an idle Conn holds items %v, inbox %v, post %v, welcome %s", c.list.items, c.inbox, c.post, c.welcome)
	}
}
