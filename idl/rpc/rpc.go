// Package rpc is what the contract's Kitex servers and clients have in common: one
// protocol (Thrift over TTHeader), TCP or unix sockets, no guessing between
// several, no tracing.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/cloudwego/kitex/client"
	"github.com/cloudwego/kitex/pkg/connpool"
	"github.com/cloudwego/kitex/pkg/discovery"
	"github.com/cloudwego/kitex/pkg/proxy"
	"github.com/cloudwego/kitex/pkg/remote/codec"
	remotepool "github.com/cloudwego/kitex/pkg/remote/connpool"
	"github.com/cloudwego/kitex/pkg/remote/trans/netpoll"
	"github.com/cloudwego/kitex/pkg/rpcinfo"
	"github.com/cloudwego/kitex/pkg/rpcinfo/remoteinfo"
	"github.com/cloudwego/kitex/pkg/stats"
	"github.com/cloudwego/kitex/pkg/transmeta"
	"github.com/cloudwego/kitex/server"
	"github.com/cloudwego/kitex/transport"

	"github.com/holdfast-io/holdfast/idl/endpoint"
)

// callBytesMax bounds one call: 1024 packets of 64 KiB, which is the default
// max_frame.
const callBytesMax = 64 << 20

// ServerOptions returns the options of a server on ln. It stops when quit has a
// value, within exitWait.
func ServerOptions(ln *endpoint.Listener, quit <-chan error, exitWait time.Duration) []server.Option {
	return []server.Option{
		server.WithListener(ln),
		// The default handler would also detect gRPC and other protocols.
		server.WithTransHandlerFactory(netpoll.NewSvrTransHandlerFactory()),
		server.WithCodec(codec.NewDefaultCodecWithSizeLimit(callBytesMax)),
		server.WithMetaHandler(transmeta.ServerTTHeaderHandler),    // tells clients to go when it is leaving
		server.WithExitSignal(func() <-chan error { return quit }), // signals are the program's business
		server.WithExitWaitTime(max(exitWait, time.Second)),
		server.WithStatsLevel(stats.LevelDisabled),
	}
}

// Pool is the connections of one client.
type Pool struct{ long *remotepool.LongPool }

// Close closes the idle connections; those in use are closed after use. A client
// without its pool connects anew for each call.
func (p Pool) Close() { _ = p.long.Close() } // fails only when closed already

// ClientOptions returns the options of a client for one address, host:port or
// the path of a unix socket, and the pool that must be closed in the end. timeout
// bounds the connection and each call; conns is how many are kept when idle.
func ClientOptions(address string, timeout time.Duration, conns int) ([]client.Option, Pool, error) {
	inst, err := instance(address)
	if err != nil {
		return nil, Pool{}, err
	}
	pool := remotepool.NewLongPool("holdfast", connpool.IdleConfig{
		MaxIdlePerAddress: conns, MaxIdleGlobal: conns, MaxIdleTimeout: time.Minute,
	})
	return []client.Option{
		client.WithTransportProtocol(transport.TTHeader),
		client.WithMetaHandler(transmeta.ClientTTHeaderHandler), // heeds a server that is leaving
		client.WithProxy(fixed{inst}),
		client.WithConnPool(pool),
		client.WithConnectTimeout(timeout),
		client.WithRPCTimeout(timeout),
		client.WithStatsLevel(stats.LevelDisabled),
	}, Pool{pool}, nil
}

// instance tells a TCP address from the path of a unix socket.
func instance(address string) (discovery.Instance, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); path != "" && (ok || strings.HasPrefix(address, "/")) {
		return discovery.NewInstance("unix", path, discovery.DefaultWeight, nil), nil
	}
	if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
		return nil, fmt.Errorf("%q, want host:port or the path of a unix socket", address)
	}
	return discovery.NewInstance("tcp", address, discovery.DefaultWeight, nil), nil
}

// fixed sends every call to one instance. It takes the place of a resolver and a
// load balancer, which cost a goroutine a client that never ends.
type fixed struct{ inst discovery.Instance }

// Configure implements proxy.ForwardProxy.
func (fixed) Configure(*proxy.Config) error { return nil }

// ResolveProxyInstance implements proxy.ForwardProxy.
func (f fixed) ResolveProxyInstance(ctx context.Context) error {
	to := remoteinfo.AsRemoteInfo(rpcinfo.GetRPCInfo(ctx).To())
	if to == nil {
		return errors.New("call has no remote endpoint")
	}
	to.SetInstance(f.inst)
	return nil
}
