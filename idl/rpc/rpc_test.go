package rpc

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/holdfast-io/holdfast/idl/endpoint"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast/logic"
)

// TestMain fails the package when a goroutine outlives the tests, except what
// netpoll and Kitex keep by design: pollers, and workers for calls with a deadline.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/cloudwego/netpoll.(*defaultPoll).Wait"),
		goleak.IgnoreAnyFunction("github.com/cloudwego/kitex/client.(*timeoutPool).createWorker.func1"),
		goleak.IgnoreAnyFunction("github.com/cloudwego/kitex/client.(*timeoutPool).createTicker.func1"),
	)
}

func mustListen(t *testing.T, setting string) *endpoint.Listener {
	t.Helper()
	ln, err := endpoint.Listen(setting)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// heart answers Heartbeat and nothing else.
type heart struct{ holdfast.Logic }

func (heart) Heartbeat(context.Context, *holdfast.HeartbeatRequest) (*holdfast.HeartbeatReply, error) {
	return &holdfast.HeartbeatReply{Incarnation: 7}, nil
}

// serve runs a server until the function it returns is called.
func serve(t *testing.T, ln *endpoint.Listener) (stop func()) {
	quit, ended := make(chan error, 1), make(chan error, 1)
	srv := logic.NewServer(&heart{}, ServerOptions(ln, quit, time.Second)...)
	go func() { ended <- srv.Run() }()
	<-ln.Polled()
	return func() {
		quit <- nil
		if err := <-ended; err != nil {
			t.Errorf("Run() = %v", err)
		}
		if err := ln.Release(); err != nil {
			t.Errorf("Release() = %v", err)
		}
	}
}

func TestCall(t *testing.T) {
	for _, setting := range []string{"127.0.0.1:0", "unix:" + filepath.Join(t.TempDir(), "s")} {
		ln := mustListen(t, setting)
		stop := serve(t, ln)
		opts, pool, err := ClientOptions(ln.Addr().String(), 30*time.Second, 2)
		if err != nil {
			t.Fatal(err)
		}
		c, err := logic.NewClient("Logic", opts...)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if r, err := c.Heartbeat(t.Context(), &holdfast.HeartbeatRequest{}); err != nil || r.Incarnation != 7 {
				t.Errorf("%s: Heartbeat() = %v, %v", setting, r, err)
			}
		}
		stop()
		if _, err := c.Heartbeat(t.Context(), &holdfast.HeartbeatRequest{}); err == nil {
			t.Errorf("%s: a call to a server that has ended succeeds", setting)
		}
		pool.Close()
	}
}

// TestStoppingClosesNoForeignFile stops servers while other files are opened and
// closed all the time: a descriptor closed twice would hit one of them.
func TestStoppingClosesNoForeignFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	done, hit := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(hit)
		for {
			select {
			case <-done:
				return
			default:
			}
			var files []*os.File
			for range 20 {
				f, err := os.Create(path)
				if err != nil {
					hit <- err
					return
				}
				files = append(files, f)
			}
			time.Sleep(time.Millisecond)
			for _, f := range files {
				if err := f.Close(); err != nil {
					hit <- err
					return
				}
			}
		}
	}()
	for range 3 {
		serve(t, mustListen(t, "127.0.0.1:0"))()
	}
	close(done)
	if err := <-hit; err != nil {
		t.Errorf("a file that is none of the server's: %v", err)
	}
}

func TestClientRefusesToGuess(t *testing.T) {
	for _, address := range []string{"", "echo", "unix:", "run/echo.sock"} {
		if _, _, err := ClientOptions(address, time.Second, 1); err == nil {
			t.Errorf("ClientOptions(%q) = nil error, want a refusal", address)
		}
	}
}
