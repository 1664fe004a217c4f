package session

import (
	"encoding/binary"
	"runtime"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Attachment is a session's time on one connection. It takes what the
// connection brings (it is a transport.Receiver) until another takes over.
type Attachment struct {
	// static after Attach or Resume
	s          *Session
	conn       Conn
	closeAt    int64  // wheel time at which the connection's lifetime is over; 0: never
	generation uint32 // which of the session's connections it is, from 1

	heard bool // a frame has come; owned by who receives

	// guarded by s.mu
	renewed bool   // a request with a new id has come, so the client has sent again what it lacked
	pings   uint32 // PINGs sent; each carries its number
	ponged  uint32 // the highest that was answered

	pingedAt int64 // wheel time of the last PING for the heartbeat; owned by the wheel's goroutine
}

// Receive takes one frame of the client. It must not be called by two
// goroutines at once.
func (a *Attachment) Receive(f wire.Frame) {
	if !a.heard {
		a.heard = true
		a.retireSecret()
	}
	switch f.Type {
	case wire.TypeRequest:
		a.request(f)
	case wire.TypeAck:
		a.ack(f.Seq)
	case wire.TypePing:
		a.conn.Queue(wire.Frame{Type: wire.TypePong, Payload: f.Payload})
		a.conn.Flush()
	case wire.TypePong:
		a.pong(f.Payload)
	case wire.TypeClose:
		a.leave(f.Code.String(), f.Code.EndsSession())
		a.conn.CloseWith(wire.CloseNormal, "")
	default:
		a.refuse(wire.CloseProtocolError, "a second "+f.Type.String())
	}
}

// Refuse ends the connection of a client that sent what is not a frame.
func (a *Attachment) Refuse(err *wire.ProtocolError) { a.refuse(err.Code, err.Message) }

func (a *Attachment) refuse(code wire.CloseCode, reason string) { a.close(code, reason) }

// Closed tells that the connection has gone. The session stays for a while.
func (a *Attachment) Closed() { a.leave(whyLost, false) }

// verdict is what becomes of a request.
type verdict struct {
	submit   bool   // it goes to the lanes, or to the gateway itself
	answered bool   // its reply is queued already
	full     bool   // its reply did not fit the queue
	refuse   string // the connection is closed for it, with code
	code     wire.CloseCode
}

// answeredLocked sends a reply at once.
func (a *Attachment) answeredLocked(f wire.Frame) verdict {
	full := !a.conn.Queue(f)
	return verdict{answered: !full, full: full}
}

func (a *Attachment) request(f wire.Frame) {
	s := a.s
	s.mu.Lock()
	if s.at != a || s.ended {
		s.mu.Unlock()
		return
	}
	v := a.judgeLocked(&f)
	if v.submit {
		s.submitting.Store(true)
	}
	s.mu.Unlock()
	switch {
	case v.refuse != "":
		a.refuse(v.code, v.refuse)
	case v.full:
		a.slow()
	case v.submit:
		s.deps.Metrics.requests.Inc()
		s.submit(f)
		s.submitting.Store(false)
	case v.answered:
		a.conn.Flush()
	}
}

func (s *Session) submit(f wire.Frame) {
	if f.Command[0] == '$' {
		s.gatewayCommand(f)
		return
	}
	s.up.Submit(f.ID, f.Command, f.Payload)
}

// awaitSubmit waits for a request that a former connection brought and that is
// on its way to the lanes just now, which does not block. No lock is held.
func (s *Session) awaitSubmit() {
	for s.submitting.Load() {
		runtime.Gosched()
	}
}

// judgeLocked decides on a request: by its id, then the window, then the meter.
func (a *Attachment) judgeLocked(f *wire.Frame) verdict {
	s := a.s
	if f.ID <= s.state.LastRequestID {
		return a.repeatLocked(f.ID)
	}
	if s.state.Requests.openCount() >= s.state.Window {
		return verdict{refuse: "more requests unanswered than window", code: wire.CloseFlowControl}
	}
	s.state.LastRequestID = f.ID
	a.renewLocked()
	if s.state.Requests == nil {
		s.state.Requests = &requests{}
	}
	if s.deps.Meter != nil {
		reason, retryAfter := s.deps.Meter.Request(s.state.UID, &s.meter, f.Command, len(f.Payload))
		if reason != "" {
			s.deps.Metrics.metered.Inc()
			return a.meteredLocked(f.ID, reason, retryAfter)
		}
	}
	s.state.Requests.accept(f.ID, a.generation)
	return verdict{submit: true}
}

// renewLocked takes note of a new id. Before its first one on a connection the
// client has sent again every request that it lacked the reply to, so the other
// replies have arrived somewhere before: what proves that this connection
// works so far lets go of them.
func (a *Attachment) renewLocked() {
	if a.renewed {
		return
	}
	a.renewed = true
	reqs := a.s.state.Requests
	if reqs == nil {
		return
	}
	for i := range reqs.n {
		if r := reqs.at(i); r.sent != a.generation {
			a.stampLocked(r)
		}
	}
}

func (a *Attachment) ack(seq uint64) {
	s := a.s
	s.mu.Lock()
	if s.at != a || s.ended {
		s.mu.Unlock()
		return
	}
	sent := seq <= s.state.PushSeq
	if sent {
		s.arrivedLocked(seq, a.generation)
	}
	s.mu.Unlock()
	if !sent {
		a.refuse(wire.CloseProtocolError, "ack seq: a push that was not sent")
	}
}

// arrivedLocked lets go of the pushes up to seq, and of the replies that went
// before the push seq on the connection of that generation.
func (s *Session) arrivedLocked(seq uint64, generation uint32) {
	st := &s.state
	if seq <= st.AckedSeq {
		return
	}
	st.Kept.drop(int(seq - st.AckedSeq))
	st.AckedSeq = seq
	s.freeRepliesLocked(func(r *reply) bool { return r.sent == generation && r.mark < seq })
}

// pong lets go of the replies that were sent before the PING it answers.
func (a *Attachment) pong(data []byte) {
	if len(data) != 4 {
		return // that bytes came is all that it says
	}
	n := binary.BigEndian.Uint32(data)
	s := a.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at != a || n <= a.ponged || n > a.pings {
		return
	}
	a.ponged = n
	s.freeRepliesLocked(func(r *reply) bool { return r.sent == a.generation && r.pings < n })
}

// pingLocked sends a PING with its number.
func (a *Attachment) pingLocked() {
	data := binary.BigEndian.AppendUint32(nil, a.pings+1)
	if a.conn.Queue(wire.Frame{Type: wire.TypePing, Payload: data}) {
		a.pings++
	}
}

// Arrived tells that the client has received every reply up to the one to id,
// in the order in which they were sent on this connection. An id whose reply is
// not kept changes nothing.
func (a *Attachment) Arrived(id uint32) {
	s := a.s
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.state.Requests.reply(id)
	if s.at != a || last < 0 || s.state.Requests.at(last).sent != a.generation {
		return
	}
	i := -1
	s.freeRepliesLocked(func(r *reply) bool {
		i++
		return i <= last && r.sent == a.generation
	})
}
