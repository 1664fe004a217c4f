package dispatcher

import (
	"context"
	"time"

	"github.com/cloudwego/kitex/client"
	"github.com/cloudwego/kitex/pkg/discovery"
	"github.com/cloudwego/kitex/pkg/proxy"
	"github.com/cloudwego/kitex/pkg/remote"
	"github.com/cloudwego/kitex/pkg/remote/trans"
	knetpoll "github.com/cloudwego/kitex/pkg/remote/trans/netpoll"
	"github.com/cloudwego/kitex/pkg/rpcinfo"
	"github.com/cloudwego/kitex/pkg/rpcinfo/remoteinfo"
	"github.com/cloudwego/kitex/pkg/stats"
	"github.com/cloudwego/kitex/transport"

	hf "github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast/logic"
)

// caller makes calls to one instance. Its methods block until the call's deadline
// at most and may be called from several goroutines.
type caller interface {
	Forward(c *call, req *hf.ForwardRequest) (*hf.ForwardReply, error)
	Connect(c *call, req *hf.ConnectRequest) (*hf.ConnectReply, error)
	Events(c *call, req *hf.EventsRequest) (*hf.EventsReply, error)
	Heartbeat(c *call, req *hf.HeartbeatRequest) (*hf.HeartbeatReply, error)
	// dropIdle closes the connections that no call uses, and those that a call uses
	// once it is done.
	dropIdle()
	close()
}

// dialFunc makes a caller for one instance. It connects to nobody yet.
type dialFunc func(network, address string, cfg ServiceConfig) (caller, error)

// call is the context of one call: its deadline, and how far it got. It has no
// Done channel, which spares Kitex a goroutine and a timer for each call; the
// connection keeps the deadline instead.
type call struct {
	context.Context // always context.Background: nothing of a caller's travels
	deadline        time.Time
	stage           stage
	conn            *pooledConn // the one that Kitex got for it
	peer            int64       // the incarnation at its other end; 0: not known
}

type callKey struct{}

func newCall(timeout time.Duration) *call {
	return &call{Context: context.Background(), deadline: time.Now().Add(timeout)}
}

// Deadline implements context.Context.
func (c *call) Deadline() (time.Time, bool) { return c.deadline, true }

// Value implements context.Context.
func (c *call) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// callOf finds the call again in a context that Kitex has derived from it.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// kitexCaller calls over TTHeader with pooled connections.
type kitexCaller struct {
	client logic.Client
	pool   *connPool
}

// dialKitex makes a Kitex client that does only what is needed: no resolver, no
// balancer, no retries, no statistics, no time-out goroutine. Each of them costs
// time on every call, and the dispatcher decides those things itself.
func dialKitex(network, address string, cfg ServiceConfig) (caller, error) {
	pool := newConnPool(cfg.CallsInFlight + 2) // two more for heartbeat, logins and events
	c, err := logic.NewClient(cfg.Name,
		client.WithTransportProtocol(transport.TTHeader),
		client.WithStatsLevel(stats.LevelDisabled),
		client.WithConnectTimeout(cfg.ConnectTimeout),
		client.WithProxy(&fixedInstance{discovery.NewInstance(network, address, 1, nil)}),
		client.WithTransHandlerFactory(stageHandlers{}),
		client.WithConnPool(pool),
	)
	if err != nil {
		return nil, err
	}
	return &kitexCaller{client: c, pool: pool}, nil
}

func (k *kitexCaller) Forward(c *call, req *hf.ForwardRequest) (*hf.ForwardReply, error) {
	reply, err := k.client.Forward(c, req)
	if reply != nil {
		c.learn(reply.Incarnation)
	}
	return reply, err
}

func (k *kitexCaller) Connect(c *call, req *hf.ConnectRequest) (*hf.ConnectReply, error) {
	reply, err := k.client.Connect(c, req)
	if reply != nil {
		c.learn(reply.Incarnation)
	}
	return reply, err
}

func (k *kitexCaller) Events(c *call, req *hf.EventsRequest) (*hf.EventsReply, error) {
	reply, err := k.client.Events(c, req)
	if reply != nil {
		c.learn(reply.Incarnation)
	}
	return reply, err
}

func (k *kitexCaller) Heartbeat(c *call, req *hf.HeartbeatRequest) (*hf.HeartbeatReply, error) {
	reply, err := k.client.Heartbeat(c, req)
	if reply != nil {
		c.learn(reply.Incarnation)
	}
	return reply, err
}

// learn notes who is at the other end of the call's connection. It may be in other
// hands already, but its peer does not change.
func (c *call) learn(incarnation int64) {
	if c.conn != nil {
		c.conn.peer.Store(incarnation)
	}
}

func (k *kitexCaller) dropIdle() { k.pool.drop() }
func (k *kitexCaller) close()    { _ = k.pool.Close() } // it cannot fail

// fixedInstance is a Kitex proxy that sends everything to one address.
type fixedInstance struct{ instance discovery.Instance }

func (*fixedInstance) Configure(*proxy.Config) error { return nil }

func (f *fixedInstance) ResolveProxyInstance(ctx context.Context) error {
	remoteinfo.AsRemoteInfo(rpcinfo.GetRPCInfo(ctx).To()).SetInstance(f.instance)
	return nil
}

// stageHandlers make Kitex's own netpoll handler, with an extension that notes how
// far a call got and leaves deadlines to the pool.
type stageHandlers struct{}

func (stageHandlers) NewTransHandler(opt *remote.ClientOption) (remote.ClientTransHandler, error) {
	return trans.NewDefaultCliTransHandler(opt, stageExtension{knetpoll.NewNetpollConnExtension()})
}

type stageExtension struct{ trans.Extension }

// SetReadTimeout does nothing: the pool has set the call's deadline.
func (stageExtension) SetReadTimeout(context.Context, netConn, rpcinfo.RPCConfig, remote.RPCRole) {}

// NewReadByteBuffer is called when the request is out.
func (e stageExtension) NewReadByteBuffer(ctx context.Context, conn netConn, msg remote.Message) remote.ByteBuffer {
	if c := callOf(ctx); c != nil {
		c.stage = stageSent
	}
	return e.Extension.NewReadByteBuffer(ctx, conn, msg)
}
