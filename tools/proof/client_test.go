package proof

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// hello is HELLO for tcp and tls.
func hello(token string) []byte {
	return stream(&wire.Frame{Type: wire.TypeHello, Payload: fmt.Appendf(nil, `{"protocol":1,"token":%q}`, token)})
}

func stream(frames ...*wire.Frame) (b []byte) {
	for _, f := range frames {
		var err error
		if b, err = wire.AppendStream(b, f); err != nil {
			panic(err) // of a frame that a test has made
		}
	}
	return b
}

// request is one for the echo service.
func request(id uint32, command string, payload []byte) *wire.Frame {
	return &wire.Frame{Type: wire.TypeRequest, ID: id, Command: []byte(command), Payload: payload}
}

// client is a session on tcp or tls that behaves.
type client struct {
	net.Conn
	in *bufio.Reader
}

// login opens a session on conn.
func login(conn net.Conn, token string) (*client, error) {
	if _, err := conn.Write(hello(token)); err != nil {
		return nil, err
	}
	c := &client{Conn: conn, in: bufio.NewReader(conn)}
	f, err := c.next()
	if err == nil && f.Type != wire.TypeWelcome {
		err = fmt.Errorf("%s %d %q instead of WELCOME", f.Type, f.Code, f.Reason)
	}
	return c, err
}

// next is the next frame.
func (c *client) next() (wire.Frame, error) {
	var length [4]byte
	if _, err := io.ReadFull(c.in, length[:]); err != nil {
		return wire.Frame{}, err
	}
	b := make([]byte, 4+binary.BigEndian.Uint32(length[:]))
	copy(b, length[:])
	if _, err := io.ReadFull(c.in, b[4:]); err != nil {
		return wire.Frame{}, err
	}
	f, _, err := wire.ParseStream(b, wire.FrameBytesMax, wire.FromGateway)
	return f, err
}

// echo has one request answered.
func (c *client) echo(id uint32) error {
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(stream(request(id, "echo.say", []byte("1")))); err != nil {
		return err
	}
	for {
		f, err := c.next()
		switch {
		case err != nil:
			return err
		case f.Type == wire.TypeClose:
			return fmt.Errorf("CLOSE %d %q", f.Code, f.Reason)
		case f.Type == wire.TypeReply && f.Status != wire.StatusOK:
			return fmt.Errorf("%s %q", f.Status, f.Payload)
		case f.Type == wire.TypeReply && f.ID == id:
			return nil
		}
	}
}

// visit is a client that comes, has a request answered and goes.
func visit(address string) error {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	c, err := login(conn, "visitor")
	if err != nil {
		return err
	}
	return c.echo(1)
}

// upgrade is the request of a WebSocket, with more header fields.
func upgrade(more string) []byte {
	return []byte("GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: holdfast.v1\r\n" + more + "\r\n")
}

// becomeWebSocket has a connection upgraded and returns the head of the answer. It
// reads no byte beyond it.
func becomeWebSocket(conn net.Conn, more string) (string, error) {
	if _, err := conn.Write(upgrade(more)); err != nil {
		return "", err
	}
	var head []byte
	for one := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); {
		if _, err := io.ReadFull(conn, one); err != nil {
			return "", fmt.Errorf("after %q: %w", head, err)
		}
		head = append(head, one[0])
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		return "", fmt.Errorf("answer %q", head)
	}
	return string(head), nil
}

// wsFrame is a masked frame with this first byte. The mask is zero, so the payload
// shows as it is.
func wsFrame(first byte, payload []byte) []byte {
	return append(wsHead(first, uint64(len(payload))), payload...)
}

// wsHead is the head of one that declares length.
func wsHead(first byte, length uint64) []byte {
	b := []byte{first}
	switch {
	case length < 126:
		b = append(b, 0x80|byte(length))
	case length < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(length))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), length)
	}
	return append(b, 0, 0, 0, 0)
}

// First bytes of WebSocket frames.
const (
	wsBinary   = 0x82
	wsPing     = 0x89
	wsFragment = 0x02 // the first of several
	wsMore     = 0x00
	wsReserved = 0x40 // RSV1, which only a negotiated extension may set
)

// bare is a frame without its length, as it stands in a message.
func bare(f *wire.Frame) []byte { return stream(f)[4:] }

// closeCode is the code of the CLOSE or of the WebSocket close frame with which
// the gateway has ended an enemy's connection, 0 without.
func (e *enemy) closeCode(webSocket bool) int {
	<-e.ended
	b := e.said
	if webSocket {
		for len(b) >= 2 { // frames of a server: no mask
			size, at := int(b[1]), 2
			if size == 126 && len(b) >= 4 {
				size, at = int(binary.BigEndian.Uint16(b[2:])), 4
			}
			if b[0] == 0x88 && len(b) >= at+2 {
				return int(binary.BigEndian.Uint16(b[at:]))
			}
			b = b[min(len(b), at+size):]
		}
		return 0
	}
	for {
		f, size, err := wire.ParseStream(b, wire.FrameBytesMax, wire.FromGateway)
		if err != nil {
			return 0
		}
		if f.Type == wire.TypeClose {
			return int(f.Code)
		}
		b = b[size:]
	}
}

// provoke sends b on a connection of its own and returns it when the gateway has
// closed it.
func provoke(t *testing.T, address string, introduce func(net.Conn) error, b []byte) *enemy {
	t.Helper()
	e := gather(t, 1, address, introduce)[0]
	// Once it has closed, the gateway's kernel may leave ours waiting for room.
	_ = e.SetWriteDeadline(time.Now().Add(3 * time.Second))
	if _, err := e.Write(b); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Logf("write: %v", err) // it may have been cut meanwhile, which is what is looked at
	}
	select {
	case <-e.ended:
	case <-time.After(patience):
		t.Fatalf("%.60q: not closed", b)
	}
	return e
}
