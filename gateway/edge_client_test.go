package gateway_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// The clients of these tests share nothing with the gateway but the binary form
// of frames: WebSocket, JSON and HTTP are written again, or the standard
// library's.

// streamClient speaks frames on a byte stream.
type streamClient struct {
	t    *testing.T
	c    net.Conn
	in   []byte
	over ending
	done bool
}

func (s *streamClient) say(frames ...wire.Frame) {
	var b []byte
	for i := range frames {
		b, _ = wire.AppendStream(b, &frames[i])
	}
	s.write(b)
}

func (s *streamClient) sayBody(b []byte, _ string) { s.write(append(length(uint32(len(b))), b...)) }

// write ignores that a gateway which has refused takes nothing any more.
func (s *streamClient) write(b []byte) {
	_ = s.c.SetWriteDeadline(time.Now().Add(deadline))
	_, _ = s.c.Write(b)
}

func (s *streamClient) hear() (wire.Frame, bool) {
	_ = s.c.SetReadDeadline(time.Now().Add(deadline))
	buf := make([]byte, 4<<10)
	for !s.done {
		f, size, err := wire.ParseStream(s.in, 1<<20, wire.FromGateway)
		if err == nil {
			f.Payload, f.Command, f.Reason = bytes.Clone(f.Payload), bytes.Clone(f.Command), bytes.Clone(f.Reason)
			s.in = s.in[size:]
			if f.Type == wire.TypeClose {
				s.over.code = f.Code
				continue
			}
			s.over.waits = s.over.waits || tellsToWait(f)
			return f, true
		}
		if !errors.Is(err, wire.ErrIncomplete) {
			s.t.Errorf("the gateway sent no frame: %v", err)
			return wire.Frame{}, false
		}
		n, err := s.c.Read(buf)
		s.in = append(s.in, buf[:n]...)
		if err != nil {
			s.done = true
			if isTimeout(err) {
				s.t.Errorf("nothing came for %v", deadline)
			}
		}
	}
	return wire.Frame{}, false
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func (s *streamClient) end() ending { return s.over }

func (s *streamClient) cut() { s.c.Close() }

func tellsToWait(f wire.Frame) bool {
	if f.Type != wire.TypeGoAway {
		return false
	}
	g, err := wire.ParseGoAway(f.Payload)
	return err == nil && g.ReconnectAfterMS > 0
}

// wsClient speaks messages on a WebSocket.
type wsClient struct {
	t    *testing.T
	c    net.Conn
	r    *bufio.Reader
	text bool
	over ending
	done bool
}

// newWSClient shakes hands. A gateway that refuses is heard to do so.
func newWSClient(t *testing.T, c net.Conn, text bool, a approach) *wsClient {
	w := &wsClient{t: t, c: c, text: text, r: bufio.NewReader(c)}
	protocol := "holdfast.v1"
	if text {
		protocol += ".json"
	}
	resp, key := w.handshake(a, "Sec-WebSocket-Protocol: "+protocol+"\r\n")
	if resp == nil {
		return w
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		w.done, w.over = true, refusalOf(resp)
		return w
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if got := resp.Header.Get("Sec-WebSocket-Accept"); got != base64.StdEncoding.EncodeToString(sum[:]) {
		t.Errorf("Sec-WebSocket-Accept = %q", got)
	}
	if got := resp.Header.Get("Sec-WebSocket-Protocol"); got != protocol {
		t.Errorf("Sec-WebSocket-Protocol = %q, want %q", got, protocol)
	}
	return w
}

// handshake asks for a WebSocket and returns the answer, nil when there is none.
func (w *wsClient) handshake(a approach, fields string) (*http.Response, string) {
	key := base64.StdEncoding.EncodeToString(random(16))
	for name, value := range a.header {
		fields += name + ": " + value + "\r\n"
	}
	w.write([]byte("GET /v1/ws" + a.query + " HTTP/1.1\r\nHost: gw.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + "\r\n" + fields + "\r\n"))
	_ = w.c.SetReadDeadline(time.Now().Add(deadline))
	resp, err := http.ReadResponse(w.r, &http.Request{Method: http.MethodGet})
	if err != nil {
		w.done = true
		if isTimeout(err) {
			w.t.Errorf("no answer to the handshake for %v", deadline)
		}
		return nil, ""
	}
	return resp, key
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// refusalOf reads the CLOSE object of an answer.
func refusalOf(resp *http.Response) ending {
	e := ending{status: resp.StatusCode, header: resp.Header, waits: resp.Header.Get("Retry-After") != ""}
	body, _ := io.ReadAll(resp.Body)
	var f jsonFrame
	if json.Unmarshal(body, &f) == nil && f.Type == "close" {
		e.code = wire.CloseCode(f.Code)
	}
	return e
}

func (w *wsClient) write(b []byte) {
	_ = w.c.SetWriteDeadline(time.Now().Add(deadline))
	_, _ = w.c.Write(b)
}

func (w *wsClient) say(frames ...wire.Frame) {
	for i := range frames {
		b, _ := wire.AppendStream(nil, &frames[i])
		w.sayBody(b[4:], jsonOf(&frames[i]))
	}
}

func (w *wsClient) sayBody(b []byte, text string) {
	if w.text {
		w.write(wsFrame(0x81, []byte(text)))
		return
	}
	w.write(wsFrame(0x82, b))
}

// wsFrame is a masked frame; first is its first byte.
func wsFrame(first byte, payload []byte) []byte {
	b := append(wsHead(first, uint64(len(payload)), 0x80), 1, 2, 3, 4)
	for i, c := range payload {
		b = append(b, c^byte(i%4+1))
	}
	return b
}

// wsHead is the head of a frame that says n bytes, without the mask's key.
func wsHead(first byte, n uint64, masked byte) []byte {
	switch {
	case n < 126:
		return []byte{first, masked | byte(n)}
	case n < 1<<16:
		return binary.BigEndian.AppendUint16([]byte{first, masked | 126}, uint16(n))
	default:
		return binary.BigEndian.AppendUint64([]byte{first, masked | 127}, n)
	}
}

func (w *wsClient) hear() (wire.Frame, bool) {
	_ = w.c.SetReadDeadline(time.Now().Add(deadline))
	for !w.done {
		opcode, payload, err := readWSFrame(w.r)
		if err != nil {
			w.done = true
			if isTimeout(err) {
				w.t.Errorf("nothing came for %v", deadline)
			}
			return wire.Frame{}, false
		}
		switch opcode {
		case 8:
			if len(payload) >= 2 {
				w.over.ws = binary.BigEndian.Uint16(payload)
			}
		case 1, 2:
			f, ok := w.frame(opcode, payload)
			if ok {
				return f, true
			}
		}
	}
	return wire.Frame{}, false
}

// frame is what a message holds; CLOSE is noted.
func (w *wsClient) frame(opcode byte, payload []byte) (f wire.Frame, ok bool) {
	if text := opcode == 1; text != w.text {
		w.t.Errorf("a message with opcode %d", opcode)
		return f, false
	}
	var err error
	if w.text {
		f, err = frameOf(payload)
	} else {
		f, err = wire.Parse(payload, wire.FromGateway)
	}
	if err != nil {
		w.t.Errorf("message %q: %v", payload, err)
		return f, false
	}
	if f.Type == wire.TypeClose {
		w.over.code = f.Code
		return f, false
	}
	w.over.waits = w.over.waits || tellsToWait(f)
	return f, true
}

// readWSFrame reads a frame of the server, which is whole and not masked.
func readWSFrame(r *bufio.Reader) (opcode byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	if head[0]&0xF0 != 0x80 || head[1]&0x80 != 0 {
		return 0, nil, fmt.Errorf("a frame that begins with % x", head)
	}
	n := uint64(head[1])
	if wide := map[uint64]int{126: 2, 127: 8}[n]; wide > 0 {
		long := make([]byte, 8)
		if _, err := io.ReadFull(r, long[8-wide:]); err != nil {
			return 0, nil, err
		}
		n = binary.BigEndian.Uint64(long)
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(r, payload)
	return head[0] & 0x0F, payload, err
}

func (w *wsClient) end() ending { return w.over }

func (w *wsClient) cut() { w.c.Close() }

// jsonFrame is every member of every JSON frame.
type jsonFrame struct {
	Type          string          `json:"type"`
	ID            uint32          `json:"id"`
	Seq           uint64          `json:"seq"`
	Command       string          `json:"command"`
	Status        uint8           `json:"status"`
	Gateway       any             `json:"gateway"` // of a reply true, of WELCOME a name
	Payload       json.RawMessage `json:"payload"`
	PayloadBase64 []byte          `json:"payload_base64"`
	Data          []byte          `json:"data"`
	Code          uint16          `json:"code"`
	Reason        string          `json:"reason"`
}

var frameTypes = map[string]wire.Type{
	"welcome": wire.TypeWelcome, "reply": wire.TypeReply, "push": wire.TypePush, "ping": wire.TypePing,
	"pong": wire.TypePong, "goaway": wire.TypeGoAway, "close": wire.TypeClose,
}

// frameOf reads a JSON frame of the gateway. In WELCOME and GOAWAY the payload is
// the object.
func frameOf(b []byte) (wire.Frame, error) {
	var j jsonFrame
	if err := json.Unmarshal(b, &j); err != nil {
		return wire.Frame{}, err
	}
	t, ok := frameTypes[j.Type]
	if !ok {
		return wire.Frame{}, fmt.Errorf("a frame of type %q", j.Type)
	}
	f := wire.Frame{
		Type: t, ID: j.ID, Seq: j.Seq, Status: wire.Status(j.Status), Code: wire.CloseCode(j.Code),
		Command: []byte(j.Command), Reason: []byte(j.Reason), Payload: j.Payload,
	}
	switch {
	case j.Gateway == true:
		f.Flags = wire.FlagOriginGateway
	case j.PayloadBase64 != nil:
		f.Payload = j.PayloadBase64
	}
	switch t {
	case wire.TypeWelcome, wire.TypeGoAway:
		f.Payload = b
	case wire.TypePing, wire.TypePong:
		f.Payload = j.Data
	}
	return f, nil
}

// jsonOf is a client's frame as JSON.
func jsonOf(f *wire.Frame) string {
	m := map[string]any{"type": f.Type.String()}
	switch f.Type {
	case wire.TypeHello:
		return `{"type":"hello",` + string(bytes.TrimPrefix(f.Payload, []byte("{")))
	case wire.TypeRequest:
		m["id"], m["command"] = f.ID, string(f.Command)
		if json.Valid(f.Payload) {
			m["payload"] = json.RawMessage(f.Payload)
		} else if len(f.Payload) > 0 {
			m["payload_base64"] = f.Payload
		}
	case wire.TypeAck:
		m["seq"] = f.Seq
	case wire.TypePing, wire.TypePong:
		m["data"] = f.Payload
	case wire.TypeClose:
		m["code"], m["reason"] = f.Code, string(f.Reason)
	}
	b, _ := json.Marshal(m) // of these types it never fails
	return string(b)
}
