package transport

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// transientMax is what netpoll may read of a connection at a time (P11).
const transientMax = 1 << 20

// spy is a reader that notes how much comes at a time. With more waiting than it
// reads, as here, that is all that netpoll has made room for.
type spy struct {
	reader
	most *atomic.Int64
}

func (s spy) readLocked(c *Conn, b []byte) {
	s.most.Store(max(s.most.Load(), int64(len(b))))
	s.reader.readLocked(c, b)
}

// TestTransientBuffer has a client write whole frames at line rate and looks at how
// much netpoll hands over at a time, which is what it has allocated for it.
func TestTransientBuffer(t *testing.T) {
	var most atomic.Int64
	deps := testDeps()
	deps.Accept = func(c *Conn) Receiver {
		c.reader = spy{c.reader, &most}
		return &deaf{c}
	}
	conn := dial(t, serve(t, ListenerConfig{Transports: []Name{TCP}}, deps))
	frame, err := wire.AppendStream(nil, &wire.Frame{Type: wire.TypeRequest, ID: 1, Command: []byte("c"), Payload: make([]byte, 60<<10)})
	if err != nil {
		t.Fatal(err)
	}
	frames := 0
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); frames++ {
		if _, err := conn.Write(frame); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Figure(t, "P11", "netpoll's transient buffer of a client that wrote %d MB at line rate: at most %d bytes", frames*len(frame)>>20, most.Load())
	if most.Load() > transientMax {
		t.Errorf("%d bytes at a time, want at most %d", most.Load(), transientMax)
	}
}

// TestFloodOfRefused has more clients come than may be told why they are refused:
// those that may be are told, the others are closed at once.
func TestFloodOfRefused(t *testing.T) {
	deps := testDeps()
	deps.Gate = shutGate{}
	l := serve(t, ListenerConfig{Transports: []Name{TCP, WS}}, deps)
	var conns []net.Conn
	for range refusingMax {
		conns = append(conns, dial(t, l))
	}
	for deadline := time.Now().Add(patience); l.Open() < refusingMax; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are open, want %d", l.Open(), refusingMax)
		}
	}
	for range 3 {
		if n, err := dial(t, l).Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("read %d bytes, %v; want the end at once", n, err)
		}
	}
	_, _ = conns[0].Write([]byte{0}) // a frame begins: the client has shown how it speaks
	b, err := io.ReadAll(conns[0])
	if f, _, parseErr := wire.ParseStream(b, 1<<20, wire.FromGateway); parseErr != nil || f.Code != wire.CloseOverloaded {
		t.Errorf("read %q, %v; want CLOSE %d", b, err, wire.CloseOverloaded)
	}
	if n := deps.Refusing.Load(); n > refusingMax || n == 0 {
		t.Errorf("%d wait to be told, want at most %d", n, refusingMax)
	}
}

// TestNoDescriptor gives up the spare descriptor for a connection that there is no
// other for: it is closed, and the next is taken again.
func TestNoDescriptor(t *testing.T) {
	l := serve(t, ListenerConfig{Transports: []Name{TCP}}, testDeps())
	<-l.ln.Polled()
	d := newDoorway(l)
	defer d.close()
	spare := d.spare
	for range 3 {
		if err := d.shed(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
		if d.spare < 0 {
			t.Fatal("no spare descriptor afterwards")
		}
	}
	if spare < 0 {
		t.Error("no spare descriptor at first")
	}
	conn := dial(t, l)
	if _, err := conn.Write([]byte{0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(conn)
	if f, _, parseErr := wire.ParseStream(b, 1<<20, wire.FromGateway); parseErr != nil || f.Code != wire.CloseProtocolError {
		t.Errorf("read %q, %v; want CLOSE %d", b, err, wire.CloseProtocolError)
	}
}
