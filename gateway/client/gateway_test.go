package client

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// scripted is a gateway that does what a test tells it, frame by frame, over
// net.Pipe, so that it works inside a synctest bubble.
type scripted struct {
	t      *testing.T
	peers  chan *peer
	refuse func(address string) error // nil result: the dial works
}

func newScripted(t *testing.T) *scripted {
	return &scripted{t: t, peers: make(chan *peer, 16)}
}

// dial is a Config.Dial.
func (g *scripted) dial(_ context.Context, _, address string) (net.Conn, error) {
	if g.refuse != nil {
		if err := g.refuse(address); err != nil {
			return nil, err
		}
	}
	near, far := net.Pipe()
	p := &peer{t: g.t, conn: far, address: address, frames: make(chan wire.Frame, 4096)}
	go p.read()
	g.peers <- p
	return near, nil
}

// accept waits for the next connection.
func (g *scripted) accept() *peer {
	g.t.Helper()
	select {
	case p := <-g.peers:
		g.t.Cleanup(func() { p.conn.Close() })
		return p
	case <-time.After(time.Hour): // fake time
		g.t.Fatal("no connection came within an hour")
		return nil
	}
}

// welcome accepts a connection, takes its HELLO and welcomes it.
func (g *scripted) welcome(edit func(*wire.Welcome)) *peer {
	g.t.Helper()
	p := g.accept()
	p.expect(wire.TypeHello)
	p.welcome(edit)
	return p
}

// none checks that nobody connects within d.
func (g *scripted) none(d time.Duration) {
	g.t.Helper()
	time.Sleep(d)
	synctest.Wait()
	if len(g.peers) > 0 {
		g.t.Fatalf("a connection to %s came within %v", (<-g.peers).address, d)
	}
}

// peer is the gateway's end of one connection.
type peer struct {
	t       *testing.T
	conn    net.Conn
	address string
	frames  chan wire.Frame // what the client sent; closed when it hung up
}

func (p *peer) read() {
	defer close(p.frames)
	var buf []byte
	chunk := make([]byte, 4096)
	for {
		n, err := p.conn.Read(chunk)
		if err != nil {
			return
		}
		buf = append(buf, chunk[:n]...)
		for {
			f, size, err := wire.ParseStream(slices.Clone(buf), wire.FrameBytesMax, wire.FromClient)
			if errors.Is(err, wire.ErrIncomplete) {
				break
			}
			if err != nil {
				p.t.Errorf("client sent %x: %v", buf, err)
				return
			}
			p.frames <- f
			buf = buf[size:]
		}
	}
}

// expect returns the next frame, which must be of type want.
func (p *peer) expect(want wire.Type) wire.Frame {
	p.t.Helper()
	select {
	case f, ok := <-p.frames:
		if !ok {
			p.t.Fatalf("client hung up, want %s", want)
		}
		if f.Type != want {
			p.t.Fatalf("client sent %+v, want %s", f, want)
		}
		return f
	case <-time.After(time.Hour):
		p.t.Fatalf("nothing came within an hour, want %s", want)
		return wire.Frame{}
	}
}

// silent checks that the client sends nothing more for now.
func (p *peer) silent() {
	p.t.Helper()
	synctest.Wait()
	select {
	case f, ok := <-p.frames:
		if ok {
			p.t.Fatalf("client sent %+v, want nothing", f)
		}
		p.t.Fatal("client hung up")
	default:
	}
}

// hungUp waits for the client to close.
func (p *peer) hungUp() {
	p.t.Helper()
	if f, ok := <-p.frames; ok {
		p.t.Fatalf("client sent %+v, want it to hang up", f)
	}
}

func (p *peer) send(frames ...wire.Frame) {
	p.t.Helper()
	var b []byte
	for i := range frames {
		var err error
		if b, err = wire.AppendStream(b, &frames[i]); err != nil {
			p.t.Fatalf("script: %v", err)
		}
	}
	p.sendRaw(b)
}

func (p *peer) sendRaw(b []byte) {
	p.t.Helper()
	if _, err := p.conn.Write(b); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		p.t.Fatalf("write to client: %v", err)
	}
}

func (p *peer) welcome(edit func(*wire.Welcome)) {
	p.t.Helper()
	w := wire.Welcome{
		Session: "s1", Secret: "x1", UID: "1001", Gateway: "gw-1",
		HeartbeatMS: 25_000, HeartbeatTimeoutMS: 8_000, RequestTimeoutMS: 10_000,
		Window: 64, MaxFrame: 65_536, ResumeTTLMS: 60_000,
	}
	if edit != nil {
		edit(&w)
	}
	p.send(wire.Frame{Type: wire.TypeWelcome, Payload: wire.AppendWelcome(nil, &w)})
}

func (p *peer) reply(id uint32, payload string) {
	p.t.Helper()
	p.send(wire.Frame{Type: wire.TypeReply, ID: id, Payload: []byte(payload)})
}

func (p *peer) push(seq uint64, payload string) {
	p.t.Helper()
	p.send(wire.Frame{Type: wire.TypePush, Seq: seq, Command: []byte("test.push"), Payload: []byte(payload)})
}

func (p *peer) goAway(g wire.GoAway) {
	p.t.Helper()
	p.send(wire.Frame{Type: wire.TypeGoAway, Payload: wire.AppendGoAway(nil, &g)})
}

// close sends CLOSE and closes the connection.
func (p *peer) close(code wire.CloseCode) {
	p.t.Helper()
	p.send(wire.Frame{Type: wire.TypeClose, Code: code, Reason: []byte("as the script says")})
	p.conn.Close()
}

// bubble runs test in a synctest bubble with a scripted gateway and a Config
// that dials it.
func bubble(t *testing.T, test func(t *testing.T, g *scripted, cfg Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := newScripted(t)
		test(t, g, Config{Endpoints: []string{"gw1:7000"}, Token: "tok", Dial: g.dial})
	})
}

// dialed returns a client with its first connection.
func dialed(t *testing.T, g *scripted, cfg Config, edit func(*wire.Welcome)) (*Client, *peer) {
	t.Helper()
	dialedAs := make(chan *Client, 1)
	go func() {
		c, err := Dial(t.Context(), cfg)
		if err != nil {
			t.Errorf("Dial = %v", err)
		}
		dialedAs <- c
	}()
	p := g.welcome(edit)
	c := <-dialedAs
	if c == nil {
		t.FailNow()
	}
	t.Cleanup(func() {
		p.conn.Close()
		c.Close()
	})
	return c, p
}

// answer is what a Request returned.
type answer struct {
	payload string
	err     error
}

// request calls Request on a goroutine of its own.
func request(ctx context.Context, c *Client, payload string) <-chan answer {
	ch := make(chan answer, 1)
	go func() {
		b, err := c.Request(ctx, "test.echo", []byte(payload))
		ch <- answer{string(b), err}
	}()
	return ch
}
