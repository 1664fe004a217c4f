package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway"
	"github.com/holdfast-io/holdfast/gateway/admission"
	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// strictJudge is a backend that lets in who says who he is.
func strictJudge(l gateway.Login) gateway.Verdict {
	uid, ok := strings.CutPrefix(l.Token, "good:")
	switch {
	case !ok && l.Token == "expired":
		return gateway.Verdict{CloseCode: 4507, Reason: "expired"}
	case !ok:
		return gateway.Verdict{CloseCode: 4502, Reason: "who are you"}
	case uid == "banned":
		return gateway.Verdict{CloseCode: 4503, Reason: "banned"}
	case uid == "nobody answers":
		return gateway.Verdict{CloseCode: 4007, Reason: "down", RetryAfter: time.Second}
	case uid == "brief":
		return gateway.Verdict{UID: uid, Service: "test", ExpiresAt: time.Now().Add(100 * time.Millisecond)}
	default:
		return gateway.Verdict{UID: uid, Service: "test"}
	}
}

// who is somebody who wants in, and what every transport must say to that.
type who struct {
	name  string
	come  func(a *approach)
	hello string
	want  wire.CloseCode // 0: WELCOME
	only  func(w way) bool
}

func token(s string) string { return fmt.Sprintf(`{"protocol":1,"token":%q}`, s) }

func carriesHeader(w way) bool { return !w.unix && w.kind != kindStream }

// TestSameVerdictEverywhere (P26): who may come in does not depend on how.
func TestSameVerdictEverywhere(t *testing.T) {
	e := startEdge(t, func(c *gateway.Config) {
		c.Origins = []string{"https://good.test"}
		c.Admission.Deny = []string{"203.0.113.0/24"}
		c.Session.ExpiryWarning = 0
	})
	e.disp.judgeBy(strictJudge)
	origin := func(o string) func(*approach) {
		return func(a *approach) { a.header = map[string]string{"Origin": o} }
	}
	forwarded := func(addr string) func(*approach) {
		return func(a *approach) { *a = from("10.9.1.1"); a.header = map[string]string{"X-Forwarded-For": addr} }
	}
	with := func(a approach) func(*approach) { return func(b *approach) { *b = a } }
	plain := func(w way) bool { return !w.unix }
	rows := []who{
		{"no token", nil, `{"protocol":1}`, 4502, nil},
		{"an empty token", nil, token(""), 4502, nil},
		{"a bad token", nil, token("guess"), 4502, nil},
		{"an expired token", nil, token("expired"), 4507, nil},
		{"a banned user", nil, token("good:banned"), 4503, nil},
		{"no backend", nil, token("good:nobody answers"), 4007, nil},
		{"a good token", nil, token("good:alice"), 0, nil},
		{"a ticket of nobody's", nil, `{"protocol":1,"token":"good:alice","ticket":"x"}`, 4010, nil},
		{"another protocol", nil, `{"protocol":3,"token":"good:alice"}`, 4508, nil},
		{"a session of nobody's", nil, `{"protocol":1,"resume":{"session":"a","secret":"b","seq":0}}`, 4004, nil},
		{"the same with a token", nil, `{"protocol":1,"token":"good:alice","resume":{"session":"a","secret":"b","seq":0}}`, 0, nil},
		{"the same with a bad token", nil, `{"protocol":1,"token":"guess","resume":{"session":"a","secret":"b","seq":0}}`, 4502, nil},
		{"a listed Origin", origin("https://good.test"), token("good:alice"), 0, carriesHeader},
		{"a banned Origin", origin("https://evil.test"), token("good:alice"), 4503, carriesHeader},
		{"an Origin of nothing", origin("null"), token("good:alice"), 4503, carriesHeader},
		{"an allowed address", with(from("198.51.100.7")), token("good:alice"), 0, plain},
		{"a denied address", with(from("203.0.113.7")), token("good:alice"), 4503, plain},
		{"a denied address that asks for an Upgrade", func(a *approach) {
			*a = from("203.0.113.7")
			a.header = map[string]string{"Upgrade": "x"}
		}, token("good:alice"), 4503, func(w way) bool { return w.http() && !w.unix }},
		{"a denied address behind a proxy of calls", forwarded("203.0.113.9"), token("good:alice"), 4503, carriesHeader},
		{"a denied address mapped to IPv6 behind the same", forwarded("::ffff:203.0.113.9"), token("good:alice"), 4503, carriesHeader},
		{"an allowed address behind a proxy of calls", forwarded("198.51.100.9"), token("good:alice"), 0, carriesHeader},
	}
	cells := 0
	each(t, func(t *testing.T, w way) {
		for _, row := range rows {
			if row.only != nil && !row.only(w) {
				continue
			}
			cells++
			t.Run(row.name, func(t *testing.T) {
				a := approach{}
				if row.come != nil {
					row.come(&a)
				}
				c := e.come(t, w, a)
				if _, how := endedAlready(c); how.code == 0 {
					c.say(helloJSON(row.hello))
				}
				if row.want == 0 {
					if w := wantWelcome(t, c); w.UID != "alice" || w.Resumed {
						t.Errorf("WELCOME of %q, resumed %v", w.UID, w.Resumed)
					}
					return
				}
				if _, how := wantEnd(t, c, row.want); w.http() && how.status != httpStatus[row.want] {
					t.Errorf("HTTP %d, want %d", how.status, httpStatus[row.want])
				}
			})
		}
		cells += verdictsInside(t, e, w)
	})
	testenv.Figure(t, "P26", "%d cells of %d transports and %d cases: the same verdict everywhere", cells, len(ways), len(rows)+len(insideCases))
}

// endedAlready is what a WebSocket handshake that was refused has left.
func endedAlready(c visitor) (ok bool, how ending) {
	if w, is := c.(*wsClient); is && w.done {
		return true, w.over
	}
	return false, ending{}
}

// insideCase is something that a client which is in does, or one that comes back.
type insideCase struct {
	name string
	do   func(t *testing.T, e *edge, w way)
}

var insideCases = []insideCase{
	{"another user's refresh", func(t *testing.T, e *edge, w way) {
		c, _ := e.loginBy(t, w, approach{}, "good:alice")
		linger(e, c) // who has no call open learns from the next one that the bearer has ended: 401
		c.say(request(1, "$refresh", token("good:bob")))
		wantEnd(t, c, 4503)
	}},
	{"one's own refresh", func(t *testing.T, e *edge, w way) {
		c, _ := e.loginBy(t, w, approach{}, "good:alice")
		wantReply(t, c, 1, "$refresh", token("good:alice"), `{}`)
		wantReply(t, c, 2, "echo.say", `1`, `1`)
	}},
	{"a bad refresh", func(t *testing.T, e *edge, w way) {
		c, _ := e.loginBy(t, w, approach{}, "good:alice")
		c.say(request(1, "$refresh", token("guess")))
		if f, ok := c.hear(); !ok || f.Status != wire.StatusUnauthenticated || f.Flags != wire.FlagOriginGateway {
			t.Errorf("a bad refresh = %s %+v, want UNAUTHENTICATED of the gateway", describe(f), c.end())
		}
		wantReply(t, c, 2, "echo.say", `1`, `1`)
	}},
	{"a wrong secret", func(t *testing.T, e *edge, w way) {
		old, welcome := e.loginBy(t, w, approach{}, "good:alice")
		welcome.Secret = strings.Repeat("A", len(welcome.Secret))
		c := e.come(t, w, approach{})
		c.say(helloJSON(resumeOf(welcome, 0)))
		wantEnd(t, c, 4004)
		wantReply(t, old, 1, "echo.say", `1`, `1`)
	}},
	{"a seq beyond what was sent", func(t *testing.T, e *edge, w way) {
		_, welcome := e.loginBy(t, w, approach{}, "good:alice")
		c := e.come(t, w, approach{})
		c.say(helloJSON(resumeOf(welcome, 1)))
		wantEnd(t, c, 4500)
	}},
	{"the right secret", func(t *testing.T, e *edge, w way) {
		old, welcome := e.loginBy(t, w, approach{}, "good:alice")
		linger(e, old)
		c := e.come(t, w, approach{})
		c.say(helloJSON(resumeOf(welcome, 0)))
		if again := wantWelcome(t, c); !again.Resumed || again.Session != welcome.Session || again.Secret == welcome.Secret {
			t.Errorf("resumed as %+v", again)
		}
		wantEnd(t, old, 4009)
		wantReply(t, c, 1, "echo.say", `1`, `1`)
	}},
	{"a credential that has run out", func(t *testing.T, e *edge, w way) {
		c, welcome := e.loginBy(t, w, approach{}, "good:brief")
		linger(e, c)
		wantEnd(t, c, 4507)
		back := e.come(t, w, approach{})
		back.say(helloJSON(resumeOf(welcome, 0)))
		wantEnd(t, back, 4004) // 4507 has ended the session
	}},
}

func verdictsInside(t *testing.T, e *edge, w way) int {
	for _, c := range insideCases {
		t.Run(c.name, func(t *testing.T) { c.do(t, e, w) })
	}
	return len(insideCases)
}

// TestBearers: a call without a good bearer is 401, whatever it asks for, and the
// session goes on.
func TestBearers(t *testing.T) {
	e := startEdge(t)
	c, _ := e.loginBy(t, ways[8], approach{}, "u1")
	h := c.(*httpClient)
	good := h.bearer
	id, secret, _ := strings.Cut(good, ".")
	for _, bad := range []string{
		"", id, id + ".", "." + secret, id + "." + secret + "x", id + ".AAAAAAAAAAAAAAAAAAAAAA", secret + "." + id,
		"x." + secret, good + "." + secret, strings.Repeat("x", 5000) + "." + secret,
	} {
		for _, call := range [][2]string{{"GET", "/v1/poll"}, {"POST", "/v1/poll/frames"}, {"GET", "/v1/events"}, {"DELETE", "/v1/poll"}} {
			h.bearer = bad
			a := h.call(call[0], call[1], "[]")
			if a.err != nil || a.resp.StatusCode != http.StatusUnauthorized || a.resp.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s with bearer %.40q = %v %v, want 401", call, bad, a.resp, a.err)
			}
		}
	}
	h.bearer = good
	wantReply(t, c, 1, "echo.say", `1`, `1`)

	if a := h.call(http.MethodDelete, "/v1/poll", ""); a.err != nil || a.resp.StatusCode != http.StatusOK {
		t.Errorf("DELETE = %v %v", a.resp, a.err)
	}
	if a := h.call(http.MethodGet, "/v1/poll", ""); a.err != nil || a.resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a call of a session that has ended = %v %v, want 401", a.resp, a.err)
	}
	stream, welcome := e.loginBy(t, ways[0], approach{}, "u2")
	h.bearer = welcome.Session + "." + welcome.Secret
	if a := h.call(http.MethodGet, "/v1/poll", ""); a.err != nil || a.resp.StatusCode != http.StatusConflict {
		t.Errorf("a call of a session on another transport = %v %v, want 409", a.resp, a.err)
	}
	wantReply(t, stream, 1, "echo.say", `1`, `1`)
}

// TestCallsRefused: calls that are wrong by themselves have the statuses of
// docs/protocol.md section 6, and a session outlives those that say nothing of it.
func TestCallsRefused(t *testing.T) {
	e := startEdge(t)
	c, _ := e.loginBy(t, ways[8], approach{}, "u1")
	h := c.(*httpClient)
	bearer := "Authorization: Bearer " + h.bearer + "\r\n"
	tests := []struct {
		name, text, allow string
		want              int
	}{
		{"a method of nobody's", "PUT /v1/poll HTTP/1.1\r\nHost: h\r\n" + bearer + "Content-Length: 0\r\n\r\n", "GET, POST, DELETE", 405},
		{"GET of frames", "GET /v1/poll/frames HTTP/1.1\r\nHost: h\r\n" + bearer + "\r\n", "POST", 405},
		{"POST of events", "POST /v1/events HTTP/1.1\r\nHost: h\r\n" + bearer + "Content-Length: 0\r\n\r\n", "GET", 405},
		{"HEAD", "HEAD /v1/poll HTTP/1.1\r\nHost: h\r\n" + bearer + "\r\n", "GET, POST, DELETE", 405},
		{"a stream of HTTP/1.0", "GET /v1/events HTTP/1.0\r\n" + bearer + "\r\n", "", 505},
		{"a body that says too much", "POST /v1/poll HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n", "", 413},
		{"frames that say too much", "POST /v1/poll/frames HTTP/1.1\r\nHost: h\r\n" + bearer + "Content-Length: 9999999999\r\n\r\n", "", 413},
		{"chunks that say too much", "POST /v1/poll HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n", "", 413},
		{"a long head", "GET /v1/poll HTTP/1.1\r\nHost: h\r\na: " + strings.Repeat("x", 16<<10) + "\r\n\r\n", "", 431},
		{"two lengths", "POST /v1/poll HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "", 400},
		{"a length and chunks", "POST /v1/poll HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "", 400},
		{"no Host", "GET /v1/poll HTTP/1.1\r\n\r\n", "", 400},
	}
	for _, w := range []way{{}, {tls: true}} {
		for _, tt := range tests {
			resp := e.ask(t, w, approach{}, tt.text)
			if resp.StatusCode != tt.want || resp.Header.Get("Allow") != tt.allow || resp.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s = %d %v %q, want %d and Allow %q", tt.name, resp.StatusCode, resp.Header, resp.body, tt.want, tt.allow)
			}
		}
	}
	wantReply(t, c, 1, "echo.say", `1`, `1`)

	slow := make(chan answer, 1)
	go func() {
		slow <- h.call(http.MethodPost, "/v1/poll/frames?wait_ms=9000", `[{"type":"request","id":2,"command":"hold.on"}]`)
	}()
	eventually(t, "the request came", func() bool { return len(e.disp.of("u1").submitted()) == 2 })
	if a := h.call(http.MethodPost, "/v1/poll/frames", `[]`); a.err != nil || a.resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a second POST = %v %v, want 429", a.resp, a.err)
	}
	lanes := e.disp.of("u1")
	lanes.Answer("test", 2, 1, 0, []byte(`"held"`), false, "", 0)
	lanes.sink.Flush()
	if a := <-slow; a.err != nil || a.resp.StatusCode != http.StatusOK || !strings.Contains(string(a.body), `"held"`) {
		t.Errorf("the POST that waited = %v %q %v", a.resp, a.body, a.err)
	}
}

// TestNoAdmin (P26): an edge listener answers nothing but the protocol's paths.
func TestNoAdmin(t *testing.T) {
	e := startEdge(t)
	paths := []string{
		"/", "/metrics", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline", "/debug/vars", "/readyz", "/livez", "/healthz",
		"/api/", "/api/v1/sessions", "/v1/", "/v1/sessions", "/v1/config", "/v1/kick", "/v1/drain", "/v1/assign", "/v1/keys",
		"//metrics", "/v1/poll/../../metrics", "/v1/ws/../../debug/pprof/", "/%6detrics", "/metrics/", "/metrics?x=1", "/v1/poll/", "/v1/poll%2fframes",
		"http://gw.test/metrics", "http://127.0.0.1:7070/metrics", "*",
	}
	asked := 0
	for _, at := range []struct {
		w way
		a approach
	}{{way{}, approach{}}, {way{tls: true}, approach{}}, {way{}, from("198.51.100.1")}, {way{}, approach{door: unixDoor}}} {
		for _, path := range paths {
			for _, method := range []string{"GET", "POST", "HEAD", "OPTIONS", "DELETE"} {
				if path == "*" && method != "OPTIONS" {
					continue
				}
				asked++
				resp := e.ask(t, at.w, at.a, method+" "+path+" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
				if resp.StatusCode != http.StatusNotFound || resp.body != "" {
					t.Errorf("%s %s = %d %.100q, want 404 and nothing", method, path, resp.StatusCode, resp.body)
				}
			}
		}
	}
	testenv.Figure(t, "P26", "%d requests for %d paths on 4 edge listeners: all 404 without a body", asked, len(paths))
}

// TestCORS: a page that may call is told so, one that may not gets nothing.
func TestCORS(t *testing.T) {
	e := startEdge(t, func(c *gateway.Config) { c.Origins = []string{"https://good.test"} })
	preflight := func(path, origin string) spoken {
		return e.ask(t, way{tls: true}, approach{}, "OPTIONS "+path+" HTTP/1.1\r\nHost: gw.test\r\nOrigin: "+origin+
			"\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n\r\n")
	}
	for _, path := range []string{"/v1/poll", "/v1/poll/frames", "/v1/events"} {
		good, bad := preflight(path, "https://good.test"), preflight(path, "https://evil.test")
		if good.StatusCode != http.StatusNoContent || good.Header.Get("Access-Control-Allow-Origin") != "https://good.test" ||
			!strings.Contains(good.Header.Get("Access-Control-Allow-Headers"), "Authorization") || good.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("preflight of %s = %d %v", path, good.StatusCode, good.Header)
		}
		if bad.StatusCode != http.StatusForbidden || bad.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("preflight of %s from elsewhere = %d %v", path, bad.StatusCode, bad.Header)
		}
	}
	for _, header := range []string{"https://evil.test", "https://good.test.evil.test", "HTTPS://GOOD.TEST/", "https://good.test, https://evil.test"} {
		resp := e.ask(t, way{}, approach{}, "POST /v1/poll HTTP/1.1\r\nHost: gw.test\r\nOrigin: "+header+"\r\nContent-Length: 26\r\n\r\n"+`{"protocol":1,"token":"u"}`)
		if resp.StatusCode != http.StatusForbidden || resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("Origin %q = %d %v", header, resp.StatusCode, resp.Header)
		}
	}
	if n := e.srv.Sessions(); n != 0 {
		t.Errorf("%d sessions of banned pages", n)
	}
}

// TestUserLimitEverywhere: a user's connections are counted together, whatever
// they are, and one that takes a session over does not count twice nor not at all.
func TestUserLimitEverywhere(t *testing.T) {
	e := startEdge(t, func(c *gateway.Config) { c.Admission.ConnectionsPerUser = admission.Count{Max: 2} })
	each(t, func(t *testing.T, w way) {
		uid := "user of " + w.name
		first, welcome := e.loginBy(t, ways[0], approach{}, uid)
		by := w
		if w.http() { // it would have a place only while a call is open: TestUserLimitOfPoll
			by = ways[0]
		}
		second, _ := e.loginBy(t, by, approach{}, uid)
		third := e.come(t, w, approach{})
		third.say(hello(uid))
		wantRefused(t, w, third, 4011)

		if !w.http() {
			moved := e.come(t, w, approach{})
			moved.say(helloJSON(resumeOf(welcome, 0)))
			wantWelcome(t, moved)
			wantEnd(t, first, 4009)
			first.cut()
			for range 10 { // while the old connection goes, and afterwards
				third = e.come(t, w, approach{})
				third.say(hello(uid))
				wantRefused(t, w, third, 4011)
			}
		}
		second.say(wire.Frame{Type: wire.TypeClose, Code: wire.CloseNormal})
		wantEnd(t, second, 1000)
		eventually(t, "there is room again", func() bool {
			c := e.come(t, w, approach{})
			c.say(hello(uid))
			_, ok := c.hear()
			return ok
		})
	})
}

// TestUserLimitOfPoll: a session of long poll has a place only while a call is
// open. When others have taken it, the client is asked to come back later and can.
func TestUserLimitOfPoll(t *testing.T) {
	e := startEdge(t, func(c *gateway.Config) { c.Admission.ConnectionsPerUser = admission.Count{Max: 2} })
	post := func(body string) (int, string) { return e.call(t, "POST", "/v1/poll", "", body) }
	var bearers []string
	for range 6 { // each is left as soon as it has begun
		status, body := post(`{"protocol":1,"token":"u"}`)
		w, err := wire.ParseWelcome([]byte(body))
		if status != 200 || err != nil {
			t.Fatalf("POST = %d %s, want a session", status, body)
		}
		bearers = append(bearers, w.Session+"."+w.Secret)
	}
	live := e.come(t, ways[0], approach{})
	live.say(hello("u"))
	wantWelcome(t, live)
	waiting := make(chan int, 1)
	go func() {
		status, _ := e.call(t, "GET", "/v1/poll", bearers[0], "")
		waiting <- status
	}()
	eventually(t, "its call is open", func() bool { return e.metric("holdfast_gateway_sessions_cut", "") == 5 })
	if status, body := post(`{"protocol":1,"token":"u"}`); status != 429 {
		t.Errorf("a login without a place = %d %s, want 429", status, body)
	}
	if status, body := e.call(t, "GET", "/v1/poll", bearers[1], ""); status != 429 && !strings.Contains(body, `"code":4011`) {
		t.Errorf("a call without a place = %d %s, want 4011", status, body)
	}
	live.say(wire.Frame{Type: wire.TypeClose, Code: wire.CloseNormal})
	wantEnd(t, live, 1000)
	id, secret, _ := strings.Cut(bearers[1], ".")
	eventually(t, "it is resumed", func() bool {
		status, body := post(`{"protocol":1,"resume":{"session":"` + id + `","secret":"` + secret + `","seq":0}}`)
		return status == 200 && strings.Contains(body, `"resumed":true`)
	})
	e.end()
	if status := <-waiting; status != 200 {
		t.Errorf("the call that waited = %d, want 200", status)
	}
}

// call makes one HTTP call at the open door, with a bearer unless that is empty.
func (e *edge) call(t *testing.T, method, path, bearer, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+e.doors[openDoor].String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Errorf("%s %s: %v", method, path, err)
		return 0, ""
	}
	defer resp.Body.Close()
	read, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, string(read)
}
