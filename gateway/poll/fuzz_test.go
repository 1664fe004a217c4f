package poll

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// FuzzServe: whatever a call says, with a right bearer or a wrong one, it is
// answered once or waits, with a status of docs/protocol.md, in frames that a
// client can read; the session is over exactly when CLOSE says so, and no call
// is left open when it ends.
func FuzzServe(f *testing.F) {
	f.Add("POST", "/v1/poll", "", "", `{"protocol":1}`)
	f.Add("GET", "/v1/poll", "seq=0&replies=1", "right", "")
	f.Add("GET", "/v1/events", "seq=1", "right", "")
	f.Add("POST", "/v1/poll/frames", "wait_ms=10", "right", `[{"type":"request","id":1,"command":"now"},{"type":"ack","seq":1}]`)
	f.Add("POST", "/v1/poll/frames", "wait_ms=10", "right", `[{"type":"request","id":1,"command":"later","payload_base64":"AA=="},{"type":"close","code":4001}]`)
	f.Add("DELETE", "/v1/poll", "", "Bearer a.b", "")
	f.Add("PUT", "/v1/poll", "", "", "")
	f.Fuzz(func(t *testing.T, method, path, query, auth, body string) {
		r := newRealm(t)
		c := &client{t: t, realm: r, got: map[uint32]string{}}
		c.hello(false)
		s := r.lanes[c.session].s
		k := newCall(method, path, "", body)
		k.req.Path, k.req.RawQuery = path, query
		if auth = strings.ReplaceAll(auth, "right", "Bearer "+c.bearer()); auth != "" {
			k.req.Header.Set("Authorization", auth)
		}
		r.srv.Serve(k)
		r.pass(20 * time.Second)
		if !k.streaming {
			if k.answers != 1 || !slices.Contains([]int{200, 202, 400, 401, 404, 405, 410, 413, 429}, k.status) {
				t.Fatalf("%d answers, %d %s", k.answers, k.status, k.body)
			}
			frames := framesOf([]byte(k.body))
			if len(frames) > 0 && frames[0].Type == wire.TypePing {
				t.Fatalf("unreadable: %s", k.body)
			}
			if k.status >= 400 && (len(frames) != 1 || frames[0].Type != wire.TypeClose || !frames[0].Code.Named()) {
				t.Fatalf("refused with %d %s", k.status, k.body)
			}
		}
		s.Close(wire.CloseKicked, "the end")
		again := newCall("GET", "/v1/poll", c.bearer(), "")
		r.srv.Serve(again)
		if again.status != 401 {
			t.Fatalf("after the end a GET is answered %d %s", again.status, again.body)
		}
		if k.streaming && !k.ended {
			t.Fatal("a stream is open after the end of its session")
		}
	})
}
