package kittest

import (
	"context"

	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// contract is the Gateway contract as Kitex calls it.
type contract struct{ g *Gateway }

// Push implements holdfast.Gateway.
func (c *contract) Push(_ context.Context, req *holdfast.PushRequest) (*holdfast.PushReply, error) {
	g := c.g
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls++
	if g.fail != nil {
		return nil, g.fail
	}
	reply := &holdfast.PushReply{Epoch: g.epoch}
	for _, item := range req.Items {
		r := &holdfast.PushResult_{}
		for _, s := range g.matchLocked(item.To) {
			if item.ExceptSession == nil || *item.ExceptSession != s.ID {
				s.takeLocked(item)
				r.Delivered++
			}
		}
		if r.Delivered == 0 {
			r.Refusal = holdfast.PushRefusal_NO_SESSION
		}
		reply.Results = append(reply.Results, r)
	}
	return reply, nil
}

func (g *Gateway) matchLocked(to *holdfast.Target) []*Session {
	var found []*Session
	for _, s := range g.sessions {
		switch {
		case to.Session != nil && *to.Session == s.ID,
			to.Uid != nil && *to.Uid == s.UID,
			to.Topic != nil && s.topics[*to.Topic],
			to.All != nil && *to.All:
			found = append(found, s)
		}
	}
	return found
}

// Reply implements holdfast.Gateway.
func (c *contract) Reply(_ context.Context, req *holdfast.ReplyRequest) (*holdfast.ReplyReply, error) {
	g := c.g
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fail != nil {
		return nil, g.fail
	}
	reply := &holdfast.ReplyReply{}
	for _, r := range req.Replies {
		key := answerKey{r.Session, r.Seq, r.Attempt}
		if wait := g.late[key]; wait != nil && r.Service == g.service {
			wait <- r.Reply // one place, and the key is gone after it
			delete(g.late, key)
			reply.Accepted++
		}
	}
	return reply, nil
}

// Kick implements holdfast.Gateway.
func (c *contract) Kick(_ context.Context, req *holdfast.KickRequest) (*holdfast.KickReply, error) {
	g := c.g
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fail != nil {
		return nil, g.fail
	}
	reply := &holdfast.KickReply{}
	for _, item := range req.Items {
		ended := g.matchLocked(item.To)
		for _, s := range ended {
			s.kicked = item.Code
			delete(g.sessions, s.ID)
		}
		reply.Kicked = append(reply.Kicked, int32(len(ended)))
	}
	return reply, nil
}

// Subscribe implements holdfast.Gateway.
func (c *contract) Subscribe(_ context.Context, req *holdfast.SubscribeRequest) (*holdfast.SubscribeReply, error) {
	g := c.g
	g.mu.Lock()
	defer g.mu.Unlock()
	reply := &holdfast.SubscribeReply{}
	for _, item := range req.Items {
		s := g.sessions[item.Session]
		if s == nil {
			reply.Results = append(reply.Results, holdfast.SubscribeResult__NO_SESSION)
			continue
		}
		for _, topic := range item.Join {
			s.topics[topic] = true
		}
		for _, topic := range item.Leave {
			delete(s.topics, topic)
		}
		reply.Results = append(reply.Results, holdfast.SubscribeResult__DONE)
	}
	return reply, nil
}

// Inspect implements holdfast.Gateway.
func (c *contract) Inspect(_ context.Context, req *holdfast.InspectRequest) (*holdfast.InspectReply, error) {
	g := c.g
	g.mu.Lock()
	defer g.mu.Unlock()
	found := g.matchLocked(req.Who)
	reply := &holdfast.InspectReply{Name: "kittest", Epoch: g.epoch, Matched: int64(len(found)), Total: int64(len(g.sessions))}
	for _, s := range found[:min(len(found), int(req.Limit))] {
		reply.Sessions = append(reply.Sessions, &holdfast.InspectedSession{Session: s.wire()})
	}
	return reply, nil
}
