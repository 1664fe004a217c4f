package client_test

import (
	"errors"
	"net"
	"sync"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// tiny is a gateway and its backend in a few lines, for the examples: echo.say
// answers with the payload, echo.push pushes it, echo.fail is unavailable.
type tiny struct {
	listener net.Listener
	wg       sync.WaitGroup
	mu       sync.Mutex
	conns    []net.Conn
}

func startTiny() *tiny {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	s := &tiny{listener: listener}
	s.wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, conn)
			s.mu.Unlock()
			s.wg.Go(func() { serveTiny(conn) })
		}
	})
	return s
}

func (s *tiny) addr() string { return s.listener.Addr().String() }

// cut breaks every connection without a word.
func (s *tiny) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		c.Close()
	}
	s.conns = nil
}

func (s *tiny) stop() {
	s.listener.Close()
	s.cut()
	s.wg.Wait()
}

// serveTiny answers one connection until it closes.
func serveTiny(conn net.Conn) {
	defer conn.Close()
	var in, out []byte
	chunk := make([]byte, 64<<10)
	for pushed := uint64(0); ; {
		n, err := conn.Read(chunk)
		if err != nil {
			return
		}
		in, out = append(in, chunk[:n]...), out[:0]
		for {
			f, size, err := wire.ParseStream(in, 1<<20, wire.FromClient)
			if errors.Is(err, wire.ErrIncomplete) {
				break
			}
			if err != nil || f.Type == wire.TypeClose {
				return
			}
			out = answerTiny(out, f, &pushed)
			in = in[size:]
		}
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

// answerTiny appends what the gateway says to f.
func answerTiny(out []byte, f wire.Frame, pushed *uint64) []byte {
	var frames []wire.Frame
	switch {
	case f.Type == wire.TypeHello:
		welcome := wire.Welcome{Session: "s", Secret: "x", UID: "1001", Gateway: "tiny", Window: 64, MaxFrame: 1 << 20}
		frames = []wire.Frame{{Type: wire.TypeWelcome, Payload: wire.AppendWelcome(nil, &welcome)}}
	case f.Type != wire.TypeRequest:
	case string(f.Command) == "echo.fail":
		why := wire.AppendErrorPayload(nil, &wire.ErrorPayload{Message: "no instance is up", Reason: "vacant", RetryAfterMS: 200})
		frames = []wire.Frame{{Type: wire.TypeReply, ID: f.ID, Status: wire.StatusUnavailable, Flags: wire.FlagOriginGateway, Payload: why}}
	case string(f.Command) == "echo.push":
		*pushed++
		frames = []wire.Frame{{Type: wire.TypePush, Seq: *pushed, Command: []byte("echo.pushed"), Payload: f.Payload}}
		fallthrough
	default:
		frames = append(frames, wire.Frame{Type: wire.TypeReply, ID: f.ID, Payload: f.Payload})
	}
	for i := range frames {
		var err error
		if out, err = wire.AppendStream(out, &frames[i]); err != nil {
			panic(err)
		}
	}
	return out
}
