package kit

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// KickItem ends sessions.
type KickItem struct {
	To     Target    // a session or a uid
	Code   CloseCode // CloseKicked unless another refusal fits; 4000 to 4999
	Reason string    // for the client, at most 120 bytes; the rest is cut off
}

// Kick ends sessions of one gateway and returns how many each item ended. A
// kicked session cannot be resumed. It waits for the answer, at most until ctx is
// done or a call has timed out.
func (p *Pusher) Kick(ctx context.Context, gateway string, items ...KickItem) ([]int, error) {
	req := &holdfast.KickRequest{}
	for _, it := range items {
		req.Items = append(req.Items, &holdfast.KickItem{To: it.To.wire(), Code: int32(it.Code), Reason: cut(it.Reason, reasonBytesMax)})
	}
	var kicked []int
	err := p.call(ctx, gateway, "kick", func(ctx context.Context, to *peer) error {
		reply, err := to.client.Kick(ctx, req)
		if err != nil {
			return err
		}
		for _, n := range reply.Kicked {
			kicked = append(kicked, int(n))
		}
		return sameLength(len(kicked), len(items))
	})
	return kicked, err
}

// Subscription moves one session in and out of topics of 1 to 128 bytes.
type Subscription struct {
	Session string
	Join    []string
	Leave   []string // applied after Join
}

// Subscribed tells what became of a Subscription.
type Subscribed string

// The outcomes of a Subscription.
const (
	SubscribedDone      Subscribed = "done"
	SubscribedNoSession Subscribed = "no_session" // no such session there
	SubscribedTooMany   Subscribed = "too_many"   // beyond the gateway's bound; nothing was done
	SubscribedInvalid   Subscribed = "invalid"    // a topic is empty or too long; nothing was done
)

// Subscribe moves sessions of one gateway in and out of topics. A topic push that
// is given to the Pusher after Subscribe has returned reaches them.
func (p *Pusher) Subscribe(ctx context.Context, gateway string, items ...Subscription) ([]Subscribed, error) {
	req := &holdfast.SubscribeRequest{}
	for _, it := range items {
		req.Items = append(req.Items, &holdfast.SubscribeItem{Session: it.Session, Join: it.Join, Leave: it.Leave})
	}
	var done []Subscribed
	err := p.call(ctx, gateway, "subscribe", func(ctx context.Context, to *peer) error {
		reply, err := to.client.Subscribe(ctx, req)
		if err != nil {
			return err
		}
		for _, r := range reply.Results {
			done = append(done, subscribed(r))
		}
		return sameLength(len(done), len(items))
	})
	return done, err
}

func subscribed(r holdfast.SubscribeResult_) Subscribed {
	switch r {
	case holdfast.SubscribeResult__DONE:
		return SubscribedDone
	case holdfast.SubscribeResult__NO_SESSION:
		return SubscribedNoSession
	case holdfast.SubscribeResult__TOO_MANY:
		return SubscribedTooMany
	default:
		return SubscribedInvalid
	}
}

// Inspection is what a gateway tells of itself and of the sessions asked for.
type Inspection struct {
	Gateway  Gateway
	Draining bool
	Matched  int64 // how many sessions match
	Sessions []InspectedSession
}

// InspectedSession is a session as its gateway sees it.
type InspectedSession struct {
	Session     Session
	LastSeq     int64 // the highest number given to a push
	AckedSeq    int64 // the highest that the client acknowledged
	Unanswered  int   // requests
	QueuedBytes int64 // waiting for a slow client
	Topics      []string
}

// Inspect asks one gateway about sessions and returns at most limit of them (at
// most 1000; 0: only how many there are).
func (p *Pusher) Inspect(ctx context.Context, gateway string, who Target, limit int) (Inspection, error) {
	var out Inspection
	err := p.call(ctx, gateway, "inspect", func(ctx context.Context, to *peer) error {
		reply, err := to.client.Inspect(ctx, &holdfast.InspectRequest{Who: who.wire(), Limit: int32(min(limit, 1000))})
		if err != nil {
			return err
		}
		out = Inspection{
			Gateway:  Gateway{Address: gateway, Name: reply.Name, Epoch: reply.Epoch, Sessions: reply.Total, LastSeen: time.Now()},
			Draining: reply.Draining, Matched: reply.Matched,
		}
		for _, s := range reply.Sessions {
			out.Sessions = append(out.Sessions, InspectedSession{
				Session: session(s.Session), LastSeq: s.LastSeq, AckedSeq: s.AckedSeq,
				Unanswered: int(s.Unanswered), QueuedBytes: s.QueuedBytes, Topics: s.Topics,
			})
		}
		return nil
	})
	return out, err
}

// call makes one call to a gateway within the configured time.
func (p *Pusher) call(ctx context.Context, gateway, what string, f func(context.Context, *peer) error) error {
	to, err := p.peers.get(gateway)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.peers.cfg.CallTimeout)
	defer cancel()
	if err := f(ctx, to); err != nil {
		p.peers.metrics.failedCalls.Inc()
		return fmt.Errorf("%s at gateway %s: %w", what, gateway, err)
	}
	return nil
}

func sameLength(got, want int) error {
	if got != want {
		return fmt.Errorf("answered %d of %d items", got, want)
	}
	return nil
}
