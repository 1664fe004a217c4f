package kit

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"

	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// Pusher sends pushes to gateways. Pushes for one gateway are sent in batches:
// while a call is under way the next batch gathers. Pushes with the same order
// key arrive at a gateway in the order in which they were given; one batch a
// gateway and order key is under way at a time.
//
// A push that fails with an error may or may not have arrived, except where the
// error says that nothing was sent; the Pusher does not send it again. One whose
// call timed out may even arrive after those that were given later.
type Pusher struct {
	peers    *peers
	gateways *gateways
}

// pushed is a push on its way.
type pushed struct {
	item *holdfast.PushItem
	done func(Result, error)
}

// Push sends one push and waits for the gateway's answer, at most until ctx is
// done or a call has timed out. When ctx is done first the push may still go out.
// A push that no session took is not an error: see Result.
func (p *Pusher) Push(ctx context.Context, gateway string, item Push) (Result, error) {
	type answer struct {
		r   Result
		err error
	}
	answered := make(chan answer, 1)
	if err := p.PushAsync(gateway, item, func(r Result, err error) { answered <- answer{r, err} }); err != nil {
		return Result{}, err
	}
	select {
	case a := <-answered:
		return a.r, a.err
	case <-ctx.Done():
		return Result{}, fmt.Errorf("push to gateway %s: %w", gateway, ctx.Err())
	}
}

// PushAsync queues one push and returns at once. done is called exactly once, on
// a goroutine of the Pusher that it must not block; nil: the caller does not
// care. An error of PushAsync itself (ErrQueueFull, ErrInvalidPush,
// ErrNotRunning) means that nothing was queued and done is not called.
func (p *Pusher) PushAsync(gateway string, item Push, done func(Result, error)) error {
	if err := item.Validate(); err != nil {
		return err
	}
	to, err := p.peers.get(gateway)
	if err != nil {
		return err
	}
	if done == nil {
		done = func(Result, error) {}
	}
	stripe := 0
	if item.Order != "" {
		stripe = int(maphash.String(p.peers.seed, item.Order) % stripes)
	}
	if err := to.pushes[stripe].put(&pushed{item.wire(), done}); err != nil {
		if errors.Is(err, ErrQueueFull) {
			p.peers.metrics.push(pushQueueFull, 1)
		}
		return fmt.Errorf("gateway %s: %w", gateway, err)
	}
	return nil
}

// Broadcast sends one push to every gateway that is alive and adds up what they
// answered. It returns the errors of those that failed, joined.
func (p *Pusher) Broadcast(ctx context.Context, item Push) (Result, error) {
	type answer struct {
		r   Result
		err error
	}
	to := p.gateways.list()
	answers := make(chan answer, len(to))
	var errs []error
	sent := 0
	for _, g := range to {
		err := p.PushAsync(g.Address, item, func(r Result, err error) { answers <- answer{r, err} })
		if err != nil {
			errs = append(errs, err)
			continue
		}
		sent++
	}
	var sum Result
	for range sent {
		select {
		case a := <-answers:
			sum.add(a.r)
			errs = append(errs, a.err)
		case <-ctx.Done():
			return sum, errors.Join(append(errs, fmt.Errorf("broadcast: %w", ctx.Err()))...)
		}
	}
	return sum, errors.Join(errs...)
}

// add sums up the answers of several gateways. Nobody there is not worth telling
// when somebody was elsewhere.
func (r *Result) add(o Result) {
	r.Delivered += o.Delivered
	r.Refused += o.Refused
	if r.Refusal == NotRefused || r.Refusal == NoSession {
		r.Refusal, r.Message = o.Refusal, o.Message
	}
	if r.Refusal == NoSession && r.Delivered > 0 {
		r.Refusal = NotRefused
	}
}

// wire returns the push as the contract has it.
func (p *Push) wire() *holdfast.PushItem {
	item := &holdfast.PushItem{
		To: p.To.wire(), Command: p.Command, Payload: p.Payload, Reliable: p.Reliable, Key: p.Key,
		TtlMs: int32(min(p.TTL.Milliseconds(), 1<<31-1)),
	}
	if p.TTL > 0 && item.TtlMs == 0 {
		item.TtlMs = 1 // 0 would mean no bound
	}
	if p.ExceptSession != "" {
		item.ExceptSession = &p.ExceptSession
	}
	return item
}

func (t Target) wire() *holdfast.Target {
	all := true
	switch t.kind {
	case toSession:
		return &holdfast.Target{Session: &t.name}
	case toUID:
		return &holdfast.Target{Uid: &t.name}
	case toTopic:
		return &holdfast.Target{Topic: &t.name}
	case toAll:
		return &holdfast.Target{All: &all}
	default:
		return &holdfast.Target{}
	}
}

func (ps *peers) newPushBox(p *peer) *outbox[*pushed] {
	return &outbox[*pushed]{
		limits: ps.cfg,
		spawn:  ps.owner.run,
		size:   func(x *pushed) int { return len(x.item.Payload) },
		send:   func(batch []*pushed) { ps.sendPushes(p, batch) },
		drop: func(items []*pushed, why error) {
			ps.metrics.push(pushDropped, len(items))
			for _, x := range items {
				x.done(Result{}, fmt.Errorf("gateway %s: %w: nothing was sent", p.address, why))
			}
		},
	}
}

func (ps *peers) sendPushes(p *peer, batch []*pushed) {
	req := &holdfast.PushRequest{Items: make([]*holdfast.PushItem, len(batch))}
	for i, x := range batch {
		req.Items[i] = x.item
	}
	ctx, cancel := context.WithTimeout(ps.ctx, ps.cfg.CallTimeout)
	defer cancel()
	reply, err := p.client.Push(ctx, req)
	if err == nil && len(reply.Results) != len(batch) {
		err = fmt.Errorf("answered %d of %d pushes", len(reply.Results), len(batch))
	}
	if err != nil {
		ps.metrics.failedCalls.Inc()
		ps.metrics.push(pushFailed, len(batch))
		err = fmt.Errorf("push to gateway %s: %w", p.address, err)
		for _, x := range batch {
			x.done(Result{}, err)
		}
		return
	}
	for i, x := range batch {
		r := result(reply.Results[i])
		ps.metrics.push(pushOutcome(r), 1)
		x.done(r, nil)
	}
}

func result(r *holdfast.PushResult_) Result {
	return Result{Delivered: int(r.Delivered), Refused: int(r.Refused), Refusal: pushRefusal(r.Refusal), Message: r.Message}
}

func pushRefusal(r holdfast.PushRefusal) PushRefusal {
	switch r {
	case holdfast.PushRefusal_NONE:
		return NotRefused
	case holdfast.PushRefusal_NO_SESSION:
		return NoSession
	case holdfast.PushRefusal_QUEUE_FULL:
		return SlowClient
	case holdfast.PushRefusal_INVALID:
		return InvalidPush
	case holdfast.PushRefusal_TOO_LARGE:
		return PushTooLarge
	default:
		return UnknownReason
	}
}
