package kittest

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/idl/endpoint"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast/gateway"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast/logic"
	"github.com/holdfast-io/holdfast/idl/rpc"
)

// Gateway stands in for a gateway towards one backend process.
type Gateway struct {
	// Logic calls the backend directly, for what the methods do not offer.
	Logic logic.Client

	address string
	service string
	epoch   int64

	mu       sync.Mutex
	sessions map[string]*Session
	calls    int // how many Push calls came
	late     map[answerKey]chan *holdfast.Reply
	fail     error // what Push, Reply and Kick answer, when set
}

type answerKey struct {
	session string
	seq     int64
	attempt int32
}

// Options chooses how a Gateway meets the backend. The zero value means loopback.
type Options struct {
	Service string // as the backend's configuration says
	Epoch   int64  // 0: the time
	Unix    bool   // serve on a unix socket
	Address string // serve here, "" for any free port
}

// NewGateway serves the Gateway contract until the test ends, and calls the
// backend at backend (host:port or the path of a unix socket).
func NewGateway(t testing.TB, backend net.Addr, opt Options) *Gateway {
	t.Helper()
	g := &Gateway{
		service: opt.Service, epoch: opt.Epoch,
		sessions: map[string]*Session{}, late: map[answerKey]chan *holdfast.Reply{},
	}
	if g.epoch == 0 {
		g.epoch = time.Now().UnixNano()
	}
	listen := "127.0.0.1:0"
	switch {
	case opt.Unix:
		listen = "unix:" + filepath.Join(t.TempDir(), "gw.sock")
	case opt.Address != "":
		listen = opt.Address
	}
	g.serve(t, listen)
	opts, pool, err := rpc.ClientOptions(backend.String(), patience, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if g.Logic, err = logic.NewClient("Logic", opts...); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *Gateway) serve(t testing.TB, listen string) {
	ln, err := endpoint.Listen(listen)
	if err != nil {
		t.Fatal(err)
	}
	g.address = ln.Addr().String()
	quit, ended := make(chan error, 1), make(chan error, 1)
	srv := gateway.NewServer(&contract{g}, rpc.ServerOptions(ln, quit, time.Second)...)
	go func() { ended <- srv.Run() }()
	<-ln.Polled()
	t.Cleanup(func() {
		quit <- nil
		if err := <-ended; err != nil {
			t.Errorf("gateway: %v", err)
		}
		if err := ln.Release(); err != nil {
			t.Errorf("gateway: %v", err)
		}
	})
}

// Address is where the gateway is served: what sessions and packets name.
func (g *Gateway) Address() string { return g.address }

// Epoch is this gateway's epoch.
func (g *Gateway) Epoch() int64 { return g.epoch }

// Fail makes the gateway answer Push, Reply and Kick with an error; nil ends it.
func (g *Gateway) Fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fail = err
}

// PushCalls returns how many Push calls came.
func (g *Gateway) PushCalls() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls
}

// Heartbeat sends one heartbeat. A gateway that never sends one is not known to
// the backend.
func (g *Gateway) Heartbeat(t testing.TB) *holdfast.HeartbeatReply {
	t.Helper()
	g.mu.Lock()
	sessions := int64(len(g.sessions))
	g.mu.Unlock()
	reply, err := g.Logic.Heartbeat(context.Background(), &holdfast.HeartbeatRequest{
		Gateway: g.address, Epoch: g.epoch, Sessions: sessions, Name: "kittest",
	})
	if err != nil {
		t.Fatalf("Heartbeat() = %v", err)
	}
	return reply
}

// Event tells the backend what became of sessions.
func (g *Gateway) Event(t testing.TB, kind holdfast.EventKind, sessions ...*Session) error {
	t.Helper()
	req := &holdfast.EventsRequest{Gateway: g.address, Epoch: g.epoch}
	for _, s := range sessions {
		req.Events = append(req.Events, &holdfast.Event{Session: s.wire(), Kind: kind, AtMs: time.Now().UnixMilli()})
	}
	_, err := g.Logic.Events(context.Background(), req)
	return err
}

// Forward sends packets in one call and returns their replies when all are there,
// those that were deferred included. Session, Seq and the rest are sent as given.
func (g *Gateway) Forward(t testing.TB, packets ...*holdfast.Packet) []*holdfast.Reply {
	t.Helper()
	replies, err := g.TryForward(context.Background(), packets...)
	if err != nil {
		t.Fatalf("Forward() = %v", err)
	}
	return replies
}

// TryForward is Forward for tests that expect it to fail.
func (g *Gateway) TryForward(ctx context.Context, packets ...*holdfast.Packet) ([]*holdfast.Reply, error) {
	waits := make([]chan *holdfast.Reply, len(packets))
	for i, p := range packets {
		waits[i] = g.await(p)
		defer g.forget(p)
	}
	reply, err := g.Logic.Forward(ctx, &holdfast.ForwardRequest{Service: g.service, Packets: packets, Epoch: g.epoch})
	if err != nil {
		return nil, err
	}
	if len(reply.Replies) != len(packets) {
		return nil, fmt.Errorf("%d replies to %d packets", len(reply.Replies), len(packets))
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for i, r := range reply.Replies {
		if !r.Deferred {
			continue
		}
		select {
		case reply.Replies[i] = <-waits[i]:
		case <-ctx.Done():
			return nil, fmt.Errorf("packet %d of session %s was deferred and not answered: %w", packets[i].Seq, packets[i].Session, ctx.Err())
		}
	}
	return reply.Replies, nil
}

func (g *Gateway) await(p *holdfast.Packet) chan *holdfast.Reply {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := make(chan *holdfast.Reply, 1)
	g.late[answerKey{p.Session, p.Seq, p.Attempt}] = c
	return c
}

func (g *Gateway) forget(p *holdfast.Packet) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.late, answerKey{p.Session, p.Seq, p.Attempt})
}
