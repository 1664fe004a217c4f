package poll

import (
	"errors"
	"slices"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// empty is the answer without a frame.
var empty = []byte("[]")

// login takes HELLO to the gateway, which answers by queueing WELCOME or by
// closing the connection.
func (c *Conn) login(e event) {
	c.SetReceiver(c.srv.gw.Accept(c))
	if c.Closing() { // the gateway lets nobody in
		return
	}
	e.call.OnGone(c.lostHello)
	if c.Closing() {
		return
	}
	if refused := c.srv.tooLong(e.body); refused != nil {
		c.Receiver().Refuse(refused)
		return
	}
	f, err := wire.ParseJSONHello(e.body)
	if err != nil {
		c.Receiver().Refuse(refusalOf(err))
		return
	}
	c.Receiver().Receive(f)
}

// lostHello ends a connection whose client went before it was answered. It does
// not know a secret, or not the new one, so it can only begin or resume again.
func (c *Conn) lostHello() {
	c.mu.Lock()
	if c.hello == nil || c.phase != phaseOpen {
		c.mu.Unlock()
		return
	}
	c.hello, c.welcome, c.list = nil, nil, list{}
	c.phase, c.told, c.held = phaseGone, true, false
	c.over = &refusal{code: wire.CloseLifetime, reason: "the call that began the connection was lost"}
	c.leaveLocked()
	c.mu.Unlock()
	c.srv.wheel.Stop(&c.timer)
	c.srv.metrics.lost.Inc()
	c.Receiver().Closed()
	c.Flush() // who came in the meantime, by an older secret, is turned away
	c.work()
}

// poll holds a GET until there are frames, or answers it at once.
func (c *Conn) poll(e event) {
	if !c.name(&e) {
		c.turnAway(e.call)
		return
	}
	c.mu.Lock()
	c.list.expire(c.Now())
	due := len(c.list.items) > c.list.forPost
	c.mu.Unlock()
	if !due { // what comes from here on is sent by Flush
		c.watch(e.call)
	}
	c.mu.Lock()
	if c.phase != phaseOpen {
		c.mu.Unlock()
		c.turnAway(e.call)
		return
	}
	get, stream := c.replaceLocked()
	c.get, c.getDue = e.call, due
	c.getBy = c.Now() + c.srv.cfg.PollWait.Milliseconds()
	if !due {
		c.srv.wheel.Set(&c.timer, c, c.getBy)
	}
	c.mu.Unlock()
	dismiss(get, stream)
	c.Flush()
}

// watch has us told when the client of a call that waits is gone. It comes
// before the call takes its place: from then on it may be answered at any time,
// and the connection be in another call already.
func (c *Conn) watch(call Call) {
	call.OnGone(func() { c.deliver(event{kind: eventGone, call: call}) })
}

// begin begins a stream. Everything that is kept goes out again: nobody knows
// what of an earlier one has arrived.
func (c *Conn) begin(e event) {
	if !c.name(&e) {
		c.turnAway(e.call)
		return
	}
	c.watch(e.call)
	if !e.call.Stream() {
		c.srv.metrics.lost.Inc()
		c.leave()
		return
	}
	c.mu.Lock()
	get, stream := c.replaceLocked()
	c.stream = e.call // on a connection that has closed meanwhile, to be told so
	c.beatBy = c.Now() + c.srv.cfg.Heartbeat.Milliseconds()
	c.list.resend()
	if c.phase != phaseOpen {
		c.sayCloseLocked()
	}
	c.srv.wheel.Set(&c.timer, c, c.beatBy)
	c.mu.Unlock()
	dismiss(get, stream)
	c.Flush()
}

// replaceLocked takes the place of the GET or stream that is open.
func (c *Conn) replaceLocked() (get, stream Call) {
	get, stream = c.get, c.stream
	if get != nil || stream != nil {
		c.leaveLocked()
	}
	c.get, c.stream = nil, nil
	c.getDue, c.beatDue = false, false
	return get, stream
}

// dismiss ends a call that a newer one has replaced.
func dismiss(get, stream Call) {
	if get != nil {
		get.Answer(200, 0, empty)
	}
	if stream != nil {
		stream.End()
	}
}

// take gives the frames of a POST to the receiver.
func (c *Conn) take(e event) {
	p := e.post
	if c.Closing() { // then p has been answered
		return
	}
	frames, refused := c.parseFrames(&e)
	if refused != nil {
		c.Receiver().Refuse(refused) // which answers p as well
		return
	}
	if e.q.has[queryWait] {
		c.await(p, frames, int64(e.q.value[queryWait]))
	}
	for _, f := range frames {
		if f.Type == wire.TypeClose {
			c.mu.Lock()
			p.closes = true
			c.mu.Unlock()
		}
		if c.Closing() {
			return
		}
		c.Receiver().Receive(f)
		if f.Type == wire.TypeAck {
			c.acknowledged(f.Seq)
		}
	}
	c.mu.Lock()
	p.ready = true
	c.mu.Unlock()
	c.Flush()
}

// parseFrames takes the array apart, whole or not at all.
func (c *Conn) parseFrames(e *event) ([]wire.Frame, *wire.ProtocolError) {
	if e.refused != nil {
		return nil, e.refused
	}
	if refused := c.srv.tooLong(e.body); refused != nil {
		return nil, refused
	}
	frames, err := wire.ParseJSONArray(nil, e.body, wire.FromClient)
	if err != nil {
		return nil, refusalOf(err)
	}
	if len(frames) > c.srv.cfg.FramesPerCall {
		return nil, protocolErrorf("frames: %d in one call, at most %d", len(frames), c.srv.cfg.FramesPerCall)
	}
	for i := range frames {
		switch frames[i].Type {
		case wire.TypeRequest, wire.TypeAck, wire.TypeClose:
		default:
			return nil, protocolErrorf("frames: %s, want request, ack or close", frames[i].Type)
		}
	}
	return frames, nil
}

// await has a POST answered with the replies to its requests, when they are all
// there or after wait milliseconds.
func (c *Conn) await(p *post, frames []wire.Frame, wait int64) {
	wait = min(wait, c.srv.cfg.RequestTimeout.Milliseconds())
	wanted := make([]uint32, 0, len(frames))
	for i := range frames {
		if f := &frames[i]; f.Type == wire.TypeRequest && !slices.Contains(wanted, f.ID) {
			wanted = append(wanted, f.ID)
		}
	}
	c.mu.Lock()
	p.wait, p.wanted = true, wanted
	p.by, p.due = c.Now()+wait, wait == 0
	c.srv.wheel.Set(&c.timer, c, p.by)
	c.mu.Unlock()
	c.watch(p.call)
}

// end ends the session as the client wishes. The answer is what a stream would
// get: CLOSE.
func (c *Conn) end(e event) {
	if c.Closing() {
		c.turnAway(e.call)
		return
	}
	c.Receiver().Receive(wire.Frame{Type: wire.TypeClose, Code: wire.CloseNormal})
	e.call.Answer(200, 0, closeObject(&refusal{code: wire.CloseNormal}))
	c.leave()
}

// name drops what a GET or stream says has arrived. It reports false when the
// connection is over, perhaps because of what it says.
func (c *Conn) name(e *event) bool {
	switch {
	case c.Closing():
		return false
	case e.refused != nil:
		c.Receiver().Refuse(e.refused)
		return false
	}
	if e.q.has[querySeq] {
		seq := e.q.value[querySeq]
		c.Receiver().Receive(wire.Frame{Type: wire.TypeAck, Seq: seq})
		if c.Closing() {
			return false
		}
		c.acknowledged(seq)
	}
	if e.q.has[queryReplies] {
		id := uint32(e.q.value[queryReplies])
		c.mu.Lock()
		all := c.list.named(id)
		c.mu.Unlock()
		if all { // else the session would let go of a reply that may be lost
			c.Receiver().Arrived(id)
		}
	}
	return !c.Closing()
}

func (c *Conn) acknowledged(seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list.acknowledge(seq)
}

// turnAway answers a call at a connection that is over.
func (c *Conn) turnAway(call Call) {
	c.mu.Lock()
	over := c.over
	c.mu.Unlock()
	c.srv.refuse(call, over)
	c.leave()
}

// tooLong refuses a body for which max_frame is not enough.
func (s *Server) tooLong(body []byte) *wire.ProtocolError {
	if len(body) <= s.cfg.FrameBytesMax {
		return nil
	}
	refused := protocolErrorf("body: %d bytes, at most %d", len(body), s.cfg.FrameBytesMax)
	refused.Code = wire.CloseFrameTooLarge
	return refused
}

func refusalOf(err error) *wire.ProtocolError {
	var refused *wire.ProtocolError
	if !errors.As(err, &refused) { // wire returns nothing else
		refused = protocolErrorf("body: malformed")
	}
	return refused
}
