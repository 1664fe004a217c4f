package kit

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast/gateway"
	"github.com/holdfast-io/holdfast/idl/rpc"
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
	pool    rpc.Pool
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

	mu        sync.Mutex // guards the following
	running   bool       // between start and close
	byAddress map[string]*peer
}

// start lets things be sent.
func (ps *peers) start() {
	ps.mu.Lock()
	ps.running = true
	ps.mu.Unlock()
	ps.owner.start()
}

// get returns the peer at an address, made when it is new. It does not connect.
func (ps *peers) get(address string) (*peer, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if !ps.running {
		return nil, ErrNotRunning
	}
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
	// each stripe, the answers, and a call besides
	opts, pool, err := rpc.ClientOptions(address, ps.cfg.CallTimeout, stripes+2)
	if err != nil {
		return nil, err
	}
	p := &peer{address: address, pool: pool}
	if p.client, err = gateway.NewClient("Gateway", opts...); err != nil {
		pool.Close()
		return nil, err
	}
	p.replies = ps.newReplyBox(p)
	for i := range p.pushes {
		p.pushes[i] = ps.newPushBox(p)
	}
	return p, nil
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
	p.pool.Close()
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
	ps.running = false
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
