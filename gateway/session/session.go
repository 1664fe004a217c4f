package session

import (
	"sync"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Conn is what a session needs of its connection. None of its methods blocks.
type Conn interface {
	// Queue encodes a frame behind those that wait. It reports false when the
	// client reads so slowly that the frame was not queued.
	Queue(f wire.Frame) bool
	// QueueEncoded is Queue for frames that are in Encoding already.
	QueueEncoded(b []byte) bool
	Encoding() wire.Encoding
	// Flush writes what is queued as far as the socket takes it.
	Flush()
	// CloseWith ends the connection with CLOSE behind the given frames. Only
	// the first call counts and reports true.
	CloseWith(code wire.CloseCode, reason string, before ...wire.Frame) bool
	// LastRead is when bytes came last, on the wheel's clock.
	LastRead() int64
	// WakeAt asks for Attachment.Expire at that time or earlier.
	WakeAt(at int64)
	// Queued is how many bytes wait for the socket.
	Queued() int
	// Transport and RemoteIP say how and from where the client came.
	Transport() string
	RemoteIP() string
}

// Home is the gateway a session lives in.
type Home interface {
	// Refresh judges a new token of s and answers request id.
	Refresh(s *Session, id uint32, token string)
	// Ended is called once when s is over, without any lock held.
	Ended(s *Session, why string)
}

// Limits bounds what one session may cost. One value serves all sessions.
type Limits struct {
	Heartbeat        time.Duration // PING after this long without a byte
	HeartbeatTimeout time.Duration // CLOSE 4001 after this long without an answer
	ExpiryWarning    time.Duration // $expiring is sent this long before the credential runs out
	FrameBytesMax    int           // the longest frame sent
	KeptPushesMax    int           // reliable pushes not acknowledged
	KeptBytesMax     int           // the same in bytes
	TopicsMax        int           // topics of one session
}

// Session is an authenticated client. Its methods may be called from any
// goroutine and never block.
type Session struct {
	limits  *Limits
	home    Home
	metrics *Metrics
	up      Upstream

	nextOfUID *Session // guarded by the registry's shard

	mu         sync.Mutex // guards the following
	state      State
	at         *Attachment // nil while there is no connection
	unanswered int
	topics     []string
	ended      bool
	warned     bool // $expiring has been sent for this credential
}

// Deps is what all sessions of a gateway share.
type Deps struct {
	Limits  *Limits
	Home    Home
	Metrics *Metrics
}

// New returns a session that has neither connection nor lanes yet.
func New(state State, deps Deps) *Session {
	return &Session{state: state, limits: deps.Limits, home: deps.Home, metrics: deps.Metrics}
}

// Start gives the session its lanes. It is called once, before Attach.
func (s *Session) Start(up Upstream) { s.up = up }

// Upstream is the session's lanes.
func (s *Session) Upstream() Upstream { return s.up }

// ID names the session. Like UID and Device it never changes.
func (s *Session) ID() string { return s.state.ID }

// UID is whose session it is.
func (s *Session) UID() string { return s.state.UID }

// Device is what the client said of its device.
func (s *Session) Device() Device { return s.state.Device }

// Snapshot copies the state. What it points to is shared and never written.
func (s *Session) Snapshot() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.state
	st.Kept.pushes = append([]push(nil), st.Kept.pushes...)
	return st
}

// Reply answers request id with what the backend said. payload is the
// session's from now on. Flush sends it.
func (s *Session) Reply(id uint32, status uint8, payload []byte) {
	f := wire.Frame{Type: wire.TypeReply, ID: id, Status: wire.Status(status), Payload: payload}
	if replyHeadBytes+len(payload) > s.limits.FrameBytesMax {
		f = gatewayReply(id, wire.StatusInternal, wire.ErrorPayload{
			Message: "the backend's reply is longer than max_frame",
			Reason:  "reply_too_large",
		})
	}
	s.answer(f)
}

// replyHeadBytes is a REPLY frame without its payload.
const replyHeadBytes = 7

// Refuse answers request id on the gateway's own account. Flush sends it.
func (s *Session) Refuse(id uint32, status uint8, reason, message string, retryAfter time.Duration) {
	s.answer(gatewayReply(id, wire.Status(status), wire.ErrorPayload{
		Message: message, Reason: reason, RetryAfterMS: retryAfter.Milliseconds(),
	}))
}

func gatewayReply(id uint32, status wire.Status, p wire.ErrorPayload) wire.Frame {
	return wire.Frame{
		Type: wire.TypeReply, ID: id, Status: status,
		Flags: wire.FlagOriginGateway, Payload: wire.AppendErrorPayload(nil, &p),
	}
}

func (s *Session) answer(f wire.Frame) {
	s.mu.Lock()
	s.unanswered--
	ok := s.queueLocked(f)
	s.mu.Unlock()
	if !ok {
		s.cutSlow()
	}
}

// queueLocked puts f on the connection, if there is one.
func (s *Session) queueLocked(f wire.Frame) bool {
	return s.at == nil || s.at.conn.Queue(f)
}

// cutSlow ends the connection of a client that reads too slowly.
func (s *Session) cutSlow() {
	s.Close(wire.CloseSlowConsumer, "the client reads too slowly")
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

// Close ends the session at once and its connection with CLOSE. It reports
// whether there was a connection that was not being closed already.
func (s *Session) Close(code wire.CloseCode, reason string, before ...wire.Frame) bool {
	s.mu.Lock()
	at := s.at
	s.mu.Unlock()
	return at != nil && at.close(code, reason, before...)
}

// end finishes the session; only the first call counts. Without resume, a
// session ends with its connection.
func (s *Session) end(why string) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended = true
	s.at = nil
	s.state.Kept = kept{}
	s.mu.Unlock()
	s.home.Ended(s, why)
	s.up.End(why)
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

// Abandon ends the session without a word to the client.
func (s *Session) Abandon(why string) { s.end(why) }
