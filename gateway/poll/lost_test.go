package poll

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// client is a client as docs/protocol.md wants it, on a network that loses
// answers.
type client struct {
	t     fatal
	realm *realm

	session, secret string
	seq             uint64            // of the last push
	named           uint32            // the last reply that a GET or stream brought, 0 for none
	lastID          uint32            // of the requests
	lacks           []uint32          // requests without a reply
	unsure          bool              // a POST was lost: what it lacks is sent again first
	got             map[uint32]string // replies by request
	pushes          int

	get    *fakeCall // that waits
	stream *fakeCall
	read   int // how much of stream has been read
	post   *fakeCall
	over   wire.CloseCode // the connection was closed with it
}

func (c *client) bearer() string { return c.session + "." + c.secret }

func helloOf(c *client) string {
	if c.session == "" {
		return `{"protocol":1,"token":""}`
	}
	return fmt.Sprintf(`{"protocol":1,"resume":{"session":%q,"secret":%q,"seq":%d}}`, c.session, c.secret, c.seq)
}

func digits(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// hello logs in, or resumes.
func (c *client) hello(lose bool) {
	k := newCall("POST", "/v1/poll", "", helloOf(c))
	k.deaf = lose && c.session != ""
	c.realm.srv.Serve(k)
	if k.deaf {
		return
	}
	w, err := wire.ParseWelcome([]byte(k.body))
	if k.status != 200 || err != nil {
		c.t.Fatalf("HELLO = %d %s", k.status, k.body)
	}
	if lose && c.session != "" { // it was sent, and lost
		return
	}
	c.session, c.secret = w.Session, w.Secret
	c.over, c.named = 0, 0
	c.get, c.stream, c.post = nil, nil, nil
	c.unsure = len(c.lacks) > 0
}

// take looks at the frames that one answer brought.
func (c *client) take(frames []wire.Frame, ordered bool) {
	for _, f := range frames {
		switch f.Type {
		case wire.TypePush:
			if f.Seq > c.seq+1 {
				c.t.Fatalf("push %d behind push %d", f.Seq, c.seq)
			}
			if f.Seq == c.seq+1 {
				c.seq++
				c.pushes++
			}
		case wire.TypeReply:
			if ordered {
				c.named = f.ID
			}
			if f.Status != 0 || string(f.Payload) != fmt.Sprint(f.ID) {
				c.t.Fatalf("reply %d = %s %s", f.ID, f.Status, f.Payload)
			}
			if _, ok := c.got[f.ID]; !ok {
				c.got[f.ID] = string(f.Payload)
				c.lacks = slices.DeleteFunc(c.lacks, func(id uint32) bool { return id == f.ID })
			}
		case wire.TypeClose:
			c.over = f.Code
		case wire.TypePing:
			c.t.Fatalf("unreadable: %s", f.Payload)
		}
	}
}

// refused takes note of a call that was not served.
func (c *client) refused(k *fakeCall) {
	f := framesOf([]byte(k.body))[0]
	if f.Code.EndsSession() || f.Type != wire.TypeClose {
		c.t.Fatalf("%s %s?%s = %d %s", k.req.Method, k.req.Path, k.req.RawQuery, k.status, k.body)
	}
	if f.Code == wire.CloseRateLimited { // an abandoned POST is under way
		c.unsure = true
		return
	}
	c.over = f.Code
}

// look takes what has been answered.
func (c *client) look() {
	if k := c.get; k != nil && k.answers > 0 {
		c.get = nil
		c.answered(k, true)
	}
	if k := c.post; k != nil && k.answers > 0 {
		c.post = nil
		c.answered(k, false)
	}
	if k := c.stream; k != nil {
		c.readStream(k)
		if k.ended || k.answers > 0 {
			c.stream = nil
		}
		if k.answers > 0 {
			c.refused(k)
		}
	}
}

func (c *client) answered(k *fakeCall, ordered bool) {
	switch {
	case k.deaf:
		c.unsure = c.unsure || !ordered
	case k.status == 200:
		c.take(framesOf([]byte(k.body)), ordered)
	case k.status != 202:
		c.refused(k)
	}
}

func (c *client) readStream(k *fakeCall) {
	text := k.text.String()[c.read:]
	end := strings.LastIndex(text, "\n\n") + 2
	if end < 2 {
		return
	}
	c.read += end
	for _, event := range strings.Split(text[:end-2], "\n\n") {
		var data []string
		for _, line := range strings.Split(event, "\n") {
			if d, ok := strings.CutPrefix(line, "data: "); ok {
				data = append(data, d)
			}
		}
		if data != nil {
			c.take(framesOf([]byte(strings.Join(data, "\n"))), true)
		}
	}
}

func (c *client) query() string {
	q := fmt.Sprintf("?seq=%d", c.seq)
	if c.named != 0 {
		q += fmt.Sprintf("&replies=%d", c.named)
	}
	return q
}

// abandon is a connection that was lost without the gateway knowing.
func (c *client) abandon() {
	c.unsure = c.unsure || c.post != nil
	c.get, c.stream, c.post = nil, nil, nil
}

func (c *client) serve(k *fakeCall, lose bool) *fakeCall {
	c.realm.srv.Serve(k)
	if lose {
		k.lose() // before the answer, or after it: then it does not reach us either
	}
	return k
}

func (c *client) poll(lose bool) {
	k := c.serve(newCall("GET", "/v1/poll"+c.query(), c.bearer(), ""), lose)
	c.look() // what an older one was answered with
	if !lose {
		c.get, c.stream = k, nil
	}
	c.look()
}

func (c *client) open(lose bool) {
	k := c.serve(newCall("GET", "/v1/events"+c.query(), c.bearer(), ""), lose)
	c.look()
	if !lose {
		c.get, c.stream, c.read = nil, k, 0
	}
	c.look()
}

// send sends what it lacks again if it is unsure, else new requests. It waits for
// replies only when they are all that it lacks: what a POST brings goes ahead of
// what the poll still has, and the session keeps the last replies, not the first.
func (c *client) send(n int, command, query string, lose bool) {
	if c.post != nil {
		return
	}
	if len(c.lacks) > 0 && !c.unsure {
		query = ""
	}
	ids := slices.Clone(c.lacks)
	if !c.unsure {
		ids = nil
		for range min(n, c.realm.window-len(c.lacks)) {
			c.lastID++
			ids = append(ids, c.lastID)
			c.lacks = append(c.lacks, c.lastID)
		}
	}
	frames := []string{fmt.Sprintf(`{"type":"ack","seq":%d}`, c.seq)}
	for _, id := range ids {
		frames = append(frames, fmt.Sprintf(`{"type":"request","id":%d,"command":%q}`, id, command))
	}
	k := c.serve(newCall("POST", "/v1/poll/frames"+query, c.bearer(), "["+strings.Join(frames, ",")+"]"), lose)
	c.unsure = lose
	if !lose {
		c.post = k
	}
	c.look()
}

// TestNothingIsLost: whatever answers are lost, on polls, streams, POSTs and
// resumes, every request is run once and has its reply, every push comes, in
// order.
func TestNothingIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRealm(t)
		c := &client{t: t, realm: r, got: map[uint32]string{}}
		c.hello(false)
		l := r.lanes[c.session]
		sent := uint64(0)
		lose := func() bool { return rapid.IntRange(0, 3).Draw(t, "lost") == 0 }
		push := func() {
			l.s.Push(&session.Push{Command: []byte("a.b"), Payload: []byte("1"), Reliable: true})
			l.s.Flush()
			sent++
			c.look()
		}
		t.Repeat(map[string]func(*rapid.T){
			"push": func(*rapid.T) { push() },
			"answer": func(t *rapid.T) {
				if n := l.waiting(); n > 0 {
					l.answer(rapid.IntRange(0, n-1).Draw(t, "n"))
				}
				c.look()
			},
			"poll":   func(*rapid.T) { c.poll(lose()) },
			"stream": func(*rapid.T) { c.open(lose()) },
			"slow stream": func(*rapid.T) {
				if c.stream != nil {
					c.stream.slow = true
				}
			},
			"send": func(t *rapid.T) {
				command := rapid.SampledFrom([]string{"now", "later"}).Draw(t, "command")
				query := rapid.SampledFrom([]string{"", "?wait_ms=100"}).Draw(t, "query")
				c.send(rapid.IntRange(1, 4).Draw(t, "n"), command, query, lose())
			},
			"lose": func(*rapid.T) {
				for _, k := range []*fakeCall{c.get, c.stream, c.post} {
					if k != nil {
						k.lose()
					}
				}
				c.abandon()
			},
			"abandon": func(*rapid.T) { c.abandon() },
			"time": func(t *rapid.T) {
				r.pass(time.Duration(rapid.IntRange(1, 2000).Draw(t, "ms")) * time.Millisecond)
				c.look()
			},
			"resume": func(*rapid.T) { c.hello(lose()) },
			"close":  func(*rapid.T) { l.s.Close(wire.CloseLifetime, "test"); c.look() },
			"": func(t *rapid.T) {
				if c.over != 0 {
					c.hello(false)
				}
			},
		})
		for i := 0; len(c.lacks) > 0 || c.seq < sent; i++ {
			if i > 20 {
				t.Fatalf("without faults it still lacks %v and pushes %d to %d", c.lacks, c.seq+1, sent)
			}
			for l.waiting() > 0 {
				l.answer(0)
			}
			c.poll(false)
			r.pass(16 * time.Second)
			c.look()
			if c.over != 0 {
				c.hello(false)
			}
			if c.unsure {
				c.send(0, "now", "", false)
			}
		}
		if l.end != "" || uint64(c.pushes) != sent || len(c.got) != int(c.lastID) {
			t.Fatalf("end %q, %d pushes of %d, %d replies of %d", l.end, c.pushes, sent, len(c.got), c.lastID)
		}
	})
}
