package gateway_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/holdfast-io/holdfast/gateway"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// inputBytes is what a client sends of which the gateway knows nothing yet.
const inputBytes = 10 << 10

// upgrade is the handshake of a WebSocket.
func upgrade(protocol string) []byte {
	return []byte("GET /v1/ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\nSec-WebSocket-Protocol: " + protocol + "\r\n\r\n")
}

// fill is b and as much of pattern behind it as makes inputBytes.
func fill(b []byte, pattern string) []byte {
	for len(b) < inputBytes {
		b = append(b, pattern...)
	}
	return b[:inputBytes]
}

// clientHello is what crypto/tls sends first.
func clientHello(t *testing.T) []byte {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	go func() { _ = tls.Client(there, &tls.Config{ServerName: "gw.test"}).Handshake() }() // ends with the pipe
	head := make([]byte, 5)
	if _, err := io.ReadFull(here, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint16(head[3:]))
	if _, err := io.ReadFull(here, body); err != nil {
		t.Fatal(err)
	}
	return append(head, body...)
}

// appetite is input that has nobody's permission and is kept as long as it can be.
type appetite struct {
	name string
	a    approach
	send []byte
	wait bool // the login is held by the backend
}

func appetites(t *testing.T) []appetite {
	waiting := `{"protocol":1,"token":"wait"}`
	helloFrame := frame(append([]byte{1}, waiting...)...)
	// A handshake message that says it is long, in as many records as are taken.
	record := func(b string) string { return "\x16\x03\x01\x00\xAA" + b + strings.Repeat("x", 0xAA-len(b)) }
	whole := clientHello(t)
	return []appetite{
		{"tcp: a frame that says 64 KiB", approach{}, fill(append(length(64<<10), 3), "x"), false},
		{"tcp: pings behind HELLO", approach{}, fill(helloFrame, "\x00\x00\x00\x01\x07"), true},
		{"ws: a message that says 64 KiB", approach{}, fill(append(upgrade("holdfast.v1"), append(wsHead(0x82, 64<<10, 0x80), 1, 2, 3, 4)...), "x"), false},
		{"ws: a message in fragments", approach{}, fill(append(upgrade("holdfast.v1"), wsFrame(2, []byte{1})...), string(wsFrame(0, bytes.Repeat([]byte("x"), 100)))), false},
		{"ws json: nested lists", approach{}, fill(append(upgrade("holdfast.v1.json"), append(wsHead(0x81, 64<<10, 0x80), 0, 0, 0, 0)...), "["), false},
		{"ws: pings before HELLO", approach{}, fill(upgrade("holdfast.v1"), string(wsFrame(0x89, nil))), false},
		{"http: a head of many fields", approach{}, fill([]byte("POST /v1/poll HTTP/1.1\r\nHost: h\r\n"+strings.Repeat("a:\r\n", 90)), "b: x"), false},
		{"http: one long field", approach{}, fill([]byte("POST /v1/poll HTTP/1.1\r\nHost: h\r\na:"), "x"), false},
		{"http: a body that says 64 KiB", approach{}, fill([]byte("POST /v1/poll HTTP/1.1\r\nHost: h\r\nContent-Length: 65536\r\n\r\n"), " "), false},
		{"http: a body in tiny chunks", approach{}, fill([]byte("POST /v1/poll HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"), "1\r\nx\r\n"), false},
		{"http: fields and then half a body", approach{}, append([]byte("POST /v1/poll HTTP/1.1\r\nHost: h\r\nContent-Length: 65536\r\n"+strings.Repeat("a:\r\n", 90)+"\r\n"), make([]byte, 9<<10)...), false},
		{"poll: calls behind a login that waits", approach{}, fill([]byte(fmt.Sprintf("POST /v1/poll HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(waiting), waiting)), "GET / HTTP/1.1\r\nHost: h\r\n\r\n"), true},
		{"proxy: values of 4 KiB, all but the last byte", approach{door: proxiedDoor}, proxyV2("198.51.100.7", tlv(0xEE, make([]byte, 4000)))[:4000], false},
		{"proxy: and then a frame", approach{door: proxiedDoor}, fill(append(proxyV2("198.51.100.7", tlv(0xEE, make([]byte, 4000))), append(length(64<<10), 3)...), "x"), false},
		{"tls: a ClientHello that never ends", approach{}, fill([]byte{0x16, 3, 1, 0x3F, 0xFF, 1, 0, 0x3F, 0xFB}, "x"), false},
		{"tls: the same in small records", approach{}, fill([]byte(record("\x01\x00\x3F\xFB")), record("")), false},
		{"tls: a ClientHello and silence", approach{}, whole, false},
	}
}

// TestAmplification (P19): what 10 KiB of input from nobody take in memory, by
// what they are. The heap is the whole process's, this test's sockets included.
func TestAmplification(t *testing.T) {
	const conns, most = 64, 100
	dir := t.TempDir()
	e := startEdge(t, func(c *gateway.Config) {
		c.Session.HelloTimeout, c.Limits.ProxyTimeout = time.Minute, time.Minute
		// On unix sockets the kernel tells what has been read.
		for i, door := range []int{openDoor, proxiedDoor} {
			c.Listeners[door].Address = fmt.Sprintf("unix:%s/%d", dir, i)
		}
		for i := range c.Listeners {
			c.Listeners[i].TLS.HandshakeTimeout = time.Minute
		}
	})
	for _, one := range appetites(t) {
		e.feed(t, one, 1) // what is made once is made
		before := heap()
		took := max(e.feed(t, one, conns)-before, 0) / conns
		if took > most*len(one.send) {
			t.Errorf("%s: %d bytes for each, want at most %d", one.name, took, most*len(one.send))
		}
		testenv.Figure(t, "P19", "%s: %d bytes of input take %d bytes of heap and stacks, %.1f times", one.name, len(one.send), took, float64(took)/float64(len(one.send)))
	}
}

// feed has n connections send one's input, and returns the heap when the gateway
// has taken it all and they are still there.
func (e *edge) feed(t *testing.T, one appetite, n int) (used int) {
	t.Helper()
	var all []net.Conn
	for range n {
		c, err := e.dialDoor(one.a)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		all = append(all, c)
		_ = c.SetDeadline(time.Now().Add(deadline))
		if _, err := c.Write(one.send); err != nil {
			t.Fatalf("%s: %v", one.name, err)
		}
	}
	for _, c := range all {
		eventually(t, "the gateway has read it", func() bool { return unread(t, c) == 0 })
	}
	if one.wait {
		asked := 0
		eventually(t, "the logins wait", func() bool { asked += len(e.disp.asked()); return asked == n })
	}
	used = heap()
	if open := openConnections(t, e.reg); open != float64(n) {
		t.Errorf("%s: %v connections are open, want %d: this is not about what is kept", one.name, open, n)
	}
	for _, c := range all {
		c.Close()
	}
	for _, done := range e.disp.takeWaiting() {
		done(gateway.Verdict{CloseCode: 4502})
	}
	eventually(t, "all are gone", func() bool { return openConnections(t, e.reg) == 0 })
	return used
}

// unread is how much of what was sent on a unix socket its peer has not read.
func unread(t *testing.T, c net.Conn) (n int) {
	t.Helper()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { n, failed = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return n
}

// heap is what is resident of Go's memory, stacks of handshakes included.
func heap() int {
	runtime.GC()
	runtime.GC() // pools are emptied by the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}
