package push

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// Push delivers to sessions of this gateway. Each session gets the items in the
// order of the list. Items that follow one another with one target are written
// together.
func (s *Service) Push(_ context.Context, req *holdfast.PushRequest) (*holdfast.PushReply, error) {
	if n := len(req.Items); n > pushItemsMax {
		return nil, tooMany("items", n, pushItemsMax)
	}
	_, epoch := s.gateway.Self()
	reply := &holdfast.PushReply{Results: make([]*holdfast.PushResult_, len(req.Items)), Epoch: epoch}
	var run run
	for i, item := range req.Items {
		result := &holdfast.PushResult_{}
		reply.Results[i] = result
		one, err := s.parse(item)
		if err != nil {
			result.Refusal, result.Message = holdfast.PushRefusal_INVALID, err.Error()
			s.metrics.invalid.Inc()
			continue
		}
		if len(run.items) > 0 && run.to != one.to {
			s.deliver(&run)
		}
		one.result = result
		run.to = one.to
		run.items = append(run.items, one)
	}
	s.deliver(&run)
	return reply, nil
}

// run is items that follow one another and have one target.
type run struct {
	to    target
	items []item
}

type item struct {
	to     target
	except string
	push   session.Push
	result *holdfast.PushResult_
}

// parse checks an item against the contract's limits.
func (s *Service) parse(in *holdfast.PushItem) (item, error) {
	if in == nil {
		return item{}, fmt.Errorf("item: missing")
	}
	to, err := parseTarget(in.To)
	switch {
	case err != nil:
		return item{}, err
	case !wire.ValidCommand([]byte(in.Command)):
		return item{}, fmt.Errorf("command: %.70q, want 1 to %d bytes of a-z 0-9 . _ -", in.Command, wire.CommandBytesMax)
	case in.Command[0] == '$':
		return item{}, fmt.Errorf("command: %.70q, a leading $ is the gateway's own", in.Command)
	case len(in.Key) > keyBytesMax:
		return item{}, fmt.Errorf("key: %d bytes, at most %d", len(in.Key), keyBytesMax)
	case in.TtlMs < 0:
		return item{}, fmt.Errorf("ttl_ms: %d, want 0 or more", in.TtlMs)
	}
	return item{to: to, except: in.GetExceptSession(), push: s.pushOf(in)}, nil
}

// pushOf makes the push of a checked item. key and ttl_ms are for transient
// pushes. Where a class wants only the latest, a command without a key is its
// own key.
func (s *Service) pushOf(in *holdfast.PushItem) session.Push {
	p := session.Push{Command: []byte(in.Command), Payload: in.Payload, Reliable: in.Reliable}
	if p.Reliable {
		return p
	}
	p.Key, p.TTL, p.Slow = in.Key, millis(in.TtlMs), s.slow(p.Command)
	if p.Key == "" && p.Slow == session.SlowConflate {
		p.Key = in.Command
	}
	return p
}

// keyBytesMax is the contract's bound on a push's key.
const keyBytesMax = 64

// deliver pushes a run session by session, so that each is written to once, and
// empties it.
func (s *Service) deliver(r *run) {
	if len(r.items) == 0 {
		return
	}
	s.each(r.to, func(to *session.Session) bool {
		for i := range r.items {
			if it := &r.items[i]; it.except == "" || it.except != to.ID() {
				count(it.result, to.Push(&it.push))
			}
		}
		to.Flush()
		return true
	})
	for i := range r.items {
		if res := r.items[i].result; res.Delivered == 0 && res.Refusal == holdfast.PushRefusal_NONE {
			res.Refusal = holdfast.PushRefusal_NO_SESSION
		}
	}
	*r = run{items: r.items[:0]}
}

// count adds one session's outcome to an item's result.
func count(r *holdfast.PushResult_, o session.PushOutcome) {
	switch o {
	case session.PushTaken:
		r.Delivered++
	case session.PushSlow, session.PushDropped:
		r.Refused++
		r.Refusal = holdfast.PushRefusal_QUEUE_FULL
	case session.PushTooLarge:
		r.Refused++
		r.Refusal = holdfast.PushRefusal_TOO_LARGE
		r.Message = "payload: does not fit the gateway's max_frame"
	case session.PushNoOne, session.PushCut:
		// It ended while we looked, or waits for a resume, and a transient push
		// is for who is there now.
	}
}

func millis(ms int32) time.Duration { return time.Duration(ms) * time.Millisecond }
