package load

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// speaking makes a fake gateway speak a transport, by other implementations than
// the loader's: crypto/tls over a socket, and a WebSocket library.
func speaking(t *testing.T, transport string) func(*fakeGateway) {
	certificate := testCertificate(t)
	return func(g *fakeGateway) {
		if transport == "tls" || transport == "wss" {
			g.listener = tls.NewListener(g.listener, &tls.Config{Certificates: []tls.Certificate{certificate}})
		}
		if transport == "ws" || transport == "wss" {
			g.listener = wsListener{g.listener}
		}
	}
}

func testCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

type wsListener struct{ net.Listener }

func (l wsListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &wsConn{Conn: c}, nil
}

// wsConn turns messages into frames of a stream and back.
type wsConn struct {
	net.Conn
	upgraded bool
	rest     []byte
}

func (c *wsConn) Read(p []byte) (int, error) {
	if !c.upgraded {
		u := ws.Upgrader{Protocol: func(name []byte) bool { return string(name) == "holdfast.v1" }}
		if _, err := u.Upgrade(c.Conn); err != nil {
			return 0, err
		}
		c.upgraded = true
	}
	if len(c.rest) == 0 {
		message, op, err := wsutil.ReadClientData(c.Conn)
		if err != nil || op != ws.OpBinary {
			return 0, fmt.Errorf("opcode %d: %w", op, err)
		}
		c.rest = append(binary.BigEndian.AppendUint32(nil, uint32(len(message))), message...)
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *wsConn) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		size := 4 + int(binary.BigEndian.Uint32(b))
		if err := wsutil.WriteServerBinary(c.Conn, b[4:size]); err != nil {
			return 0, err
		}
		b = b[size:]
	}
	return n, nil
}

func TestTransports(t *testing.T) {
	for _, transport := range Transports {
		for _, size := range []int{0, 64, 130, 20_000} { // of each length that a WebSocket frame has a form for
			t.Run(fmt.Sprintf("%s, %d bytes", transport, size), func(t *testing.T) {
				g := newFakeGateway(t, speaking(t, transport))
				f := newTestFleet(t, DefaultConfig(transport+"://"+g.addr()), 7)
				once, err := f.EchoOnce(t.Context(), size)
				if err != nil || once.Done != 7 || len(once.Errors) > 0 {
					t.Errorf("EchoOnce = %d, %v, %v", once.Done, once.Errors, err)
				}
				p := shortPlan()
				p.Size = size
				tally, err := f.Echo(t.Context(), p)
				if err != nil || tally.Done == 0 || len(tally.Errors) > 0 {
					t.Errorf("Echo = %d, %v, %v", tally.Done, tally.Errors, err)
				}
				leave(t, f)
				if n := g.counted(&g.closes); n != 7 {
					t.Errorf("the gateway saw %d CLOSE, want 7", n)
				}
			})
		}
	}
}

// TestTransportsRefused has the code of a CLOSE counted on each of them.
func TestTransportsRefused(t *testing.T) {
	for _, transport := range Transports {
		g := newFakeGateway(t, speaking(t, transport), func(g *fakeGateway) {
			g.judge = func(wire.Hello) *wire.Frame { return &wire.Frame{Type: wire.TypeClose, Code: wire.CloseOverloaded} }
		})
		f, err := NewFleet(DefaultConfig(transport + "://" + g.addr()))
		if err != nil {
			t.Fatal(err)
		}
		if tally, err := f.Connect(t.Context(), 2); err == nil || tally.Errors[closeKind(wire.CloseOverloaded)] != 2 {
			t.Errorf("%s: Connect = %v, %v; want two times %s", transport, tally.Errors, err, wire.CloseOverloaded)
		}
		f.Close()
	}
}

// TestWrongTransport meets a server that speaks another one.
func TestWrongTransport(t *testing.T) {
	for _, tt := range []struct{ transport, kind string }{{"tls", KindTLS}, {"ws", KindUpgrade}} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Read(make([]byte, 4096))
				c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
				c.Close()
			}
		}()
		f, err := NewFleet(DefaultConfig(tt.transport + "://" + l.Addr().String()))
		if err != nil {
			t.Fatal(err)
		}
		if tally, err := f.Connect(t.Context(), 1); err == nil || tally.Errors[tt.kind] != 1 {
			t.Errorf("%s: Connect = %v, %v; want %s", tt.transport, tally.Errors, err, tt.kind)
		}
		f.Close()
		l.Close()
		<-ended
	}
}

// TestHandshakeGivenUp leaves nothing behind of connections that are lost in the
// middle of it.
func TestHandshakeGivenUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts in the kernel and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := DefaultConfig("tls://" + l.Addr().String())
	cfg.Timeout = 50 * time.Millisecond
	f, err := NewFleet(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // goleak finds the handshakes that this forgets
	if tally, err := f.Connect(t.Context(), 3); err == nil || tally.Errors[KindTimeout] != 3 {
		t.Errorf("Connect = %v, %v; want three time-outs", tally.Errors, err)
	}
}

func TestEndpoints(t *testing.T) {
	for _, endpoint := range []string{"udp://127.0.0.1:1", "ws://nowhere"} {
		if err := DefaultConfig(endpoint).Validate(); err == nil || !strings.Contains(err.Error(), "endpoint") {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
	raw := DefaultConfig("ws://127.0.0.1:1")
	raw.Mode = Raw
	if raw.Validate() == nil {
		t.Error("bytes that are no frames may go over a WebSocket")
	}
	if _, err := NewCalls(DefaultConfig("tcp://127.0.0.1:1")); err == nil {
		t.Error("NewCalls takes tcp")
	}
	if _, err := NewFleet(DefaultConfig("poll://127.0.0.1:1")); err == nil {
		t.Error("NewFleet takes poll")
	}
}

func TestMask(t *testing.T) {
	for n := range 20 {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i)
		}
		want := append([]byte(nil), b...)
		ws.Cipher(want, [4]byte{0x44, 0x33, 0x22, 0x11}, 0)
		if maskBytes(b, 0x11223344); string(b) != string(want) {
			t.Errorf("maskBytes of %d bytes = %x, want %x", n, b, want)
		}
	}
}
