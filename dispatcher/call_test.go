package dispatcher

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/cloudwego/kitex/pkg/remote"
	"github.com/cloudwego/kitex/server"

	hf "github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast/gateway"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
)

// callOnce forwards one packet to address and returns what the dispatcher makes of
// it.
func callOnce(t *testing.T, address string, timeout time.Duration, payload []byte) (verdict, *hf.ForwardReply, error) {
	t.Helper()
	network, target, err := discovery.SplitAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	caller, err := dialKitex(network, target, ServiceConfig{Name: "logic"}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	defer caller.close()
	c := newCall(timeout)
	reply, err := caller.Forward(c, &hf.ForwardRequest{Service: "logic", Packets: []*hf.Packet{{Session: "s", Payload: payload}}})
	return judge(err, c.stage), reply, err
}

// both runs a test over TCP and over a unix socket.
func both(t *testing.T, test func(t *testing.T, kind string)) {
	for _, kind := range []string{"tcp", "unix"} {
		t.Run(kind, func(t *testing.T) { test(t, kind) })
	}
}

func TestCallAnswered(t *testing.T) {
	both(t, func(t *testing.T, kind string) {
		address := freeAddress(t, kind)
		serve(t, address, &realBackend{incarnation: 5})
		for _, size := range []int{0, 64, 5_000, 300_000} { // below and above what Kitex copies
			payload := bytes.Repeat([]byte("x"), size)
			v, reply, err := callOnce(t, address, patience, payload)
			if v.outcome != answered || reply.Incarnation != 5 || !bytes.Equal(reply.Replies[0].Payload, payload) {
				t.Errorf("%d bytes: %+v, %v", size, v, err)
			}
		}
	})
}

// TestCallRefused: nobody listens, so nothing ran and the process is gone.
func TestCallRefused(t *testing.T) {
	both(t, func(t *testing.T, kind string) {
		want := verdict{notExecuted, ReasonInstanceDown, true}
		if v, _, err := callOnce(t, freeAddress(t, kind), patience, nil); v != want {
			t.Errorf("nobody there: %+v (%v), want %+v", v, err, want)
		}
	})
	address := freeAddress(t, "unix")
	l := listen(t, address).(*net.UnixListener)
	l.SetUnlinkOnClose(false) // as after kill -9
	l.Close()
	want := verdict{notExecuted, ReasonInstanceDown, true}
	if v, _, err := callOnce(t, address, patience, nil); v != want {
		t.Errorf("a socket without its process: %+v (%v), want %+v", v, err, want)
	}
}

// raw serves each connection with handle, which gets it after the first bytes of
// the request have come.
func raw(t *testing.T, address string, handle func(c net.Conn)) {
	l := listen(t, address)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			handle(c)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
}

// TestCallBroken: the request was sent and the connection ends.
func TestCallBroken(t *testing.T) {
	both(t, func(t *testing.T, kind string) {
		address := freeAddress(t, kind)
		raw(t, address, func(c net.Conn) { c.Read(make([]byte, 4096)) })
		want := verdict{outcome: unknown, reason: ReasonConnectionLost}
		if v, _, err := callOnce(t, address, patience, nil); v != want {
			t.Errorf("%+v (%v), want %+v", v, err, want)
		}
	})
}

// TestCallTornReply: half a reply, then nothing more.
func TestCallTornReply(t *testing.T) {
	address := freeAddress(t, "tcp")
	raw(t, address, func(c net.Conn) {
		c.Read(make([]byte, 4096))
		c.Write([]byte{0, 0, 1, 0, 0x10, 0, 0, 0})
	})
	if v, _, err := callOnce(t, address, patience, nil); v.outcome != unknown || v.refused {
		t.Errorf("%+v (%v), want unknown", v, err)
	}
}

func TestCallGarbage(t *testing.T) {
	address := freeAddress(t, "tcp")
	raw(t, address, func(c net.Conn) {
		c.Read(make([]byte, 4096))
		c.Write(bytes.Repeat([]byte("HTTP/1.1 400 Bad Request\r\n"), 10))
	})
	if v, _, err := callOnce(t, address, patience, nil); v.outcome != unknown && v.outcome != misanswered || v.refused {
		t.Errorf("%+v (%v), want unknown or misanswered", v, err)
	}
}

// TestCallTimedOut: the instance reads and says nothing, or does not even read.
func TestCallTimedOut(t *testing.T) {
	both(t, func(t *testing.T, kind string) {
		release := make(chan struct{})
		silent, deaf := freeAddress(t, kind), freeAddress(t, kind)
		raw(t, silent, func(c net.Conn) { io.CopyN(io.Discard, c, 10); <-release })
		raw(t, deaf, func(net.Conn) { <-release })
		t.Cleanup(func() { close(release) })
		want := verdict{outcome: unknown, reason: ReasonTimeout}
		if v, _, err := callOnce(t, silent, 50*time.Millisecond, nil); v != want {
			t.Errorf("a silent instance: %+v (%v), want %+v", v, err, want)
		}
		if v, _, err := callOnce(t, deaf, 50*time.Millisecond, make([]byte, 32<<20)); v != want {
			t.Errorf("a deaf instance: %+v (%v), want %+v", v, err, want)
		}
	})
}

// TestCallFailedHandler: the instance answers, but with an error of Kitex's.
func TestCallFailedHandler(t *testing.T) {
	address := freeAddress(t, "tcp")
	serve(t, address, &realBackend{})
	want := verdict{outcome: misanswered, reason: ReasonBadReply}
	for _, what := range []string{"fail", "panic"} {
		if v, _, err := callOnce(t, address, patience, []byte(what)); v != want {
			t.Errorf("%s: %+v (%v), want %+v", what, v, err, want)
		}
	}
}

// TestCallNotServed: a Kitex server of another contract runs nothing of ours.
func TestCallNotServed(t *testing.T) {
	address := freeAddress(t, "tcp")
	s := gateway.NewServer(&otherContract{}, server.WithListener(listen(t, address)), server.WithExitSignal(func() <-chan error { return nil }))
	done := make(chan error, 1)
	go func() { done <- s.Run() }()
	t.Cleanup(func() { s.Stop(); <-done })
	want := verdict{outcome: notExecuted, reason: ReasonNotServed}
	if v, _, err := callOnce(t, address, patience, nil); v != want {
		t.Errorf("%+v (%v), want %+v", v, err, want)
	}
}

type otherContract struct{ hf.Gateway }

// TestPoolReplacesDeadConnections: a connection whose peer closed it while it was
// idle carries no request into the void.
func TestPoolReplacesDeadConnections(t *testing.T) {
	both(t, func(t *testing.T, kind string) {
		address := freeAddress(t, kind)
		network, target, _ := discovery.SplitAddress(address)
		caller, err := dialKitex(network, target, ServiceConfig{Name: "logic"}.withDefaults())
		if err != nil {
			t.Fatal(err)
		}
		defer caller.close()
		pool := caller.(*kitexCaller).pool
		forward := func() verdict {
			c := newCall(patience)
			_, err := caller.Forward(c, &hf.ForwardRequest{Packets: []*hf.Packet{{Session: "s"}}})
			return judge(err, c.stage)
		}
		process := spawn(t, address)
		if v := forward(); v.outcome != answered {
			t.Fatalf("first call: %+v", v)
		}
		if n := len(pool.idle); n != 1 {
			t.Fatalf("%d idle connections after a call, want 1", n)
		}
		if err := process.Kill(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the connection is seen to be dead", func() bool { return !pool.idle[0].alive() })
		spawn(t, address)
		if v := forward(); v.outcome != answered {
			t.Errorf("the call after the restart: %+v, want answered", v)
		}
		caller.dropIdle()
		if n := len(pool.idle); n != 0 {
			t.Errorf("%d idle connections after dropIdle", n)
		}
		if v := forward(); v.outcome != answered {
			t.Errorf("the call after dropIdle: %+v, want answered", v)
		}
		caller.close()
		if v := forward(); v.outcome != notExecuted || v.refused {
			t.Errorf("the call after close: %+v, want not executed", v)
		}
	})
}

// TestPoolGenerations: a connection that was in use when its process was found to
// be gone is not used again.
func TestPoolGenerations(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	p := newConnPool(2)
	c := &pooledConn{Conn: a}
	p.drop()
	if err := p.Put(c); err != nil || len(p.idle) != 0 {
		t.Errorf("Put of an old connection = %v, %d idle", err, len(p.idle))
	}
	if _, err := b.Write([]byte("x")); err == nil {
		t.Error("the old connection is still open")
	}
	if _, err := p.Get(context.Background(), "tcp", "127.0.0.1:1", remote.ConnOption{}); err == nil {
		t.Error("Get without a deadline = nil, want an error")
	}
	late := &call{Context: context.Background(), deadline: time.Now().Add(-time.Second)}
	if _, err := p.Get(late, "tcp", "127.0.0.1:1", remote.ConnOption{}); !os.IsTimeout(err) {
		t.Errorf("Get after the deadline = %v, want a time-out", err)
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
