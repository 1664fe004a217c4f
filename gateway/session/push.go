package session

import (
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Slow says what becomes of transient pushes for a client that reads too slowly.
type Slow uint8

// The policies.
const (
	SlowDropOldest Slow = iota // older transient pushes make room
	SlowConflate               // the same; and the latest of a key is enough
	SlowDisconnect             // the client is cut
)

// Push is one push on its way to any number of sessions. Command and payload
// are shared by them all and must not be written once it is made.
type Push struct {
	Command  []byte
	Payload  []byte
	Reliable bool

	// For transient pushes: one with a key replaces what waits of the same key,
	// and after TTL (0: no bound) it is not worth sending any more.
	Key  string
	TTL  time.Duration
	Slow Slow

	// encoded is the frame in each encoding, made when the first session needs
	// it. Only a transient push is the same for everybody.
	encoded [3][]byte
}

// PushOutcome says what became of a push at one session. The set is closed: it
// is a metric's label too.
type PushOutcome uint8

// The outcomes.
const (
	PushTaken    PushOutcome = iota // queued, or kept for a resume
	PushNoOne                       // the session is over
	PushSlow                        // the client reads too slowly and is cut for it; the push is lost
	PushTooLarge                    // it does not fit max_frame
	PushDropped                     // transient, for a client that reads too slowly
	PushCut                         // transient, for a session without a connection
	pushOutcomes
)

// String is the outcome as a label.
func (o PushOutcome) String() string {
	return [...]string{"taken", "no_session", "queue_full", "too_large", "dropped", "cut"}[o]
}

// Push queues p for the client; Flush sends it. A reliable one is kept for a
// session that is cut. It must not be called for the same Push by two goroutines
// at once.
func (s *Session) Push(p *Push) PushOutcome {
	o := PushTooLarge
	switch {
	case !s.fits(wire.Frame{Type: wire.TypePush, Command: p.Command, Payload: p.Payload}):
	case p.Reliable:
		o = s.pushReliable(p)
	default:
		o = s.pushTransient(p)
	}
	s.deps.Metrics.pushes[o].Inc()
	return o
}

// pushReliable gives the push its seq and keeps it until the client acknowledges
// it. When too many are kept the session ends: what it would lack cannot be
// sent again. When only the connection's queue is full, a resume sends it again.
func (s *Session) pushReliable(p *Push) PushOutcome {
	one := push{command: p.Command, payload: p.Payload}
	s.mu.Lock()
	st, l := &s.state, s.deps.Limits
	if s.ended {
		s.mu.Unlock()
		return PushNoOne
	}
	if len(st.Kept.pushes) >= l.KeptPushesMax || st.Kept.bytes+st.Kept.size(one) > l.KeptBytesMax {
		s.mu.Unlock()
		s.EndWith(wire.CloseSlowConsumer, "too many pushes are not acknowledged")
		return PushSlow
	}
	st.PushSeq++
	st.Kept.add(one)
	at := s.at
	full := at != nil && !at.conn.Queue(wire.Frame{Type: wire.TypePush, Seq: st.PushSeq, Command: p.Command, Payload: p.Payload})
	s.mu.Unlock()
	if !full {
		return PushTaken
	}
	at.slow()
	if s.deps.resumable() {
		return PushTaken
	}
	return PushSlow
}

func (s *Session) pushTransient(p *Push) PushOutcome {
	s.mu.Lock()
	at := s.at
	if s.ended || at == nil {
		over := s.ended
		s.mu.Unlock()
		if over {
			return PushNoOne
		}
		return PushCut
	}
	taken := at.pushTransientLocked(p)
	s.mu.Unlock()
	switch {
	case taken:
		return PushTaken
	case p.Slow == SlowDisconnect:
		at.slow()
		return PushSlow
	default:
		return PushDropped
	}
}

func (a *Attachment) pushTransientLocked(p *Push) bool {
	enc := a.conn.Encoding()
	if p.encoded[enc] == nil {
		b, err := enc.Append(nil, &wire.Frame{Type: wire.TypePush, Command: p.Command, Payload: p.Payload})
		if err != nil { // the caller has checked the command and the length
			return true
		}
		p.encoded[enc] = b
	}
	until := int64(0)
	if p.TTL > 0 {
		until = a.conn.Now() + max(p.TTL.Milliseconds(), 1)
	}
	return a.conn.QueueTransient(p.encoded[enc], p.Key, until, p.Slow != SlowDisconnect)
}
