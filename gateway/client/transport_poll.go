package client

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

const (
	// pollHoldDefault is how long a GET is held by a gateway that does not say.
	pollHoldDefault = 15 * time.Second
	// pollHoldMax bounds what a gateway may say. A network that has forgotten a
	// connection is noticed only when the answer to its GET is overdue.
	pollHoldMax = 2 * time.Minute
	// pollGrace is what an answer may take beyond that.
	pollGrace = 10 * time.Second
	// pollFramesMax bounds the frames of one POST.
	pollFramesMax = 64
)

// pollTransport carries frames by HTTP calls: the reading goroutine has one GET
// under way, the writing one at most one POST. What was received is acknowledged
// by the GET that follows, so ACK has no frame here, and PING and PONG do not
// apply.
type pollTransport struct {
	calls *pollClient

	// static after welcome
	to      target
	dialer  *dialer
	hold    time.Duration
	bodyMax int // bytes of a body that the gateway takes; 0 before welcome

	hello []byte // the WELCOME, from Write to Read

	// owned by the reading goroutine
	frames  []wire.Frame // of the last GET, not given out yet; they alias its body
	seq     uint64       // of the last push given out
	replies uint32       // id of the last reply that a GET has brought
}

func dialPoll(_ context.Context, d *dialer, to target) (transport, error) {
	return &pollTransport{calls: newPollClient(d, to), to: to, dialer: d}, nil
}

// welcome takes up the session: its bearer, and the gateway's own address where a
// balancer may stand in front of several.
func (t *pollTransport) welcome(w *wire.Welcome, seq uint64) {
	if to := t.to.back(w.ReturnTo); to != t.to {
		t.calls.close()
		t.calls = newPollClient(t.dialer, to)
	}
	t.calls.bearer = w.Session + "." + w.Secret
	t.hold = pollHoldDefault
	if w.PollMS > 0 {
		t.hold = min(time.Duration(w.PollMS)*time.Millisecond, pollHoldMax)
	}
	t.bodyMax, t.seq = w.MaxFrame, seq
}

// lengthBytes is the size of the length that Append puts before each frame, for
// Write to know where one ends.
const lengthBytes = 4

func (t *pollTransport) Append(dst []byte, f *wire.Frame) ([]byte, error) {
	switch {
	case f.Type == wire.TypeAck, f.Type == wire.TypePing, f.Type == wire.TypePong:
		return dst, nil // GET says it, or nobody asked
	case f.Type == wire.TypeClose && f.Code == wire.CloseNormal:
		return dst, nil // DELETE says it
	}
	within := 0
	if t.bodyMax > 0 {
		within = t.bodyMax - len("[]")
	}
	out, err := appendJSONWithin(append(dst, 0, 0, 0, 0), f, within)
	if err != nil {
		return dst, err
	}
	binary.BigEndian.PutUint32(out[len(dst):], uint32(len(out)-len(dst)-lengthBytes))
	return out, nil
}

// Write makes a POST of b, or as many as their size asks for, one after the
// other. timeout bounds each try of each. Its error may be a *CloseError.
func (t *pollTransport) Write(b []byte, timeout time.Duration) error {
	if t.bodyMax == 0 {
		return t.greet(b[lengthBytes:], timeout)
	}
	for len(b) > 0 {
		var body []byte
		body, b = t.array(b)
		if _, err := t.calls.call(http.MethodPost, pollPath+"/frames", body, timeout); err != nil {
			return err
		}
	}
	return nil
}

// array makes the body of one POST of the frames at the front of b.
func (t *pollTransport) array(b []byte) (body, rest []byte) {
	body = make([]byte, 0, min(len(b)+1, t.bodyMax))
	for n := 0; n < pollFramesMax && len(b) > 0; n++ {
		size := int(binary.BigEndian.Uint32(b))
		if n > 0 && len(body)+size+2 > t.bodyMax {
			break
		}
		body = append(body, "[,"[min(n, 1)])
		body = append(body, b[lengthBytes:lengthBytes+size]...)
		b = b[lengthBytes+size:]
	}
	return append(body, ']'), b
}

// greet makes the call that opens the session, once: the supervisor knows better
// where to try again.
func (t *pollTransport) greet(hello []byte, timeout time.Duration) error {
	a, err := t.calls.once(http.MethodPost, pollPath, hello, timeout)
	switch {
	case err != nil:
		return err
	case a.status != http.StatusOK:
		return a.refusal()
	}
	t.hello = a.body
	return nil
}

// Read gives out what the last GET has brought, then makes the next. How long
// the gateway may be silent is a matter of each GET here, so silence is not used.
func (t *pollTransport) Read(time.Duration) (wire.Frame, error) {
	if b := t.hello; b != nil {
		t.hello = nil
		return wire.Frame{Type: wire.TypeWelcome, Payload: b}, nil
	}
	if t.calls.bearer == "" {
		return wire.Frame{}, net.ErrClosed // HELLO was refused, as Write has said
	}
	for len(t.frames) == 0 {
		if err := t.get(); err != nil {
			return wire.Frame{}, err
		}
	}
	f := t.frames[0]
	t.frames = t.frames[1:]
	if f.Type == wire.TypePush && f.Seq != 0 {
		t.seq = max(t.seq, f.Seq)
	}
	return f, nil
}

// get makes one GET. It names the last push and the last reply that have come;
// of the replies only what a GET has brought, since naming one acknowledges all
// that were sent before it.
func (t *pollTransport) get() error {
	path := pollPath + "?seq=" + strconv.FormatUint(t.seq, 10)
	if t.replies != 0 {
		path += "&replies=" + strconv.FormatUint(uint64(t.replies), 10)
	}
	a, err := t.calls.call(http.MethodGet, path, nil, t.hold+pollGrace)
	if err != nil {
		return err
	}
	frames, err := wire.ParseJSONArray(nil, a.body, wire.FromGateway)
	if err != nil {
		return fmt.Errorf("GET %s: %w", pollPath, err)
	}
	for i := range frames {
		if frames[i].Type == wire.TypeReply {
			t.replies = frames[i].ID
		}
	}
	t.frames = frames
	return nil
}

// CloseWrite ends the session. It is not tried twice: a session that was
// forgotten ends by itself.
func (t *pollTransport) CloseWrite() error {
	_, err := t.calls.once(http.MethodDelete, pollPath, nil, lingerTime)
	return err
}

func (t *pollTransport) Close() error {
	t.calls.close()
	return nil
}
