package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/gateway/client"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// browserTransports are the ways of docs/browser.js.
var browserTransports = []string{"ws", "ws-json", "ws-binary", "sse", "poll"}

// pageLog is what a session of the page has seen.
type pageLog struct {
	States    []string
	Pushes    []int // those with a number
	Transient []int
	Replies   []int
	Errors    []string
	Welcome   struct{ UID, Session string }
}

// TestBrowser has a page in a real browser hold a session by each transport, at the
// same time, without TLS and with it. Each asks, hears from another user, and is cut
// again and again while it works: no request runs twice, no push is lost, and the
// sessions stay the same.
func TestBrowser(t *testing.T) {
	e := startBrowserEdge(t)
	b := startChromium(t, e.cert)
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			b := &browser{t: t, ctx: b.ctx}
			b.visit(e.page)
			b.call(nil, "open", scheme+"://"+e.Proxy.Addr, scheme, browserTransports)
			checkPageAsks(b)
			checkPageCut(t, e, b, scheme)
			b.call(nil, "close")
			awaitMetric(t, e.admin, "holdfast_gateway_sessions_open 0") // each was ended, not left
		})
	}
}

// TestBrowserComesTooLate keeps a page away until its sessions are over, by a network
// that is gone and by a computer that sleeps between two calls: each begins a new one
// by itself.
func TestBrowserComesTooLate(t *testing.T) {
	e := startBrowserEdge(t, "session.resume_ttl=1s")
	b := startChromium(t, e.cert)
	b.visit(e.page)
	b.call(nil, "open", "https://"+e.Proxy.Addr, "late", browserTransports)
	b.call(nil, "hold")
	// The call that the gateway holds is answered, and the next does not come.
	if _, err := e.room.Pusher().Broadcast(t.Context(), kit.Push{To: kit.ToAll(), Command: "msg.new", Payload: []byte(`{"n":1}`)}); err != nil {
		t.Fatal(err)
	}
	awaitPage(b, func(log pageLog) bool { return len(log.Transient) == 1 }, "a push")
	e.Proxy.Refuse(true)
	e.Proxy.Cut()
	awaitMetric(t, e.admin, "holdfast_gateway_sessions_open 0")
	awaitMetric(t, e.admin, "holdfast_gateway_sessions_cut 0")
	e.Proxy.Refuse(false)
	b.call(nil, "release")
	logs := awaitPage(b, func(log pageLog) bool { return log.States[len(log.States)-1] == "connected" && len(log.States) > 1 }, "a new session")
	for transport, log := range logs {
		if slices.Contains(log.States, "resumed") || slices.Contains(log.States, "ended") {
			t.Errorf("%s: states %v, want a new session after the cut", transport, log.States)
		}
	}
	checkPageAsks(b)
}

// TestBrowserPageIsLeft leaves the page: a browser closes what it had with the code
// 1001 or none at all, which leaves every session to be resumed.
func TestBrowserPageIsLeft(t *testing.T) {
	e := startBrowserEdge(t)
	b := startChromium(t, e.cert)
	b.visit(e.page)
	b.call(nil, "open", "https://"+e.Proxy.Addr, "left", browserTransports)
	b.visit(e.page)
	awaitAdmin(t, e.admin, "/metrics", func(_ int, body string) bool {
		return int(sample(body, "holdfast_gateway_sessions_cut")) == len(browserTransports)
	}, "a cut of each session")
	e.room.mu.Lock()
	defer e.room.mu.Unlock()
	if n := e.room.events[kit.Ended]; n != 0 {
		t.Errorf("%d sessions have ended with the page", n)
	}
}

// checkPageAsks has the page send requests of each kind.
func checkPageAsks(b *browser) {
	b.t.Helper()
	type answer struct {
		Value   any
		Status  int
		Gateway bool
		Payload any
	}
	payload := map[string]any{"text": "grüße, 你好 \u2028\n\"", "list": []any{1.5, nil, true}}
	want, _ := json.Marshal(payload)
	for _, tt := range []struct {
		command string
		payload any
		ok      func(answer) bool
		want    string
	}{
		{"msg.say", payload, func(a answer) bool { got, _ := json.Marshal(a.Value); return string(got) == string(want) }, string(want)},
		{"msg.fail", 7, func(a answer) bool { return a.Status == int(kit.FailedPrecondition) && !a.Gateway && a.Payload == 7.0 },
			"the backend's status 9 with its payload"},
		{"other.say", 7, func(a answer) bool { return a.Status == int(kit.Unimplemented) && a.Gateway }, "the gateway's status 12"},
	} {
		var answers []answer
		b.call(&answers, "ask", tt.command, tt.payload)
		for i, a := range answers {
			if !tt.ok(a) {
				b.t.Errorf("%s: %s answers %+v, want %s", browserTransports[i], tt.command, a, tt.want)
			}
		}
	}
}

// The work that the page has while it is cut.
const (
	pageRequests = 50
	pagePushes   = 90
	pageCuts     = 3
)

// checkPageCut has another user push to the page, which works, while the network is
// cut.
func checkPageCut(t *testing.T, e *browserEdge, b *browser, user string) {
	t.Helper()
	var before map[string]pageLog
	b.call(&before, "report")
	b.call(nil, "work", pageRequests, 20)
	other, err := client.Dial(t.Context(), client.Config{Endpoints: []string{e.endpoint}, Token: "other", OnPush: client.Discard})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tell := func(n int, reliable bool) {
		for _, transport := range browserTransports {
			payload, _ := json.Marshal(map[string]any{"n": n, "to": user + "-" + transport, "reliable": reliable})
			if _, err := other.Request(t.Context(), "msg.to", payload); err != nil {
				t.Fatalf("msg.to %s: %v", payload, err)
			}
		}
	}
	tell(0, false)
	awaitPage(b, func(log pageLog) bool { return len(log.Transient) == 1 }, "the push without a number")
	for n := range pagePushes {
		if n%(pagePushes/pageCuts) == 10 {
			e.cut(b, n > 10)
		}
		tell(n, true)
	}
	after := awaitPage(b, func(log pageLog) bool {
		return len(log.Replies)+len(log.Errors) >= pageRequests && len(log.Pushes) >= pagePushes
	}, fmt.Sprintf("%d replies and %d pushes", pageRequests, pagePushes))
	resumes := 0
	for transport, log := range after {
		checkPageLog(t, transport, log)
		if log.Welcome.Session != before[transport].Welcome.Session {
			t.Errorf("%s: another session after the cuts", transport)
		}
		resumes += e.checkRanOnce(t, log)
	}
	testenv.Figure(t, "browser", "%s: %d requests and %d pushes in %d sessions of a page cut %d times: %d resumes, 0 run twice, 0 lost",
		user, pageRequests*len(after), pagePushes*len(after), len(after), pageCuts, resumes)
}

// cut breaks all connections of the page once it has them. A browser makes a call
// again by itself when the connection that it had kept for it breaks. gone also
// refuses new connections, until the page has noticed.
func (e *browserEdge) cut(b *browser, gone bool) {
	b.t.Helper()
	isCut := func(log pageLog) bool { return log.States[len(log.States)-1] == "cut" }
	awaitPage(b, func(log pageLog) bool { return !isCut(log) }, "a connection")
	e.Proxy.Refuse(gone)
	e.Proxy.Cut()
	if gone {
		awaitPage(b, isCut, "noticed the cut")
		e.Proxy.Refuse(false)
	}
}

// checkPageLog checks that everything came once and in order.
func checkPageLog(t *testing.T, transport string, log pageLog) {
	t.Helper()
	for n, got := range log.Pushes {
		if got != n {
			t.Errorf("%s: push %d is number %d: %v", transport, n, got, log.Pushes)
			break
		}
	}
	slices.Sort(log.Replies)
	if len(log.Errors) > 0 || len(log.Replies) != pageRequests || len(slices.Compact(log.Replies)) != pageRequests {
		t.Errorf("%s: replies to %v and failures %v, want a reply to each of %d", transport, log.Replies, log.Errors, pageRequests)
	}
	if len(log.Pushes) != pagePushes || !slices.Equal(log.Transient, []int{0}) {
		t.Errorf("%s: %d pushes with a number, want %d; without %v, want [0]", transport, len(log.Pushes), pagePushes, log.Transient)
	}
}

// checkRanOnce checks what the backend has seen of a user and returns how often the
// page has resumed.
func (e *browserEdge) checkRanOnce(t *testing.T, log pageLog) (resumes int) {
	t.Helper()
	uid := log.Welcome.UID
	e.room.mu.Lock()
	defer e.room.mu.Unlock()
	for n := range pageRequests {
		if times := e.room.ran[uid][n]; times != 1 {
			t.Errorf("%s: request %d ran %d times", uid, n, times)
		}
	}
	for _, state := range log.States[1:] {
		if state == "resumed" {
			resumes++
		} else if state != "cut" {
			t.Errorf("%s: states %v, want only cuts and resumes after the first", uid, log.States)
		}
	}
	if resumes < pageCuts-1 { // the first may go unnoticed
		t.Errorf("%s: %d resumes after %d cuts", uid, resumes, pageCuts)
	}
	return resumes
}

// awaitPage waits until each of the page's sessions is so.
func awaitPage(b *browser, ok func(pageLog) bool, what string) map[string]pageLog {
	b.t.Helper()
	var logs map[string]pageLog
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		logs = nil
		b.call(&logs, "report")
		all := len(logs) == len(browserTransports)
		for _, log := range logs {
			all = all && ok(log)
		}
		if all {
			return logs
		}
	}
	text, _ := json.MarshalIndent(logs, "", " ")
	b.t.Fatalf("the page's sessions never had %s: %s", what, text)
	return nil
}
