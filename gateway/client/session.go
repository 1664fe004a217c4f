package client

import (
	"errors"
	"math"
	"sync"
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
	// ResumeTTL is how long the session outlives its connection.
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

// session is the client's side of a session. It is a value apart from the
// connection that carries it: ids, unanswered calls and the last push are what a
// resume takes to the next connection.
type session struct {
	info  Session       // static
	slots chan struct{} // a token for each unanswered request; its cap is the window

	mu     sync.Mutex
	open   bool                   // new requests may be sent
	over   bool                   // end was called
	lastID uint32                 // of the last request sent
	calls  map[uint32]chan result // unanswered; each has room for its result
	idle   chan struct{}          // while held: closed when calls becomes empty
}

func newSession(info Session) *session {
	return &session{
		info:  info,
		slots: make(chan struct{}, info.Window),
		open:  true,
		calls: make(map[uint32]chan result),
	}
}

// send gives the next id to a request and queues it on c. The caller holds a
// slot. The error is errHeld, or a refusal to encode; neither used up an id.
func (s *session) send(c *connection, command string, payload []byte) (<-chan result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open {
		return nil, errHeld
	}
	if s.lastID == math.MaxUint32 {
		c.tell(&wire.GoAway{}) // ids may not begin again within a session: have it replaced
		return nil, errHeld
	}
	f := wire.Frame{Type: wire.TypeRequest, ID: s.lastID + 1, Command: []byte(command), Payload: payload}
	if err := c.queueRequest(&f); err != nil {
		return nil, err
	}
	s.lastID++
	call := make(chan result, 1)
	s.calls[s.lastID] = call
	return call, nil
}

// reply ends the call with this id and frees its slot. It reports false when no
// such request is unanswered.
func (s *session) reply(id uint32, r result) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	call, ok := s.calls[id]
	if !ok {
		return false
	}
	delete(s.calls, id)
	if len(s.calls) == 0 && s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
	call <- r
	<-s.slots
	return true
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
	s.open = !s.over
	s.idle = nil
}

// end fails every unanswered call: those up to sentID had been given to the
// network and may have run, the others never left.
func (s *session) end(sentID uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open, s.over = false, true
	for id, call := range s.calls {
		err := ErrOutcomeUnknown
		if id > sentID {
			err = errHeld // Request takes it to the next connection
		}
		call <- result{err: err}
	}
	clear(s.calls)
	if s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
}
