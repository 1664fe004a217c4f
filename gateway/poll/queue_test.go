package poll

import (
	"strings"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

func pushOf(seq uint64, bytes int) wire.Frame {
	return wire.Frame{Type: wire.TypePush, Seq: seq, Command: []byte("a.b"), Payload: []byte(`"` + strings.Repeat("x", bytes) + `"`)}
}

// TestQueueBound: what has not been sent is bounded, replies have more room, and
// a frame that finds nothing waiting is taken.
func TestQueueBound(t *testing.T) {
	w := begin(t)
	c := w.r.conn
	w.r.max = 99
	if !c.Queue(pushOf(1, 5000)) {
		t.Error("the first frame must be taken whatever its size")
	}
	if c.Queue(pushOf(2, 1)) {
		t.Error("a push was taken beyond the bound")
	}
	if !c.Queue(wire.Frame{Type: wire.TypeReply, ID: 1}) {
		t.Error("a reply must be taken beyond the pushes' bound")
	}
	if c.Queue(wire.Frame{Type: wire.TypeReply, ID: 2, Payload: make([]byte, 2000)}) {
		t.Error("a reply was taken beyond its bound")
	}
	if !c.Queue(wire.Frame{Type: wire.TypeReply, ID: 1, Payload: make([]byte, 2000)}) {
		t.Error("a reply that is there already needs no room")
	}
	w.get("") // lost: it is kept, but no longer waits
	if !c.Queue(pushOf(2, 1)) {
		t.Error("what has been sent must not count as waiting")
	}
	if got := c.Queued(); got < 5000 {
		t.Errorf("Queued = %d, want what has been sent as well", got)
	}
}

// TestQueueAll: a resume brings all that is kept, which then leaves room for what
// is new; anything else is judged as one.
func TestQueueAll(t *testing.T) {
	w := begin(t)
	c := w.r.conn
	w.r.max = 99
	if !c.QueueAll([]wire.Frame{pushOf(1, 3000), pushOf(2, 3000)}) {
		t.Error("QueueAll must take everything when nothing waits")
	}
	if !c.Queue(pushOf(3, 1500)) {
		t.Error("what a resume brings must not count")
	}
	if c.QueueAll([]wire.Frame{pushOf(4, 1000), pushOf(5, 2000)}) {
		t.Error("QueueAll took more than the bound while something waited")
	}
	if !c.QueueAll([]wire.Frame{pushOf(4, 100), pushOf(5, 200)}) {
		t.Error("QueueAll refused what fits")
	}
	k := w.get("")
	w.said(k, "200 push 1 a.b") // an answer is bounded as well
	w.said(w.get("?seq=1"), "200 push 2 a.b")
	w.said(w.get("?seq=2"), "200 push 3 a.b, push 4 a.b, push 5 a.b")
	// WELCOME and what is kept come as one on a resume.
	w = newWorld(t)
	w.login = func(r *fakeReceiver) {
		r.conn.QueueAll([]wire.Frame{welcomeFrame(4), pushOf(6, 10)})
		r.conn.Flush()
	}
	w.said(w.call("POST", "/v1/poll", `{"protocol":1}`), "200 welcome")
	w.said(w.get(""), "200 push 6 a.b")
}

// TestQueueTransient: the policies of slow clients.
func TestQueueTransient(t *testing.T) {
	encoded := func(command string) []byte {
		b, err := wire.AppendJSON(nil, &wire.Frame{Type: wire.TypePush, Command: []byte(command), Payload: []byte(`"` + strings.Repeat("x", 900) + `"`)})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	w := begin(t)
	c := w.r.conn
	for _, tt := range []struct {
		command, key string
		until        int64
		dropOldest   bool
		want         bool
	}{
		{"a", "", 0, true, true},
		{"b", "k", 0, true, true},
		{"c", "", w.now + 1000, false, true},
		{"d", "", 0, false, true},
		{"e", "", 0, false, false}, // full
		{"f", "k", 0, false, true}, // in the place of b
		{"g", "", 0, true, true},   // a goes
	} {
		if got := c.QueueTransient(encoded(tt.command), tt.key, tt.until, tt.dropOldest); got != tt.want {
			t.Errorf("QueueTransient(%s) = %v, want %v", tt.command, got, tt.want)
		}
	}
	w.pass(2 * time.Second) // c is worth nothing any more
	w.said(w.get(""), "200 push 0 d, push 0 f, push 0 g")
	w.said(w.get(""), "waits") // they are sent once
	b := encoded("h")
	c.QueueTransient(b, "", 0, false)
	clear(b)
	c.Flush()
	w.said(w.get(""), "waits")

	w = begin(t)
	w.r.conn.Queue(pushOf(1, 4096))
	if w.r.conn.QueueTransient(encoded("a"), "", 0, true) {
		t.Error("a transient push was taken that nothing can make room for")
	}
}

// TestRepliesAreShed: of the replies that have been sent at most window are kept,
// so a client that never names them costs no more.
func TestRepliesAreShed(t *testing.T) {
	w := begin(t)
	for id := range uint32(9) {
		k := w.post("?wait_ms=1000", `[{"type":"request","id":`+digits(id+1001)+`,"command":"a"}]`)
		w.reply(id + 1001)
		w.said(k, "200 reply "+digits(id+1001))
	}
	w.said(w.get(""), "200 reply 1006, reply 1007, reply 1008, reply 1009")
}

// TestFrameThatDoesNotEncode is left out: it is a mistake of ours, and the rest
// matters more.
func TestFrameThatDoesNotEncode(t *testing.T) {
	w := begin(t)
	w.queue(wire.Frame{Type: wire.TypePush, Command: []byte("NO")})
	w.push(1)
	w.said(w.get(""), "200 push 1 a.b")
}
