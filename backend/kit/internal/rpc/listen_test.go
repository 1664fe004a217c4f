package rpc

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

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

func mustListen(t *testing.T, setting string) *Listener {
	t.Helper()
	ln, err := Listen(setting)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func TestParseListen(t *testing.T) {
	tests := []struct {
		in, network, address, err string
	}{
		{"127.0.0.1:7081", "tcp", "127.0.0.1:7081", ""},
		{"[::1]:0", "tcp", "[::1]:0", ""},
		{"0.0.0.0:7081", "tcp", "0.0.0.0:7081", ""},
		{"unix:/run/echo.sock", "unix", "/run/echo.sock", ""},
		{"", "", "", "empty"},
		{":7081", "", "", "names no host"},
		{"unix:", "", "", "without a path"},
		{"7081", "", "", "want host:port"},
		{"/run/echo.sock", "", "", "want host:port"},
	}
	for _, tt := range tests {
		network, address, err := ParseListen(tt.in)
		if network != tt.network || address != tt.address || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("ParseListen(%q) = %q, %q, %v; want %q, %q, %q", tt.in, network, address, err, tt.network, tt.address, tt.err)
		}
	}
}

func TestAddressInUse(t *testing.T) {
	for _, setting := range []string{"127.0.0.1:0", "unix:" + filepath.Join(t.TempDir(), "s")} {
		ln := mustListen(t, setting)
		again := ln.Addr().String()
		if ln.Addr().Network() == "unix" {
			again = setting
		}
		_, err := Listen(again)
		if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), ln.Addr().String()) {
			t.Errorf("Listen(%q) = %v, want address in use, with the address", again, err)
		}
		if err := ln.Release(); err != nil {
			t.Error(err)
		}
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln := mustListen(t, "unix:"+path)
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("socket mode = %v, %v; want 0600", st.Mode(), err)
	}
	if err := ln.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// TestUnixSocketOfADeadProcess: what a killed process left is replaced.
func TestUnixSocketOfADeadProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	dead, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false) // as a kill leaves it
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	if err := mustListen(t, "unix:"+path).Release(); err != nil {
		t.Error(err)
	}
}

func TestOtherFilesAreNotReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen("unix:" + path); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Listen() = %v, want address in use", err)
	}
	if b, err := os.ReadFile(path); string(b) != "precious" {
		t.Errorf("the file is %q, %v", b, err)
	}
}

// heart answers Heartbeat and nothing else.
type heart struct{ holdfast.Logic }

func (heart) Heartbeat(context.Context, *holdfast.HeartbeatRequest) (*holdfast.HeartbeatReply, error) {
	return &holdfast.HeartbeatReply{Incarnation: 7}, nil
}

// serve runs a server until the function it returns is called.
func serve(t *testing.T, ln *Listener) (stop func()) {
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
