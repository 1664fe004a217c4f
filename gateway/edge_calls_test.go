package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// httpClient speaks by long poll, or by a stream of events and POSTs.
type httpClient struct {
	t      *testing.T
	http   *http.Client
	base   string
	a      approach
	sse    bool
	ctx    context.Context
	cancel context.CancelFunc

	bearer  string // "" before WELCOME
	seq     uint64 // of the last push heard
	reply   uint32 // the request whose reply was heard last
	in      []wire.Frame
	waiting chan answer   // a GET that is under way
	stream  *bufio.Reader // nil before the first event
	body    io.Closer
	over    ending
	done    bool
}

type answer struct {
	resp *http.Response
	body []byte
	err  error
}

func newHTTPClient(t *testing.T, e *edge, w way, a approach) *httpClient {
	dial := func(tls bool) func(context.Context, string, string) (net.Conn, error) {
		return func(context.Context, string, string) (net.Conn, error) {
			return e.dialWay(way{tls: tls}, a)
		}
	}
	c := &httpClient{t: t, a: a, sse: w.kind == kindSSE, base: "http://gw.test"}
	if w.tls {
		c.base = "https://gw.test"
	}
	c.http = &http.Client{Transport: &http.Transport{DialContext: dial(false), DialTLSContext: dial(true)}}
	c.ctx, c.cancel = context.WithTimeout(context.Background(), 3*deadline)
	t.Cleanup(c.cut)
	return c
}

// call makes a call and returns its answer, which is nil when the connection
// ended without one.
func (c *httpClient) call(method, path, body string) answer {
	resp, err := c.open(method, path, body)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp: resp, body: b, err: err}
}

func (c *httpClient) open(method, path, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(c.ctx, method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if c.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+c.bearer)
	}
	for name, value := range c.a.header {
		req.Header.Set(name, value)
	}
	return c.http.Do(req)
}

// refused notes the answer of a call that was, and that nothing follows.
func (c *httpClient) refused(a answer) {
	c.done = true
	if a.resp == nil {
		return
	}
	a.resp.Body = io.NopCloser(bytes.NewReader(a.body))
	c.over = refusalOf(a.resp)
	if a.resp.Header.Get("Cache-Control") != "no-store" {
		c.t.Errorf("answer %d without Cache-Control: no-store", a.resp.StatusCode)
	}
}

func (c *httpClient) say(frames ...wire.Frame) {
	var list []string
	for i := range frames {
		if frames[i].Type == wire.TypeHello {
			c.hello(string(frames[i].Payload))
			continue
		}
		if frames[i].Type == wire.TypeRequest && frames[i].ID <= c.reply {
			c.reply = 0 // whoever asks again does not say that it has the answer
		}
		list = append(list, jsonOf(&frames[i]))
	}
	if len(list) > 0 {
		c.post("[" + strings.Join(list, ",") + "]")
	}
}

func (c *httpClient) sayBody(_ []byte, text string) {
	if c.bearer == "" {
		c.hello(text)
		return
	}
	c.post("[" + text + "]")
}

func (c *httpClient) hello(body string) {
	a := c.call(http.MethodPost, "/v1/poll"+c.a.query, body)
	if a.err != nil || a.resp.StatusCode != http.StatusOK {
		c.refused(a)
		return
	}
	f, err := frameOf(a.body)
	if err != nil {
		c.t.Fatalf("WELCOME %q: %v", a.body, err)
	}
	w, err := wire.ParseWelcome(a.body)
	if err != nil {
		c.t.Fatalf("WELCOME %q: %v", a.body, err)
	}
	if w.PollMS == 0 {
		c.t.Errorf("WELCOME %q without poll_ms", a.body)
	}
	c.bearer, c.in = w.Session+"."+w.Secret, append(c.in, f)
}

func (c *httpClient) post(body string) {
	a := c.call(http.MethodPost, "/v1/poll/frames", body)
	switch {
	case a.err == nil && a.resp.StatusCode == http.StatusAccepted:
		if string(a.body) != "[]" {
			c.t.Errorf("POST of frames = 202 %q, want []", a.body)
		}
	default:
		c.refused(a)
	}
}

// get begins a GET, which may wait.
func (c *httpClient) get() {
	path := fmt.Sprintf("/v1/poll?seq=%d", c.seq)
	if c.reply > 0 {
		path += fmt.Sprintf("&replies=%d", c.reply)
	}
	waiting := make(chan answer, 1)
	c.waiting = waiting
	go func() { waiting <- c.call(http.MethodGet, path, "") }()
}

func (c *httpClient) hear() (wire.Frame, bool) {
	for by := time.Now().Add(deadline); ; {
		if len(c.in) > 0 {
			f := c.in[0]
			c.in = c.in[1:]
			if f.Type == wire.TypeClose {
				c.done, c.over.code = true, f.Code
				c.in = nil
				continue
			}
			return f, true
		}
		switch {
		case c.done:
			return wire.Frame{}, false
		case time.Now().After(by):
			c.t.Errorf("nothing came for %v", deadline)
			return wire.Frame{}, false
		case c.sse:
			c.nextEvent()
		default:
			c.nextAnswer()
		}
	}
}

// nextAnswer takes the frames of a GET.
func (c *httpClient) nextAnswer() {
	if c.waiting == nil {
		c.get()
	}
	a := <-c.waiting
	c.waiting = nil
	if a.err != nil || a.resp.StatusCode != http.StatusOK {
		c.refused(a)
		return
	}
	var list []json.RawMessage
	if err := json.Unmarshal(a.body, &list); err != nil {
		c.t.Fatalf("GET = %q: %v", a.body, err)
	}
	for _, b := range list {
		c.take(b)
	}
}

// take notes a frame, unless it has been heard before: what was not named yet
// comes again.
func (c *httpClient) take(b []byte) {
	f, err := frameOf(b)
	if err != nil {
		c.t.Fatalf("frame %q: %v", b, err)
	}
	switch {
	case f.Type == wire.TypePush && f.Seq > 0:
		if f.Seq <= c.seq {
			return
		}
		c.seq = f.Seq
	case f.Type == wire.TypeReply:
		c.reply = f.ID
	}
	c.in = append(c.in, f)
}

// listen opens the stream.
func (c *httpClient) listen() {
	resp, err := c.open(http.MethodGet, fmt.Sprintf("/v1/events?seq=%d", c.seq), "")
	if err != nil {
		c.done = true
		return
	}
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		c.refused(answer{resp: resp, body: b})
		return
	}
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		c.t.Errorf("a stream of type %q", got)
	}
	c.stream, c.body = bufio.NewReader(resp.Body), resp.Body
}

// nextEvent takes the next event of the stream.
func (c *httpClient) nextEvent() {
	if c.stream == nil {
		c.listen()
		return
	}
	var data []string
	for {
		line, err := c.stream.ReadString('\n')
		if err != nil {
			c.done = true
			return
		}
		line = strings.TrimSuffix(line, "\n")
		if value, ok := strings.CutPrefix(line, "data: "); ok {
			data = append(data, value)
		} else if line == "" && data != nil {
			c.take([]byte(strings.Join(data, "\n")))
			return
		}
	}
}

func (c *httpClient) end() ending { return c.over }

func (c *httpClient) cut() {
	c.cancel()
	if c.body != nil {
		c.body.Close()
	}
	if c.waiting != nil {
		<-c.waiting
		c.waiting = nil
	}
	c.http.CloseIdleConnections()
	c.done = true
}

// linger has a call under way at which the gateway can answer, as a client that
// is connected has. On a stream of frames that is always so.
func linger(e *edge, c visitor) {
	h, ok := c.(*httpClient)
	if !ok {
		return
	}
	before := e.metric("holdfast_gateway_poll_calls_open", "")
	if h.sse {
		if h.stream == nil {
			h.listen()
		}
		return
	}
	if h.waiting == nil {
		h.get()
		eventually(h.t, "the GET waits or has its answer", func() bool {
			return len(h.waiting) > 0 || e.metric("holdfast_gateway_poll_calls_open", "") > before
		})
	}
}

// spoken is an answer that has been read.
type spoken struct {
	*http.Response
	body string
}

// ask sends text as it is and reads the answer.
func (e *edge) ask(t *testing.T, w way, a approach, text string) spoken {
	t.Helper()
	c, err := e.dialWay(w, a)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(deadline))
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(text, " ")
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%.40q: %v", text, err)
	}
	defer resp.Body.Close()
	var body []byte
	if resp.StatusCode != http.StatusSwitchingProtocols && resp.Header.Get("Content-Type") != "text/event-stream" {
		body, _ = io.ReadAll(resp.Body)
	}
	return spoken{resp, string(body)}
}
