package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// polled is a gateway of which a test writes each answer, over net.Pipe, so that
// it works inside a synctest bubble.
type polled struct {
	t     *testing.T
	calls chan *pollCalled
	conns chan net.Conn
	done  chan struct{}
}

// pollCalled is one HTTP call that waits for its answer.
type pollCalled struct {
	what   string // method and path with query
	bearer string
	body   string
	answer chan func(http.ResponseWriter)
}

func (g *polled) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case g.conns <- far:
		return near, nil
	case <-g.done:
		return nil, net.ErrClosed
	}
}

func (g *polled) Accept() (net.Conn, error) {
	select {
	case c := <-g.conns:
		return c, nil
	case <-g.done:
		return nil, net.ErrClosed
	}
}
func (g *polled) Close() error   { return nil }
func (g *polled) Addr() net.Addr { return &net.TCPAddr{} }

func (g *polled) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	call := &pollCalled{
		what: r.Method + " " + r.URL.RequestURI(), bearer: r.Header.Get("Authorization"), body: string(body),
		answer: make(chan func(http.ResponseWriter), 1),
	}
	g.calls <- call
	select {
	case f := <-call.answer:
		f(w)
	case <-r.Context().Done():
	case <-g.done:
	}
}

// expect waits for a call that begins so.
func (g *polled) expect(what string) *pollCalled {
	g.t.Helper()
	select {
	case c := <-g.calls:
		if !strings.HasPrefix(c.what, what) {
			g.t.Fatalf("client calls %s, want %s", c.what, what)
		}
		return c
	case <-time.After(time.Hour):
		g.t.Fatalf("no call within an hour, want %s", what)
		return nil
	}
}

// with answers a call.
func (c *pollCalled) with(status int, body string, fields ...string) {
	c.answer <- func(w http.ResponseWriter) {
		for i := 0; i < len(fields); i += 2 {
			w.Header().Set(fields[i], fields[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// lost breaks the connection of a call instead of answering.
func (c *pollCalled) lost() { c.answer <- func(http.ResponseWriter) { panic(http.ErrAbortHandler) } }

const pollWelcome = `{"session":"s1","secret":"x1","uid":"1001","resumed":%v,"heartbeat_ms":25000,"heartbeat_timeout_ms":8000,` +
	`"request_timeout_ms":10000,"window":64,"max_frame":300,"resume_ttl_ms":60000,"poll_ms":15000}`

// inPoll runs test in a bubble with a client that is connected by long poll; its
// first GET waits for an answer.
func inPoll(t *testing.T, test func(t *testing.T, g *polled, c *Client, get *pollCalled)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := &polled{t: t, calls: make(chan *pollCalled, 16), conns: make(chan net.Conn), done: make(chan struct{})}
		web := &http.Server{Handler: g}
		var serving sync.WaitGroup
		serving.Go(func() { web.Serve(g) })
		dialed := make(chan *Client, 1)
		go func() {
			c, err := Dial(t.Context(), Config{Endpoints: []string{"poll://gw1:80"}, Token: "tok", Dial: g.dial})
			if err != nil {
				t.Errorf("Dial = %v", err)
			}
			dialed <- c
		}()
		hello := g.expect("POST /v1/poll")
		if hello.bearer != "" || !strings.Contains(hello.body, `"token":"tok"`) {
			t.Errorf("HELLO %q with bearer %q", hello.body, hello.bearer)
		}
		hello.with(200, fmt.Sprintf(pollWelcome, false))
		c := <-dialed
		if c == nil {
			t.FailNow()
		}
		t.Cleanup(func() {
			close(g.done)
			c.Close()
			web.Close()
			serving.Wait()
			time.Sleep(time.Minute) // net/http's goroutines notice
		})
		test(t, g, c, g.expect("GET /v1/poll?seq=0"))
	})
}

// TestPollNames: each GET names the last push and the last reply that a GET has
// brought, and carries the bearer; requests travel as arrays.
func TestPollNames(t *testing.T) {
	inPoll(t, func(t *testing.T, g *polled, c *Client, get *pollCalled) {
		if get.what != "GET /v1/poll?seq=0" || get.bearer != "Bearer s1.x1" {
			t.Errorf("first GET is %s with %q", get.what, get.bearer)
		}
		first := request(t.Context(), c, `{"a":1}`)
		post := g.expect("POST /v1/poll/frames")
		if want := `[{"type":"request","id":1,"command":"test.echo","payload":{"a":1}}]`; post.body != want {
			t.Errorf("POST %s, want %s", post.body, want)
		}
		second := request(t.Context(), c, "")
		synctest.Wait()
		if len(g.calls) > 0 {
			t.Errorf("%s beside a POST under way", (<-g.calls).what)
		}
		post.with(202, "[]")
		g.expect("POST /v1/poll/frames").with(202, "[]")
		get.with(200, `[{"type":"push","seq":1,"command":"a.b"},{"type":"reply","id":2,"status":0},{"type":"reply","id":1,"status":0,"payload":"x"}]`)
		if a := <-first; a.payload != `"x"` {
			t.Errorf("first = %q, %v", a.payload, a.err)
		}
		if a := <-second; a.err != nil {
			t.Errorf("second = %v", a.err)
		}
		get = g.expect("GET")
		if want := "GET /v1/poll?seq=1&replies=1"; get.what != want {
			t.Errorf("next is %s, want %s", get.what, want)
		}
		get.with(200, "[]")
		if get = g.expect("GET"); get.what != "GET /v1/poll?seq=1&replies=1" {
			t.Errorf("next is %s, want the same again", get.what)
		}
		get.lost()
		if get = g.expect("GET"); get.what != "GET /v1/poll?seq=1&replies=1" {
			t.Errorf("after a lost answer %s, want the same again", get.what)
		}
	})
}

// TestPollRepeats: a POST is made again, as it was, when its answer is lost or
// the gateway is busy, after as long as it says.
func TestPollRepeats(t *testing.T) {
	inPoll(t, func(t *testing.T, g *polled, c *Client, _ *pollCalled) {
		request(t.Context(), c, "1")
		post := g.expect("POST /v1/poll/frames")
		first := post.body
		post.lost()
		post = g.expect("POST /v1/poll/frames")
		began := time.Now()
		post.with(429, `{"type":"close","code":4011,"reconnect_after_ms":1500}`, "Retry-After", "2")
		post = g.expect("POST /v1/poll/frames")
		if post.body != first || time.Since(began) != 1500*time.Millisecond {
			t.Errorf("POST %s after %v, want the first again after 1.5s", post.body, time.Since(began))
		}
		post.with(202, "[]")
	})
}

// TestPollGivesUp: a third failure of a call ends the connection, and the session
// is resumed.
func TestPollGivesUp(t *testing.T) {
	inPoll(t, func(t *testing.T, g *polled, c *Client, get *pollCalled) {
		for range pollTriesMax - 1 {
			get.with(502, "a proxy's words")
			get = g.expect("GET")
		}
		get.with(500, "")
		hello := g.expect("POST /v1/poll")
		if want := `"resume":{"session":"s1","secret":"x1","seq":0}`; !strings.Contains(hello.body, want) {
			t.Errorf("HELLO %s, want %s in it", hello.body, want)
		}
		hello.with(200, fmt.Sprintf(pollWelcome, true))
		g.expect("GET").with(200, "[]")
	})
}

// TestPollForgotten: a bearer that is none any more is not the end of the client:
// it asks for the session, and takes a new one.
func TestPollForgotten(t *testing.T) {
	for body, status := range map[string]int{
		`{"type":"close","code":1000}`: 401, `{"type":"close","code":4004}`: 410, "gone": 410, "who are you?": 401,
	} {
		inPoll(t, func(t *testing.T, g *polled, c *Client, get *pollCalled) {
			get.with(status, body)
			hello := g.expect("POST /v1/poll")
			if !strings.Contains(hello.body, `"resume"`) {
				t.Errorf("after %d HELLO %s, want to resume", status, hello.body)
			}
			hello.with(200, fmt.Sprintf(pollWelcome, false))
			g.expect("GET")
			if c.Session().Resumed {
				t.Error("a new session counts as resumed")
			}
		})
	}
}

// TestPollRefusedForGood: the CLOSE object decides, in a GET and in a POST, and a
// close frame too.
func TestPollRefusedForGood(t *testing.T) {
	for name, refuse := range map[string]func(g *polled, c *Client, get *pollCalled){
		"GET": func(_ *polled, _ *Client, get *pollCalled) { get.with(403, `{"type":"close","code":4504}`) },
		"POST": func(g *polled, c *Client, _ *pollCalled) {
			request(context.Background(), c, "1")
			g.expect("POST").with(403, `{"type":"close","code":4504}`)
		},
		"frame": func(_ *polled, _ *Client, get *pollCalled) { get.with(200, `[{"type":"close","code":4504}]`) },
	} {
		inPoll(t, func(t *testing.T, g *polled, c *Client, get *pollCalled) {
			refuse(g, c, get)
			<-c.Done()
			var closed *CloseError
			if !errors.As(c.Err(), &closed) || closed.Code != wire.CloseKicked {
				t.Errorf("%s: Err() = %v, want 4504", name, c.Err())
			}
		})
	}
}

// TestPollClose ends the session by DELETE.
func TestPollClose(t *testing.T) {
	inPoll(t, func(t *testing.T, g *polled, c *Client, get *pollCalled) {
		closed := make(chan struct{})
		go func() { c.Close(); close(closed) }()
		if d := g.expect("DELETE /v1/poll"); d.bearer != "Bearer s1.x1" {
			t.Errorf("DELETE with %q", d.bearer)
		} else {
			d.with(200, `{"type":"close","code":1000}`)
		}
		get.with(401, `{"type":"close","code":1000}`)
		<-closed
	})
}

// TestPollFrameTooLarge: what would not fit a body is not sent at all.
func TestPollFrameTooLarge(t *testing.T) {
	inPoll(t, func(t *testing.T, g *polled, c *Client, _ *pollCalled) {
		if _, err := c.Request(t.Context(), "a.b", []byte(strings.Repeat("\x80", 200))); !NotRun(err) {
			t.Errorf("Request of 200 bytes that are 268 in base64 = %v, want ErrNotSent", err)
		}
	})
}

// TestPollArrays: what is written together travels in as few bodies as the bound
// on their size allows.
func TestPollArrays(t *testing.T) {
	tr := &pollTransport{bodyMax: 200}
	var b []byte
	var want []uint32
	for id := uint32(1); id <= 9; id++ {
		var err error
		f := wire.Frame{Type: wire.TypeRequest, ID: id, Command: []byte("a.b"), Payload: []byte(`"0123456789"`)}
		if b, err = tr.Append(b, &f); err != nil {
			t.Fatal(err)
		}
		b, _ = tr.Append(b, &wire.Frame{Type: wire.TypeAck, Seq: 7})
		want = append(want, id)
	}
	var got []uint32
	for bodies := 0; len(b) > 0; bodies++ {
		var body []byte
		body, b = tr.array(b)
		frames, err := wire.ParseJSONArray(nil, body, wire.FromClient)
		if err != nil || len(body) > tr.bodyMax || len(frames) < 2 && len(b) > 0 {
			t.Errorf("body %s: %v", body, err)
		}
		for _, f := range frames {
			got = append(got, f.ID)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("ids %v, want %v", got, want)
	}
}

// TestRetryAfter reads what may stand in the field.
func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "2": 2 * time.Second, "-1": 0, "1.5": 0, "999999": retryAfterMax, "99999999999999999999": 0,
		"Wed, 21 Oct 2015 07:28:00 GMT": 0,
	} {
		a := &httpAnswer{header: http.Header{"Retry-After": {value}}}
		if got := a.retryAfter(); got != want {
			t.Errorf("Retry-After %q = %v, want %v", value, got, want)
		}
	}
}
