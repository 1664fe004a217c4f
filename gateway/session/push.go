package session

import (
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Push is one push on its way to any number of sessions. Command and payload
// are shared by them all and must not be written once it is made.
type Push struct {
	Command  []byte
	Payload  []byte
	Reliable bool

	// encoded is the frame in each encoding, made when the first session needs
	// it. Only a transient push is the same for everybody.
	encoded [3][]byte
}

// PushOutcome says what became of a push at one session. The set is closed: it
// is a metric's label too.
type PushOutcome uint8

// The outcomes.
const (
	PushTaken    PushOutcome = iota // queued, and kept if reliable
	PushNoOne                       // the session is over
	PushSlow                        // the client reads too slowly; a reliable push cuts it
	PushTooLarge                    // it does not fit max_frame
	pushOutcomes
)

// String is the outcome as a label.
func (o PushOutcome) String() string {
	return [...]string{"taken", "no_session", "queue_full", "too_large"}[o]
}

// pushHeadBytes is a PUSH frame without command and payload.
const pushHeadBytes = 10

// Push queues p for the client; Flush sends it. It must not be called for the
// same Push by two goroutines at once.
func (s *Session) Push(p *Push) PushOutcome {
	if pushHeadBytes+len(p.Command)+len(p.Payload) > s.limits.FrameBytesMax {
		return s.metrics.pushed(PushTooLarge)
	}
	s.mu.Lock()
	if s.ended || s.at == nil {
		s.mu.Unlock()
		return s.metrics.pushed(PushNoOne)
	}
	ok := false
	if p.Reliable {
		ok = s.pushReliableLocked(p)
	} else {
		ok = s.pushTransientLocked(p)
	}
	s.mu.Unlock()
	if ok {
		return s.metrics.pushed(PushTaken)
	}
	if p.Reliable {
		s.cutSlow()
	}
	return s.metrics.pushed(PushSlow)
}

// pushReliableLocked gives the push its seq and keeps it until the client
// acknowledges it.
func (s *Session) pushReliableLocked(p *Push) bool {
	st, one := &s.state, push{command: p.Command, payload: p.Payload}
	if len(st.Kept.pushes) >= s.limits.KeptPushesMax || st.Kept.bytes+st.Kept.size(one) > s.limits.KeptBytesMax {
		return false
	}
	st.PushSeq++
	st.Kept.add(one)
	return s.queueLocked(wire.Frame{Type: wire.TypePush, Seq: st.PushSeq, Command: p.Command, Payload: p.Payload})
}

func (s *Session) pushTransientLocked(p *Push) bool {
	enc := s.at.conn.Encoding()
	if p.encoded[enc] == nil {
		b, err := enc.Append(nil, &wire.Frame{Type: wire.TypePush, Command: p.Command, Payload: p.Payload})
		if err != nil { // the caller has checked the command and the length
			return true
		}
		p.encoded[enc] = b
	}
	return s.at.conn.QueueEncoded(p.encoded[enc])
}
