package load

import (
	"errors"
	"net"
	"sync"
	"testing"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// fakeGateway speaks the protocol on loopback with a goroutine a connection.
type fakeGateway struct {
	welcome wire.Welcome
	// judge answers a HELLO: nil for WELCOME, else the frame to send instead.
	judge func(h wire.Hello) *wire.Frame
	// answer gives the frames for one REQUEST.
	answer func(f wire.Frame) []wire.Frame

	listener net.Listener
	wg       sync.WaitGroup

	mu     sync.Mutex // guards the following
	conns  map[net.Conn]bool
	tokens map[string]int
	pongs  int
	closes int
}

// newFakeGateway starts one. The options change it before it listens.
func newFakeGateway(t *testing.T, options ...func(*fakeGateway)) *fakeGateway {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &fakeGateway{
		welcome: wire.Welcome{Session: "s", Secret: "x", UID: "u", Gateway: "fake", HeartbeatMS: 25000,
			HeartbeatTimeoutMS: 8000, RequestTimeoutMS: 10000, Window: 64, MaxFrame: 64 << 10, ResumeTTLMS: 60000, TimeMS: 1},
		judge:    func(wire.Hello) *wire.Frame { return nil },
		answer:   echoAnswer,
		listener: l, conns: map[net.Conn]bool{}, tokens: map[string]int{},
	}
	for _, o := range options {
		o(g)
	}
	g.wg.Go(g.accept)
	t.Cleanup(func() {
		l.Close()
		g.mu.Lock()
		for c := range g.conns {
			c.Close()
		}
		g.mu.Unlock()
		g.wg.Wait()
	})
	return g
}

func answering(answer func(wire.Frame) []wire.Frame) func(*fakeGateway) {
	return func(g *fakeGateway) { g.answer = answer }
}

func echoAnswer(f wire.Frame) []wire.Frame {
	return []wire.Frame{{Type: wire.TypeReply, ID: f.ID, Payload: f.Payload}}
}

// counted reads one of the counters.
func (g *fakeGateway) counted(n *int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return *n
}

func (g *fakeGateway) addr() string { return g.listener.Addr().String() }

func (g *fakeGateway) accept() {
	for {
		c, err := g.listener.Accept()
		if err != nil {
			return
		}
		g.mu.Lock()
		g.conns[c] = true
		g.mu.Unlock()
		g.wg.Go(func() { g.serve(c); c.Close() })
	}
}

// serve reads one connection to its end.
func (g *fakeGateway) serve(c net.Conn) {
	var in, out []byte
	buf := make([]byte, 32<<10)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		in = append(in, buf[:n]...)
		for {
			f, size, err := wire.ParseStream(in, 64<<10, wire.FromClient)
			if errors.Is(err, wire.ErrIncomplete) {
				break
			}
			if err != nil {
				return
			}
			frames, end := g.handle(f)
			for i := range frames {
				if out, err = wire.AppendStream(out, &frames[i]); err != nil {
					panic(err)
				}
			}
			if end {
				c.Write(out)
				return
			}
			in = in[size:]
		}
		if _, err := c.Write(out); err != nil {
			return
		}
		out = out[:0]
	}
}

func (g *fakeGateway) handle(f wire.Frame) (frames []wire.Frame, end bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch f.Type {
	case wire.TypeHello:
		h, err := wire.ParseHello(f.Payload)
		if err != nil {
			return nil, true
		}
		g.tokens[h.Token]++
		if no := g.judge(h); no != nil {
			return []wire.Frame{*no}, true
		}
		return []wire.Frame{{Type: wire.TypeWelcome, Payload: wire.AppendWelcome(nil, &g.welcome)}}, false
	case wire.TypeRequest:
		frames = g.answer(f)
		return frames, len(frames) > 0 && frames[len(frames)-1].Type == wire.TypeClose
	case wire.TypePong:
		g.pongs++
	case wire.TypeClose:
		g.closes++
		return nil, true
	}
	return nil, false
}
