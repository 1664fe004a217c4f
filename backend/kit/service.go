package kit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-io/holdfast/backend/kit/internal/engine"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// service is the Logic contract as Kitex calls it.
type service struct{ s *Server }

// Connect implements holdfast.Logic.
func (v *service) Connect(_ context.Context, req *holdfast.ConnectRequest) (*holdfast.ConnectReply, error) {
	ls := v.s.logins
	reply := &holdfast.ConnectReply{Incarnation: v.s.incarnation}
	if v.s.refusing() {
		b := &loginBatch{items: req.Items, results: make([]*holdfast.ConnectResult_, len(req.Items))}
		reply.Results = ls.refuseAll(b, string(engine.Draining))
		return reply, nil
	}
	reply.Results = ls.judgeAll(req.Items)
	return reply, nil
}

// Forward implements holdfast.Logic.
func (v *service) Forward(_ context.Context, req *holdfast.ForwardRequest) (*holdfast.ForwardReply, error) {
	s := v.s
	s.metrics.batch.Observe(float64(len(req.Packets)))
	reply := &holdfast.ForwardReply{Incarnation: s.incarnation}
	if wrong := s.malformed(req); wrong != "" {
		s.metrics.malformed.Add(float64(len(req.Packets)))
		s.log.warn("packets refused", "reason", wrong)
		reply.Replies = refuseMalformed(req, wrong)
		return reply, nil
	}
	if s.refusing() {
		for _, p := range req.Packets {
			s.gateways.heard(p.Gateway)
		}
	}
	reply.Replies = s.engine.Forward(req.Packets)
	return reply, nil
}

// malformed names what makes a batch impossible to run, or returns "". It is a
// fault of the gateway or of its configuration, so the whole batch is refused.
func (s *Server) malformed(req *holdfast.ForwardRequest) string {
	if req.Service != s.cfg.Service {
		return fmt.Sprintf("service %q is not served here, %q is", req.Service, s.cfg.Service)
	}
	for _, p := range req.Packets {
		switch {
		case p.Session == "":
			return "packet without session"
		case p.Seq < 1:
			return fmt.Sprintf("packet with seq %d, want at least 1", p.Seq)
		case p.Gateway == "":
			return "packet without gateway: a deferred answer would have nowhere to go"
		}
	}
	return ""
}

func refuseMalformed(req *holdfast.ForwardRequest, wrong string) []*holdfast.Reply {
	replies := make([]*holdfast.Reply, len(req.Packets))
	for i := range replies {
		replies[i] = &holdfast.Reply{Status: int32(Internal), Payload: messagePayload(wrong)}
	}
	return replies
}

// run is the engine's handler: it runs one packet of the backend's.
func (s *Server) run(ctx context.Context, p *holdfast.Packet) (a engine.Answer) {
	if s.backend.Handle == nil {
		return engine.Answer{Status: int32(Unimplemented), Payload: messagePayload("this service runs no commands")}
	}
	returned := false
	defer func() { // after a panic, and after runtime.Goexit, which recover does not see
		if !returned {
			s.metrics.panics.Inc()
			s.log.panicked("handler panicked", recover(), "command", p.Command)
			a = engine.Answer{Status: int32(Internal), Payload: messagePayload("internal error")}
		}
	}()
	body, err := s.backend.Handle(ctx, packet(s.cfg.Service, p))
	returned = true
	status, payload, unexpected := outcome(body, err)
	if unexpected {
		s.log.warn("handler failed", "command", p.Command, "error", err)
	}
	return engine.Answer{Status: int32(status), Payload: payload}
}

// afterStartBy is for how long after its start_by a packet's answer is still sent.
// What is refused for being late is answered some 10 ms after it, and a gateway may
// wait somewhat longer than it lets a packet begin; where it does not, it drops the
// answer.
const afterStartBy = 100 * time.Millisecond

// later sends the answer to a deferred packet, while the gateway waits for it.
func (s *Server) later(p *holdfast.Packet, a engine.Answer) {
	within := s.cfg.HandlerTimeout
	if p.StartByMs != 0 {
		if ms := p.StartByMs - s.engine.NowMS() + afterStartBy.Milliseconds(); ms < within.Milliseconds() {
			within = time.Duration(ms) * time.Millisecond
		}
	}
	s.peers.reply(s.cfg.Service, p, a, within)
}

// Events implements holdfast.Logic.
func (v *service) Events(_ context.Context, req *holdfast.EventsRequest) (*holdfast.EventsReply, error) {
	s := v.s
	reply := &holdfast.EventsReply{Incarnation: s.incarnation}
	if s.backend.Events == nil {
		return reply, nil
	}
	if err := s.handleEvents(req); err != nil {
		s.metrics.events.WithLabelValues("failed").Add(float64(len(req.Events)))
		s.log.warn("events failed", "gateway", req.Gateway, "error", err)
		return nil, err
	}
	s.metrics.events.WithLabelValues("handled").Add(float64(len(req.Events)))
	return reply, nil
}

func (s *Server) handleEvents(req *holdfast.EventsRequest) error {
	events := make([]Event, len(req.Events))
	announced := false
	for i, e := range req.Events {
		var err error
		if events[i], err = event(e); err != nil {
			return err
		}
		announced = announced || events[i].Kind == Present
	}
	err := s.guard("events", func(ctx context.Context) error { return s.backend.Events(ctx, events) })
	if err == nil && announced {
		s.gateways.announced(req.Gateway, req.Epoch)
	}
	return err
}

// Heartbeat implements holdfast.Logic.
func (v *service) Heartbeat(_ context.Context, req *holdfast.HeartbeatRequest) (*holdfast.HeartbeatReply, error) {
	s := v.s
	if req.Gateway == "" {
		return nil, errors.New("heartbeat without gateway")
	}
	draining := s.refusing()
	resync, replaced := s.gateways.seen(req, draining, time.Now())
	if replaced {
		s.peers.drop(req.Gateway, ErrGatewayLost)
	}
	if s.backend.GatewaySeen != nil {
		g := Gateway{Address: req.Gateway, Name: req.Name, Epoch: req.Epoch, Sessions: req.Sessions, LastSeen: time.Now()}
		err := s.guard("gateway seen", func(ctx context.Context) error {
			resync = s.backend.GatewaySeen(ctx, g) || resync
			return nil
		})
		if err != nil { // logged; the gateway is alive all the same
			resync = true
		}
	}
	return &holdfast.HeartbeatReply{
		Incarnation: s.incarnation, TimeMs: s.engine.NowMS(),
		Resync: resync, Events: s.backend.Events != nil, Draining: draining,
	}, nil
}

// guard calls the backend with a deadline and turns a panic into an error.
func (s *Server) guard(what string, f func(context.Context) error) (err error) {
	ctx, cancel := context.WithTimeout(s.base, s.cfg.EventsTimeout)
	defer cancel()
	returned := false
	defer func() {
		if !returned {
			s.metrics.panics.Inc()
			s.log.panicked(what+" panicked", recover())
			err = fmt.Errorf("%s panicked", what)
		}
	}()
	err = f(ctx)
	returned = true
	return err
}
