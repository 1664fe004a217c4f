package bare

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// netpoll's pollers live as long as the process, by design.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/cloudwego/netpoll.(*defaultPoll).Wait"))
}

// TestEcho checks both servers: bytes come back whole, in order, in whatever
// pieces they were sent, and an end of the stream is answered by one.
func TestEcho(t *testing.T) {
	for name, serve := range map[string]func(context.Context, net.Listener) error{"netpoll": Netpoll, "goroutines": Goroutines} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			served := make(chan error, 1)
			go func() { served <- serve(ctx, l) }()

			stays := dial(t, l.Addr()) // is still open when the server ends
			c := dial(t, l.Addr())
			for _, size := range []int{1, 511, 513, 40_000} {
				sent := bytes.Repeat([]byte("0123456789abcdef#"), size/17+1)[:size]
				if _, err := c.Write(sent); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, size)
				if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, sent) {
					t.Fatalf("%d bytes did not come back as they were: %v", size, err)
				}
			}
			if err := c.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
				t.Errorf("after the end of the stream: %d bytes, %v", len(rest), err)
			}
			cancel()
			if err := <-served; err != nil {
				t.Error(err)
			}
			stays.Close()
		})
	}
}

func dial(t *testing.T, addr net.Addr) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	// Generous: it only ends a test that would hang.
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}
