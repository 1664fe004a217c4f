package kit

import (
	"context"
	"errors"
	"time"

	"github.com/holdfast-io/holdfast/backend/kit/internal/engine"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// late is the answer to a packet that Forward deferred.
type late struct {
	reply *holdfast.DeferredReply
	until time.Time // the gateway waits no longer
}

// retryFirst and retryMost bound the pause before answers are sent again. The
// first is about what a gateway needs to accept a fresh connection.
const (
	retryFirst = 10 * time.Millisecond
	retryMost  = 250 * time.Millisecond
)

func (ps *peers) newReplyBox(p *peer) *outbox[late] {
	return &outbox[late]{
		limits: ps.cfg,
		spawn:  ps.owner.run,
		size:   func(l late) int { return len(l.reply.Reply.Payload) },
		send:   func(batch []late) { ps.sendReplies(p, batch) },
		drop:   func(items []late, _ error) { ps.metrics.late(lateLost, len(items)) },
	}
}

// reply sends the answer to a deferred packet to its gateway, which waits for it
// for so long. It never blocks; an answer that cannot be queued is lost, and
// counted.
func (ps *peers) reply(service string, p *holdfast.Packet, a engine.Answer, within time.Duration) {
	l := late{reply: deferredReply(service, p, a), until: time.Now().Add(within)}
	to, err := ps.get(p.Gateway)
	if err == nil {
		err = to.replies.put(l)
	}
	switch {
	case err == nil:
	case errors.Is(err, ErrQueueFull):
		ps.metrics.late(lateQueueFull, 1)
	default:
		ps.metrics.late(lateLost, 1)
	}
}

func deferredReply(service string, p *holdfast.Packet, a engine.Answer) *holdfast.DeferredReply {
	r := &holdfast.Reply{}
	engine.Fill(r, a)
	return &holdfast.DeferredReply{Session: p.Session, Service: service, Seq: p.Seq, Attempt: p.Attempt, Reply: r}
}

// sendReplies sends a batch, again and again while any of its answers is still
// awaited. Sending one twice is harmless: the gateway takes the first.
func (ps *peers) sendReplies(p *peer, batch []late) {
	pause := retryFirst
	for {
		n := len(batch)
		batch = awaited(batch, time.Now())
		ps.metrics.late(lateExpired, n-len(batch))
		if len(batch) == 0 {
			return
		}
		err := ps.callReply(p, batch)
		if err == nil {
			ps.metrics.late(lateSent, len(batch))
			return
		}
		ps.metrics.failedCalls.Inc()
		select {
		case <-ps.ctx.Done():
			ps.metrics.late(lateLost, len(batch))
			return
		case <-time.After(pause):
			pause = min(2*pause, retryMost)
		}
	}
}

// awaited keeps the answers that a gateway still waits for. A fresh slice, as a
// call that timed out may still be reading the old one's items.
func awaited(batch []late, now time.Time) []late {
	kept := make([]late, 0, len(batch))
	for _, l := range batch {
		if now.Before(l.until) {
			kept = append(kept, l)
		}
	}
	return kept
}

func (ps *peers) callReply(p *peer, batch []late) error {
	req := &holdfast.ReplyRequest{Replies: make([]*holdfast.DeferredReply, len(batch)), Incarnation: ps.incarnation}
	for i, l := range batch {
		req.Replies[i] = l.reply
	}
	ctx, cancel := context.WithTimeout(ps.ctx, ps.cfg.CallTimeout)
	defer cancel()
	_, err := p.client.Reply(ctx, req)
	return err
}
