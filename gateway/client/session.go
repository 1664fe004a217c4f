package client

import (
	"errors"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Session is what the gateway said of the session in its WELCOME.
type Session struct {
	// ID names the session; UID is who the backend took the token for.
	ID, UID string
	// Gateway is the gateway's name, Endpoint where this client reached it.
	Gateway, Endpoint string
	// Resumed tells that the session was carried over from an earlier
	// connection. When it is false after a reconnect, the application
	// synchronises from its own position.
	Resumed bool
	// Heartbeat and HeartbeatTimeout together are the longest silence of a
	// healthy gateway.
	Heartbeat, HeartbeatTimeout time.Duration
	// RequestTimeout is how long the gateway takes at most to answer.
	RequestTimeout time.Duration
	// ResumeTTL is how long the session outlives its connection; 0 when it
	// does not.
	ResumeTTL time.Duration
	// Window is how many requests may be unanswered at a time.
	Window int
	// MaxFrame is the largest frame that the gateway accepts, in bytes.
	MaxFrame int
}

// errHeld means that a session takes no request now; it is handled inside.
var errHeld = errors.New("client: session takes no new requests")

// result is how a call ended: by a reply, or by err.
type result struct {
	status  wire.Status
	flags   wire.Flags
	payload []byte
	err     error
}

// call is a request without a reply.
type call struct {
	command string
	payload []byte      // a copy, for a resume
	done    chan result // has room for its result
}

// session is the client's side of a session. It goes from one connection to the
// next, by a resume: ids, unanswered calls and the last push go with it. At any
// time at most one connection carries it; between two it is suspended.
type session struct {
	id    string        // static
	slots chan struct{} // static; a token for each unanswered request; its cap is the window

	received    atomic.Uint64 // seq of the last push taken; written by the carrier's reading goroutine
	movingUntil atomic.Int64  // until then (Unix ns) a TAKEN_OVER is of our own making

	mu        sync.Mutex // guards the following; taken before a connection's
	secret    string
	carrier   *connection // its latest
	suspended bool        // carrier has ended
	cutAt     time.Time   // when that was
	open      bool        // new requests may be sent
	ending    bool        // it will not be resumed
	over      bool        // every call has its result
	lastID    uint32      // of the last request sent
	sentID    uint32      // of the last request that may have left the process; final while suspended
	calls     map[uint32]*call
	idle      chan struct{} // while held: closed when calls becomes empty
}

func newSession(w *wire.Welcome) *session {
	return &session{
		id:     w.Session,
		secret: w.Secret,
		slots:  make(chan struct{}, w.Window),
		calls:  make(map[uint32]*call),
	}
}

// send gives the next id to a request and queues it on c. The caller holds a
// slot. The error is errHeld, or a refusal to encode; neither used up an id.
func (s *session) send(c *connection, command string, payload []byte) (<-chan result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open || s.carrier != c {
		return nil, errHeld
	}
	if s.lastID == math.MaxUint32 {
		// Ids may not begin again within a session: have it replaced.
		c.tell(&wire.GoAway{Code: wire.CloseDraining})
		return nil, errHeld
	}
	f := wire.Frame{Type: wire.TypeRequest, ID: s.lastID + 1, Command: []byte(command), Payload: payload}
	if err := c.queueRequest(&f); err != nil {
		return nil, err
	}
	s.lastID++
	one := &call{command: command, done: make(chan result, 1)}
	if c.info.ResumeTTL > 0 {
		one.payload = slices.Clone(payload)
	}
	s.calls[s.lastID] = one
	return one.done, nil
}

// reply ends the call with this id and frees its slot. It reports false when no
// such request is unanswered.
func (s *session) reply(id uint32, r result) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.calls[id]
	if !ok {
		return false
	}
	s.settleLocked(id)
	one.done <- r
	<-s.slots
	return true
}

// settleLocked removes a call.
func (s *session) settleLocked(id uint32) {
	delete(s.calls, id)
	if len(s.calls) == 0 && s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
}

// hold stops new requests and returns a channel that is closed when none is
// unanswered any more.
func (s *session) hold() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = false
	idle := make(chan struct{})
	if len(s.calls) == 0 {
		close(idle)
		return idle
	}
	s.idle = idle
	return idle
}

// release takes new requests again.
func (s *session) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = !s.suspended && !s.over
	s.idle = nil
}

// handled passes on that a push was handled, to whoever carries the session now.
func (s *session) handled(seq uint64) {
	if seq == 0 {
		return // transient
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.carrier.handled(seq)
}

// suspend notes that the carrier has ended, and with it all that was queued
// there. sentID is the last request that it had given to the network, 0 for none.
func (s *session) suspend(sentID uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open, s.suspended, s.cutAt = false, true, time.Now()
	s.sentID = max(s.sentID, sentID)
	if s.ending {
		s.endLocked()
	}
}

// expires is when the gateway ends the suspended session, as far as we can know:
// it may have noticed the cut later.
func (s *session) expires() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cutAt.Add(s.carrier.info.ResumeTTL)
}

// stop ends the carrier, if it has not ended, without a word to the gateway, which
// has given the session to another connection.
func (s *session) stop() {
	s.mu.Lock()
	carrier := s.carrier
	s.mu.Unlock()
	carrier.cut(errReplaced)
	<-carrier.done
}

// moving says whether the session is being moved to a better transport.
func (s *session) moving() bool { return time.Now().UnixNano() < s.movingUntil.Load() }

// resumeRequest is what HELLO says to get the session back.
func (s *session) resumeRequest() *wire.Resume {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &wire.Resume{Session: s.id, Secret: s.secret, Seq: s.received.Load()}
}

// resume begins, or goes on, over c, which has been welcomed with w and does not
// run yet: what is unanswered is sent again, in order, before any new request. The old secret
// is not needed any more: the gateway takes the new one from WELCOME on, and
// goes on taking the old one only for a client that WELCOME did not reach.
func (s *session) resume(c *connection, w *wire.Welcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secret, s.carrier, s.suspended = w.Secret, c, false
	for _, id := range slices.Sorted(maps.Keys(s.calls)) {
		one := s.calls[id]
		f := wire.Frame{Type: wire.TypeRequest, ID: id, Command: []byte(one.command), Payload: one.payload}
		if err := c.queueRequest(&f); err == nil {
			continue
		}
		// It fitted the transport before, and does not fit this one. The
		// gateway still counts one that it has accepted, so its slot is lost.
		r := result{err: ErrOutcomeUnknown}
		if id > s.sentID {
			r.err = errHeld
			<-s.slots
		}
		s.settleLocked(id)
		one.done <- r
	}
	s.open = true
}

// discard says that the session is not resumed: once suspended, it is over.
func (s *session) discard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ending = true
	if s.suspended {
		s.endLocked()
	}
}

// endLocked fails every unanswered call: those up to sentID had been given to the
// network and may have run, the others never left.
func (s *session) endLocked() {
	s.open, s.over = false, true
	for id, one := range s.calls {
		err := ErrOutcomeUnknown
		if id > s.sentID {
			err = errHeld // Request takes it to the next connection
		}
		one.done <- result{err: err}
	}
	clear(s.calls)
	if s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
}
