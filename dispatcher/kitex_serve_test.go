package dispatcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudwego/kitex/pkg/klog"
	"github.com/cloudwego/kitex/server"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
	hf "github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast/logic"
)

// serveEnv makes the test binary a backend at the address that it names.
const serveEnv = "HOLDFAST_TEST_SERVE_LOGIC"

// patience bounds waits on real processes. Only a broken test uses it up.
const patience = 60 * time.Second

// realBackend is a backend on a real Kitex server. What a packet's payload says it
// does: "sleep 100ms", "fail" (the handler returns an error), "panic", or comes back.
type realBackend struct {
	incarnation int64
	began       atomic.Int64 // packets that a handler has begun with
}

func (b *realBackend) Forward(_ context.Context, req *hf.ForwardRequest) (*hf.ForwardReply, error) {
	reply := &hf.ForwardReply{Incarnation: b.incarnation}
	for _, p := range req.Packets {
		b.began.Add(1)
		what, arg, _ := strings.Cut(string(p.Payload), " ")
		switch what {
		case "sleep":
			d, _ := time.ParseDuration(arg)
			time.Sleep(d)
		case "fail":
			return nil, errors.New("the handler failed")
		case "panic":
			panic("the handler panicked")
		}
		reply.Replies = append(reply.Replies, &hf.Reply{Payload: p.Payload})
	}
	return reply, nil
}

func (b *realBackend) Connect(_ context.Context, req *hf.ConnectRequest) (*hf.ConnectReply, error) {
	reply := &hf.ConnectReply{Incarnation: b.incarnation}
	for _, item := range req.Items {
		reply.Results = append(reply.Results, &hf.ConnectResult_{Uid: item.Token})
	}
	return reply, nil
}

func (b *realBackend) Events(context.Context, *hf.EventsRequest) (*hf.EventsReply, error) {
	return &hf.EventsReply{Incarnation: b.incarnation}, nil
}

func (b *realBackend) Heartbeat(context.Context, *hf.HeartbeatRequest) (*hf.HeartbeatReply, error) {
	return &hf.HeartbeatReply{Incarnation: b.incarnation, TimeMs: time.Now().UnixMilli()}, nil
}

// listen opens an instance's address.
func listen(t testing.TB, address string) net.Listener {
	t.Helper()
	network, target, err := discovery.SplitAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen(network, target)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// freeAddress returns an address of the kind, tcp or unix, where nobody listens.
func freeAddress(t testing.TB, kind string) string {
	t.Helper()
	if kind == "unix" {
		dir, err := os.MkdirTemp("", "hf") // t.TempDir may be too long for a socket
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		return "unix:" + filepath.Join(dir, "s")
	}
	l := listen(t, "127.0.0.1:"+freePort(t))
	defer l.Close()
	return l.Addr().String()
}

func freePort(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// serve runs a backend at address in this process until the test ends.
func serve(t testing.TB, address string, b *realBackend) {
	t.Helper()
	s := logic.NewServer(b, server.WithListener(listen(t, address)), server.WithExitSignal(func() <-chan error { return nil }))
	done := make(chan error, 1)
	go func() { done <- s.Run() }()
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		<-done
	})
}

// serveForever is the life of a backend process.
func serveForever(address string) {
	network, target, err := discovery.SplitAddress(address)
	if err == nil {
		var l net.Listener
		if network == "unix" {
			_ = os.Remove(target) // of a former life that was killed
		}
		if l, err = net.Listen(network, target); err == nil {
			fmt.Println("ready")
			err = logic.NewServer(&realBackend{incarnation: time.Now().UnixNano()}, server.WithListener(l)).Run()
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// spawn starts a backend process at address and waits until it listens.
func spawn(t testing.TB, address string) *os.Process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), serveEnv+"="+address)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // most have been killed by the test
		_ = cmd.Wait()
	})
	ready := make([]byte, 16)
	if n, err := out.Read(ready); err != nil || !bytes.HasPrefix(ready[:n], []byte("ready")) {
		t.Fatalf("the backend said %q (%v)", ready[:n], err)
	}
	return cmd.Process
}

func init() { klog.SetLevel(klog.LevelFatal) } // what the tests provoke would fill the screen
