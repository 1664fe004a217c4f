package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/holdfast-io/holdfast/idl/endpoint"
	hf "github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast/logic"
	"github.com/holdfast-io/holdfast/idl/rpc"
)

// bare is an instance without the kit, as another language's would be: what its
// handlers throw fails the whole call. Its Heartbeat goes on answering, which is
// what makes such an instance hard to tell from a good one.
type bare struct {
	*recorder
	incarnation int64
}

// serveBare serves until ctx is done.
func (r *recorder) serveBare(ctx context.Context) error {
	ln, err := endpoint.Listen(r.settings.Listen)
	if err != nil {
		return err
	}
	defer ln.Release()
	quit := make(chan error, 1)
	server := logic.NewServer(&bare{r, time.Now().UnixNano()}, rpc.ServerOptions(ln, quit, time.Second)...)
	go func() {
		<-ctx.Done()
		<-ln.Polled() // Kitex may only be stopped once it polls
		quit <- nil
	}()
	go func() {
		<-ln.Polled()
		fmt.Fprintln(os.Stderr, "msg=serving bare")
	}()
	return server.Run()
}

// Connect implements the contract.
func (b *bare) Connect(_ context.Context, req *hf.ConnectRequest) (*hf.ConnectReply, error) {
	reply := &hf.ConnectReply{Incarnation: b.incarnation}
	for _, item := range req.Items {
		reply.Results = append(reply.Results, &hf.ConnectResult_{Uid: item.Token})
	}
	return reply, nil
}

// Forward implements the contract. It notes each packet's arrival, for that is
// an attempt, also when it then fails the call.
func (b *bare) Forward(_ context.Context, req *hf.ForwardRequest) (*hf.ForwardReply, error) {
	for _, p := range req.Packets {
		b.note('a', p.Payload, int(p.Attempt))
	}
	reply := &hf.ForwardReply{Incarnation: b.incarnation}
	switch m := b.mode.Load(); {
	case m.throw:
		return nil, errors.New("told to throw")
	case m.refuse:
		for range req.Packets {
			reply.Replies = append(reply.Replies, &hf.Reply{NotExecuted: true, Reason: "past_start_by"})
		}
		return reply, nil
	case m.slow > 0:
		time.Sleep(m.slow) // it does not heed that nobody waits any more
		return nil, errors.New("told to be slow")
	}
	for _, p := range req.Packets {
		b.note('b', p.Payload, int(p.Attempt))
		b.note('e', p.Payload, int(p.Attempt))
		reply.Replies = append(reply.Replies, &hf.Reply{Payload: []byte(b.settings.ID)})
	}
	return reply, nil
}

// Events implements the contract.
func (b *bare) Events(context.Context, *hf.EventsRequest) (*hf.EventsReply, error) {
	return &hf.EventsReply{Incarnation: b.incarnation}, nil
}

// Heartbeat implements the contract.
func (b *bare) Heartbeat(context.Context, *hf.HeartbeatRequest) (*hf.HeartbeatReply, error) {
	return &hf.HeartbeatReply{Incarnation: b.incarnation, TimeMs: time.Now().UnixMilli()}, nil
}
