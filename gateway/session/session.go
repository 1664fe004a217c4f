package session

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Home is the gateway a session lives in. Cut and Ended are called one at a
// time for a session and in their order, with no lock held but the one that
// keeps that order: they must not attach, resume, close or end this session.
type Home interface {
	// Refresh judges a new token of s and answers request id.
	Refresh(s *Session, id uint32, token string)
	// Cut is called when s has lost its connection and may be resumed.
	Cut(s *Session, why string)
	// Ended is called once when s is over.
	Ended(s *Session, why string)
}

// Limits bounds what one session may cost. One value serves all sessions.
type Limits struct {
	Heartbeat        time.Duration // PING after this long without a byte
	HeartbeatTimeout time.Duration // CLOSE 4001 after this long without an answer
	ExpiryWarning    time.Duration // $expiring is sent this long before the credential runs out
	Lifetime         time.Duration // a connection is closed with 4008 after this long; 0: never
	LifetimeDither   float64       // the share of Lifetime, 0 to 1, that is cut off at random
	ResumeTTL        time.Duration // how long a session outlives its connection; 0: not at all

	FrameBytesMax     int // the longest frame sent
	KeptPushesMax     int // reliable pushes not acknowledged
	KeptBytesMax      int // the same in bytes
	KeptReplyBytesMax int // payloads of replies not known to have arrived
	TopicsMax         int // topics of one session
}

// Deps is what all sessions of a gateway share.
type Deps struct {
	Limits  *Limits
	Home    Home
	Metrics *Metrics
	Meter   Meter        // nil: every request is admitted
	Cut     *CutSessions // nil: a session ends with its connection
}

// Session is an authenticated client. Its methods may be called from any
// goroutine and never block.
type Session struct {
	deps *Deps
	up   Upstream

	nextOfUID *Session // guarded by the registry's shard
	cut       cutNode  // guarded by CutSessions.mu

	// turn is held through a change between attached, cut and ended, so that
	// Home and Upstream hear of the changes in their order.
	turn sync.Mutex

	mu     sync.Mutex // guards the following
	state  State
	at     *Attachment // nil while there is no connection
	topics []string
	meter  [2]int64 // the Meter's
	ended  bool
	warned bool // $expiring has been sent for this credential
	away   bool // at's connection has no call open: the session counts as cut
	told   bool // the backend knows that the session is cut
	calls  bool // its last connection was made of calls: long poll or SSE

	// submitting is set while a request is on its way to the lanes, so that a
	// resume lets nothing overtake it. It is set with mu held.
	submitting atomic.Bool
}

// New returns a session that has neither connection nor lanes yet. deps is kept.
func New(state State, deps *Deps) *Session { return &Session{state: state, deps: deps} }

// Start gives the session its lanes. It is called once, before Attach or Resume.
func (s *Session) Start(up Upstream) { s.up = up }

// Upstream is the session's lanes.
func (s *Session) Upstream() Upstream { return s.up }

// ID names the session. Like UID and Device it never changes.
func (s *Session) ID() string { return s.state.ID }

// UID is whose session it is.
func (s *Session) UID() string { return s.state.UID }

// Device is what the client said of its device.
func (s *Session) Device() Device { return s.state.Device }

// Snapshot copies the state, kept pushes and replies included. The payloads it
// points to are shared and never written. With New and Resume it becomes a
// session again; requests that were not answered then wait for lanes that know
// of them.
func (s *Session) Snapshot() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.state
	st.Kept.pushes = append([]push(nil), st.Kept.pushes...)
	st.Requests = st.Requests.clone()
	return st
}

// Flush sends what has been queued.
func (s *Session) Flush() {
	s.mu.Lock()
	at := s.at
	s.mu.Unlock()
	if at != nil {
		at.conn.Flush()
	}
}

// GoAway asks the client to leave; the session goes on until it does.
func (s *Session) GoAway(f wire.Frame) {
	s.mu.Lock()
	at := s.at
	s.mu.Unlock()
	if at != nil {
		at.conn.Queue(f) // a client that does not read is told by CLOSE
		at.conn.Flush()
	}
}
