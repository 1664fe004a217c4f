package dispatcher_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/cloudwego/kitex/server"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/dispatcher"
	"github.com/holdfast-io/holdfast/dispatcher/discovery"
	hf "github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast/logic"
)

// shouter is a backend: it lets everybody in and shouts back. Real ones are
// written with backend/kit.
type shouter struct{}

func (*shouter) Connect(_ context.Context, req *hf.ConnectRequest) (*hf.ConnectReply, error) {
	reply := &hf.ConnectReply{Incarnation: 1}
	for _, item := range req.Items {
		reply.Results = append(reply.Results, &hf.ConnectResult_{Uid: item.Token})
	}
	return reply, nil
}

func (*shouter) Forward(_ context.Context, req *hf.ForwardRequest) (*hf.ForwardReply, error) {
	reply := &hf.ForwardReply{Incarnation: 1}
	for _, p := range req.Packets {
		shout := strings.ToUpper(string(p.Payload))
		reply.Replies = append(reply.Replies, &hf.Reply{Payload: []byte(shout)})
	}
	return reply, nil
}

func (*shouter) Events(context.Context, *hf.EventsRequest) (*hf.EventsReply, error) {
	return &hf.EventsReply{Incarnation: 1}, nil
}

func (*shouter) Heartbeat(context.Context, *hf.HeartbeatRequest) (*hf.HeartbeatReply, error) {
	return &hf.HeartbeatReply{Incarnation: 1, TimeMs: time.Now().UnixMilli()}, nil
}

// printer is a Sink: it takes the answers to a session's requests.
type printer struct{ answered chan struct{} }

func (p printer) Reply(id uint32, status uint8, payload []byte) {
	fmt.Printf("reply to %d: status %d, %s\n", id, status, payload)
}

func (p printer) Refuse(id uint32, status uint8, reason, _ string, _ time.Duration) {
	fmt.Printf("request %d was refused: status %d, %s\n", id, status, reason)
}

func (p printer) Flush() { p.answered <- struct{}{} }

// A dispatcher finds the instances of its services, has a client judged, and
// carries its requests.
func Example() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	backend := logic.NewServer(&shouter{}, server.WithListener(listener), server.WithExitSignal(func() <-chan error { return nil }))
	served := make(chan error)
	go func() { served <- backend.Run() }()

	cfg := dispatcher.DefaultConfig()
	cfg.Services = []dispatcher.ServiceConfig{{
		Name:      "shout",
		Instances: []dispatcher.InstanceConfig{{Address: listener.Addr().String()}},
	}}
	cfg.Routes = []dispatcher.RouteConfig{{Prefix: "shout.", Service: "shout"}}
	cfg.Login.Service = "shout"
	found, err := discovery.NewStatic(cfg.Instances())
	if err != nil {
		panic(err)
	}
	self := dispatcher.Self{Gateway: "127.0.0.1:7001", Name: "gw-1", Epoch: time.Now().UnixNano()}
	d, err := dispatcher.New(cfg, self, found, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error)
	go func() { ran <- d.Run(ctx) }()

	verdicts := make(chan dispatcher.Verdict)
	d.Connect(dispatcher.Login{Session: "s1", Token: "alice"}, func(v dispatcher.Verdict) { verdicts <- v })
	v := <-verdicts
	if v.CloseCode != 0 { // refused, or nobody could judge: v.Reason, v.RetryAfter
		panic(v.Reason)
	}
	fmt.Println("welcome", v.UID)

	sink := printer{make(chan struct{}, 10)}
	lanes := d.Open(dispatcher.Origin{Session: "s1", UID: v.UID, Attrs: v.Attrs}, v.Service, sink)
	lanes.Submit(1, []byte("shout.out"), []byte("hello"))
	<-sink.answered
	lanes.Submit(2, []byte("whisper.in"), []byte("hello"))
	<-sink.answered
	lanes.End("normal")

	stop()
	if err := <-ran; err != nil {
		panic(err)
	}
	_ = backend.Stop()
	<-served
	// Output:
	// welcome alice
	// reply to 1: status 0, HELLO
	// request 2 was refused: status 12, no_route
}
