package kit

import (
	"context"
	"fmt"
	"hash/maphash"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudwego/kitex/client"
	"github.com/cloudwego/kitex/pkg/connpool"
	"github.com/cloudwego/kitex/pkg/discovery"
	remotepool "github.com/cloudwego/kitex/pkg/remote/connpool"
	"github.com/cloudwego/kitex/pkg/rpcinfo"
	"github.com/cloudwego/kitex/pkg/stats"
	"github.com/cloudwego/kitex/pkg/transmeta"
	"github.com/cloudwego/kitex/transport"

	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast/gateway"
)

const (
	// stripes is how many batches of pushes may be under way to one gateway:
	// enough for both cores of a small machine and for calls that wait on the
	// network, few enough that batches stay large.
	stripes = 8
	// peersMax bounds the gateways talked to. Addresses come with packets, so a
	// bound keeps a fault there from filling the process.
	peersMax = 4096
	// peerIdle is how long a gateway that sends no Heartbeat keeps its connection.
	peerIdle = time.Minute
)

// peer is one gateway as the kit calls it.
type peer struct {
	address string
	client  gateway.Client
	pool    *remotepool.LongPool
	replies *outbox[late]
	pushes  [stripes]*outbox[*pushed]
	used    atomic.Int64 // Unix ms of the last use
}

// peers are the gateways that something was sent to.
type peers struct {
	// static
	cfg         GatewaysConfig
	metrics     *metrics
	incarnation int64
	seed        maphash.Seed
	ctx         context.Context // ends when the server gives up its calls
	owner       owner

	mu        sync.Mutex
	byAddress map[string]*peer
}

// get returns the peer at an address, made when it is new. It does not connect.
func (ps *peers) get(address string) (*peer, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.byAddress[address]
	if p == nil {
		if len(ps.byAddress) >= peersMax {
			return nil, fmt.Errorf("gateway %s: %w: %d gateways already", address, ErrQueueFull, peersMax)
		}
		var err error
		if p, err = ps.newPeer(address); err != nil {
			return nil, fmt.Errorf("gateway %q: %w", address, err)
		}
		ps.byAddress[address] = p
	}
	p.used.Store(time.Now().UnixMilli())
	return p, nil
}

func (ps *peers) newPeer(address string) (*peer, error) {
	inst, err := gatewayInstance(address)
	if err != nil {
		return nil, err
	}
	p := &peer{address: address, pool: remotepool.NewLongPool("gateway", connpool.IdleConfig{
		MaxIdlePerAddress: stripes + 2, // each stripe, the answers, and a call besides
		MaxIdleGlobal:     stripes + 2,
		MaxIdleTimeout:    peerIdle,
	})}
	p.client, err = gateway.NewClient("gateway",
		client.WithTransportProtocol(transport.TTHeader),
		client.WithMetaHandler(transmeta.ClientTTHeaderHandler), // heeds a server that is leaving
		client.WithResolver(fixedResolver(inst)),
		client.WithConnPool(p.pool),
		client.WithConnectTimeout(ps.cfg.CallTimeout),
		client.WithRPCTimeout(ps.cfg.CallTimeout),
		client.WithStatsLevel(stats.LevelDisabled),
	)
	if err != nil {
		_ = p.pool.Close() // it has no connection yet
		return nil, err
	}
	p.replies = ps.newReplyBox(p)
	for i := range p.pushes {
		p.pushes[i] = ps.newPushBox(p)
	}
	return p, nil
}

// gatewayInstance tells a TCP address from the path of a unix socket.
func gatewayInstance(address string) (discovery.Instance, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok || strings.HasPrefix(address, "/") {
		return discovery.NewInstance("unix", path, discovery.DefaultWeight, nil), nil
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, fmt.Errorf("want host:port or the path of a unix socket: %w", err)
	}
	return discovery.NewInstance("tcp", address, discovery.DefaultWeight, nil), nil
}

// fixedResolver is a resolver that knows one instance.
func fixedResolver(inst discovery.Instance) discovery.Resolver {
	name := inst.Address().String()
	return &discovery.SynthesizedResolver{
		TargetFunc: func(context.Context, rpcinfo.EndpointInfo) string { return name },
		NameFunc:   func() string { return name },
		ResolveFunc: func(context.Context, string) (discovery.Result, error) {
			return discovery.Result{Cacheable: true, CacheKey: name, Instances: []discovery.Instance{inst}}, nil
		},
	}
}

// drop forgets a gateway: what waits for it fails with why.
func (ps *peers) drop(address string, why error) {
	ps.mu.Lock()
	p := ps.byAddress[address]
	delete(ps.byAddress, address)
	ps.mu.Unlock()
	if p != nil {
		p.close(why)
	}
}

func (p *peer) close(why error) {
	p.replies.close(why)
	for _, o := range p.pushes {
		o.close(why)
	}
	_ = p.pool.Close() // it fails only when it is closed already
}

// sweep drops the gateways that nothing was sent to for a while, except those
// that keep says are alive.
func (ps *peers) sweep(now time.Time, keep func(address string) bool) {
	oldest := now.Add(-peerIdle).UnixMilli()
	var idle []*peer
	ps.mu.Lock()
	for address, p := range ps.byAddress {
		if p.used.Load() < oldest && p.idle() && !keep(address) {
			delete(ps.byAddress, address)
			idle = append(idle, p)
		}
	}
	ps.mu.Unlock()
	for _, p := range idle {
		p.close(ErrGatewayLost)
	}
}

// idle reports whether nothing waits for the gateway or is under way to it.
func (p *peer) idle() bool {
	for _, o := range p.pushes {
		if !o.idle() {
			return false
		}
	}
	return p.replies.idle()
}

// flush waits until nothing is to be sent any more, or ctx is done.
func (ps *peers) flush(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ps.idle() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (ps *peers) idle() bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.byAddress {
		if !p.idle() {
			return false
		}
	}
	return true
}

// close drops everything and waits for the calls under way; its context must be
// done already, so that they end.
func (ps *peers) close() {
	ps.mu.Lock()
	all := ps.byAddress
	ps.byAddress = map[string]*peer{}
	ps.mu.Unlock()
	for _, p := range all {
		p.close(ErrNotRunning)
	}
	ps.owner.close()
}

// waiting returns how many answers and how many pushes wait for gateways.
func (ps *peers) waiting() (replies, pushes int) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.byAddress {
		replies += p.replies.waiting()
		for _, o := range p.pushes {
			pushes += o.waiting()
		}
	}
	return replies, pushes
}
