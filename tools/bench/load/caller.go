package load

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// callReadBytes is the read buffer of a call that waits: there are thousands.
const callReadBytes = 1 << 10

// caller is one client of long poll or SSE.
type caller struct {
	set   *Calls
	index int

	// Set by open.
	session string // and its secret, as a bearer
	conn    net.Conn
	in      *bufio.Reader
	replied chan wire.Frame // gets the reply to the one request
	leaving atomic.Bool     // the end of the waiting call is no error

	asked bool   // of EchoOnce
	last  uint32 // the reply to be named by the next call; of wait
}

// open logs in and makes the call that waits.
func (c *caller) open(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, c.set.cfg.Timeout)
	defer cancel()
	if c.conn, err = c.dial(ctx); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = c.conn.Close() // the first error is the one to tell
		}
	}()
	c.in = bufio.NewReaderSize(c.conn, callReadBytes)
	hello, err := c.hello()
	if err != nil {
		return &callError{KindToken, err}
	}
	status, body, err := exchange(c.conn, c.in, c.request(http.MethodPost, "/v1/poll", hello, false))
	if err != nil {
		return err
	}
	f, err := wire.ParseJSON(body, wire.FromGateway)
	switch {
	case err != nil || status != http.StatusOK && f.Type != wire.TypeClose:
		return &callError{KindFrame, fmt.Errorf("status %d: %.100s", status, body)}
	case f.Type == wire.TypeClose:
		return &callError{closeKind(f.Code), errors.New("refused")}
	}
	w, err := wire.ParseWelcome(f.Payload)
	if err != nil {
		return &callError{KindFrame, err}
	}
	c.session, c.replied = w.Session+"."+w.Secret, make(chan wire.Frame, 1)
	if err := c.conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	return c.ask()
}

func (c *caller) dial(ctx context.Context) (net.Conn, error) {
	to, err := resolve(c.set.cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	if from, ok := to.source(c.index, c.set.cfg.Sources).(*unix.SockaddrInet4); ok {
		d.LocalAddr = &net.TCPAddr{IP: net.IP(from.Addr[:])}
	}
	_, address := split(c.set.cfg.Endpoint)
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, &callError{KindConnect, err}
	}
	if by, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(by); err != nil {
			return nil, err
		}
	}
	if c.set.via.tls {
		conn = tls.Client(conn, clientTLS)
	}
	return conn, nil
}

func (c *caller) hello() ([]byte, error) {
	h := wire.Hello{Protocol: wire.ProtocolVersion}
	if c.set.cfg.Tokens != nil {
		token, err := c.set.cfg.Tokens(c.index)
		if err != nil {
			return nil, err
		}
		h.Token, h.HasToken = token, true
	}
	return wire.AppendHello(nil, &h)
}

// request is the bytes of one request.
func (c *caller) request(method, path string, body []byte, last bool) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: bench\r\n", method, path)
	if c.session != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", c.session)
	}
	if last {
		b.WriteString("Connection: close\r\n")
	}
	if body != nil {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}

// exchange sends one request and reads the answer to it.
func exchange(conn io.Writer, in *bufio.Reader, request []byte) (status int, body []byte, err error) {
	if _, err := conn.Write(request); err != nil {
		return 0, nil, err
	}
	return answer(in)
}

func answer(in *bufio.Reader) (status int, body []byte, err error) {
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return 0, nil, err
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, 2*frameBytesMax))
	return resp.StatusCode, body, errors.Join(err, resp.Body.Close())
}

// ask makes the call that waits, which names the last reply.
func (c *caller) ask() error {
	path := "/v1/poll"
	if c.set.via.sse {
		path = "/v1/events"
	}
	if c.last > 0 {
		path += fmt.Sprintf("?replies=%d", c.last)
	}
	_, err := c.conn.Write(c.request(http.MethodGet, path, nil, false))
	return err
}

// wait reads what the waiting calls bring until the set is closed or the
// connection is.
func (c *caller) wait() {
	stop := context.AfterFunc(c.set.ctx, func() { _ = c.conn.Close() }) // ends the reads below
	defer stop()
	read := c.polls
	if c.set.via.sse {
		read = c.events
	}
	err := read()
	_ = c.conn.Close() // it is over either way
	c.set.mu.Lock()
	c.set.open--
	c.set.mu.Unlock()
	if c.set.ctx.Err() == nil && !c.leaving.Load() {
		c.set.fail(err)
	}
}

// polls goes from one long poll to the next.
func (c *caller) polls() error {
	for {
		status, body, err := answer(c.in)
		if err != nil {
			return err
		}
		if status != http.StatusOK {
			return &callError{KindFrame, fmt.Errorf("status %d: %.100s", status, body)}
		}
		frames, err := wire.ParseJSONArray(nil, body, wire.FromGateway)
		if err != nil {
			return &callError{KindFrame, err}
		}
		if len(frames) == 0 {
			c.set.beat()
		}
		for i := range frames {
			if err := c.take(frames[i]); err != nil {
				return err
			}
		}
		if err := c.ask(); err != nil {
			return err
		}
	}
}

// events reads a stream.
func (c *caller) events() error {
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return &callError{KindFrame, fmt.Errorf("status %d", resp.StatusCode)}
	}
	lines := bufio.NewReaderSize(resp.Body, callReadBytes)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return err
		}
		if line[0] == ':' {
			c.set.beat()
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		f, err := wire.ParseJSON([]byte(data), wire.FromGateway)
		if err != nil {
			return &callError{KindFrame, err}
		}
		if err := c.take(f); err != nil {
			return err
		}
	}
}

// take handles one frame.
func (c *caller) take(f wire.Frame) error {
	switch f.Type {
	case wire.TypeReply:
		c.last = f.ID
		f.Payload = bytes.Clone(f.Payload)
		select {
		case c.replied <- f:
		default:
			return &callError{KindUnknownID, errors.New("more than one reply")}
		}
	case wire.TypeClose:
		return &callError{closeKind(f.Code), errors.New("closed")}
	}
	return nil
}

// once makes a call on a connection of its own.
func (c *caller) once(ctx context.Context, method, path string, body []byte) (status int, answer []byte, err error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return 0, nil, err
	}
	defer conn.Close()
	return exchange(conn, bufio.NewReaderSize(conn, callReadBytes), c.request(method, path, body, true))
}

// echo sends one request and waits for its reply.
func (c *caller) echo(ctx context.Context, size int) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	payload := []byte(`"` + strings.Repeat("x", max(size-2, 0)) + `"`)
	body, err := json.Marshal([]map[string]any{{"type": "request", "id": 1, "command": echoCommand, "payload": json.RawMessage(payload)}})
	if err != nil {
		return err
	}
	status, got, err := c.once(ctx, http.MethodPost, "/v1/poll/frames", body)
	if err != nil {
		return err
	}
	if status != http.StatusAccepted {
		return &callError{KindFrame, fmt.Errorf("status %d: %.100s", status, got)}
	}
	select {
	case f := <-c.replied:
		switch {
		case f.Status != wire.StatusOK:
			return &callError{statusKind(f.Status), errors.New("refused")}
		case !bytes.Equal(f.Payload, payload):
			return &callError{KindPayload, fmt.Errorf("%.100s", f.Payload)}
		}
		return nil
	case <-ctx.Done():
		return &callError{KindUnanswered, ctx.Err()}
	}
}

// leave ends the session, and with it the call that waits.
func (c *caller) leave(ctx context.Context) error {
	if c.session == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	c.leaving.Store(true)
	_ = c.conn.Close() // wait, which is reading, ends quietly
	status, body, err := c.once(ctx, http.MethodDelete, "/v1/poll", nil)
	if err == nil && status != http.StatusOK {
		err = &callError{KindFrame, fmt.Errorf("status %d: %.100s", status, body)}
	}
	return err
}
