package client

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

const (
	// ackEvery and ackDelay are when the pushes handled so far are
	// acknowledged: after so many, or so long after the first. The protocol
	// allows 32 and 1 s; half the time leaves the other half to the network.
	ackEvery = 32
	ackDelay = 500 * time.Millisecond
	// lingerTime is how long a connection is read after CLOSE was sent. Closing
	// at once with bytes unread would reset it, and destroy the CLOSE.
	lingerTime = time.Second
	// closeTime bounds all of it: a CLOSE that cannot be written, and lingering.
	closeTime = 3 * time.Second
	// pongsQueuedMax bounds the PONGs that wait to be written. A gateway that
	// pings faster than it reads the answers gets none for the rest.
	pongsQueuedMax = 16
	// outKeepBytes is the largest write buffer that is kept while empty.
	outKeepBytes = 64 << 10
)

// errReplaced is why a connection ended that this client closed itself.
var errReplaced = errors.New("closed by this client")

// connection is a transport with a session on it. One goroutine reads and one
// writes; run owns both. What waits to be written is bounded: requests by the
// session's window times its max_frame, PONGs by pongsQueuedMax, and there is at
// most one ACK and one CLOSE.
type connection struct {
	// static
	transport    transport
	info         Session // what its WELCOME said
	session      *session
	token        string // the one that HELLO carried
	born         time.Time
	silence      time.Duration // longest healthy silence of the gateway
	writeTimeout time.Duration
	pushes       *pushQueue
	log          *slog.Logger

	wake    chan struct{} // cap 1: a token when there is something to write
	told    chan struct{} // closed when GOAWAY came
	leaving chan struct{} // closed when nothing more is taken from the gateway
	stop    chan struct{} // closed when the socket is closed
	done    chan struct{} // closed when both goroutines have ended and err is final

	mu       sync.Mutex // guards the following
	out      []byte     // encoded, not yet taken by the writer
	pongs    int        // PONGs in out
	queuedID uint32     // last request id that was ever in out
	sentID   uint32     // last request id that the writer has taken
	seen     uint64     // seq of the last push handled
	acked    uint64     // seq of the last ACK taken by the writer
	ackTimer *time.Timer
	ackArmed bool
	closing  *wire.Frame // the CLOSE to send last
	deadline *time.Timer // ends a connection that does not close in time
	goAway   *wire.GoAway
	toldAt   time.Time
	err      error // why it ended; the first reason stays
}

// newConnection makes the connection of a session that has just been welcomed.
// run must be called once.
func newConnection(t transport, info Session, s *session) *connection {
	return &connection{
		transport: t,
		info:      info,
		session:   s,
		born:      time.Now(),
		silence:   info.Heartbeat + info.HeartbeatTimeout,
		seen:      s.received.Load(), // its HELLO has acknowledged so much
		acked:     s.received.Load(),
		wake:      make(chan struct{}, 1),
		told:      make(chan struct{}),
		leaving:   make(chan struct{}),
		stop:      make(chan struct{}),
		done:      make(chan struct{}),
	}
}

// run reads and writes until the connection ends. It returns after both
// goroutines have ended and the session is suspended; one that cannot be resumed
// is over, with a result for every call.
func (c *connection) run() {
	var writer sync.WaitGroup
	writer.Go(c.write)
	c.cut(c.read())
	writer.Wait()

	c.mu.Lock()
	for _, timer := range []*time.Timer{c.ackTimer, c.deadline} {
		if timer != nil {
			timer.Stop()
		}
	}
	sent := c.sentID
	c.mu.Unlock()
	if !c.resumable() {
		c.session.discard()
	}
	c.session.suspend(sent)
	close(c.done)
}

// read takes frames until the connection ends, and says why it did.
func (c *connection) read() error {
	for {
		f, err := c.transport.Read(c.silence)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("%w (%v)", errSilent, c.silence)
		case err == nil && c.isLeaving():
			continue // discarded, so that our CLOSE is not lost to a reset
		case err == nil:
			err = c.handle(&f)
		}
		if err == nil {
			continue
		}
		if broken, ok := errors.AsType[*wire.ProtocolError](err); ok {
			c.shut(broken.Code, broken.Message, err)
			<-c.stop // until the writer has said so
		}
		return err
	}
}

// handle reacts to one frame. Its error ends the connection.
func (c *connection) handle(f *wire.Frame) error {
	switch f.Type {
	case wire.TypeReply:
		r := result{status: f.Status, flags: f.Flags, payload: slices.Clone(f.Payload)}
		if !c.session.reply(f.ID, r) {
			c.log.Debug("reply to no request of ours", "id", f.ID)
		}
	case wire.TypePush:
		return c.handlePush(f)
	case wire.TypePing:
		c.sendPong(f.Payload)
	case wire.TypePong: // nothing waits for it yet
	case wire.TypeGoAway:
		g, err := wire.ParseGoAway(f.Payload)
		if err != nil {
			return err
		}
		c.tell(&g)
	case wire.TypeClose:
		return c.closeError(f)
	default:
		return violation("%s after WELCOME", f.Type)
	}
	return nil
}

// handlePush queues a push, and waits while the queue is full. Meanwhile nothing
// else is read, PINGs and replies included.
func (c *connection) handlePush(f *wire.Frame) error {
	if f.Seq != 0 {
		received := c.session.received.Load()
		if f.Seq <= received {
			return nil // sent again; the first has been taken
		}
		if f.Seq != received+1 {
			return violation("push seq %d after %d", f.Seq, received)
		}
	}
	push := Push{Seq: f.Seq, Command: string(f.Command), Payload: slices.Clone(f.Payload)}
	if c.pushes.put(arrival{push: push, from: c.session}, c.leaving) && f.Seq != 0 {
		c.session.received.Store(f.Seq) // not before it is ours for good: a resume begins behind it
	}
	return nil
}

// resumable says whether the session may be resumed after this connection has
// ended. What ends a session is in docs/protocol.md section 5: a CLOSE of ours, a
// CLOSE whose code says so, a GOAWAY that leads elsewhere.
func (c *connection) resumable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.info.ResumeTTL <= 0 || c.closing != nil || c.goAway != nil && !c.goAway.Code.Reconnect().Resumes() {
		return false
	}
	closed, ok := errors.AsType[*CloseError](c.err)
	return !ok || closed.Code.Reconnect().Resumes() || closed.Code == wire.CloseTakenOver && c.session.moving()
}

// closeError makes the error of a CLOSE, with what a GOAWAY before it said.
func (c *connection) closeError(f *wire.Frame) *CloseError {
	e := &CloseError{Code: f.Code, Reason: string(f.Reason)}
	e.follow(c.left())
	return e
}

// violation is a fault of the gateway.
func violation(format string, args ...any) error {
	return &wire.ProtocolError{Code: wire.CloseProtocolError, Message: wire.TrimReason(fmt.Sprintf(format, args...))}
}

// tell notes that the gateway wants this client elsewhere; the first GOAWAY
// counts.
func (c *connection) tell(g *wire.GoAway) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.goAway == nil {
		c.goAway, c.toldAt = g, time.Now()
		close(c.told)
	}
}

// left returns the GOAWAY, or nil.
func (c *connection) left() *wire.GoAway {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.goAway
}

// reason returns why the connection ended; final once done is closed.
func (c *connection) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *connection) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func (c *connection) isLeaving() bool {
	select {
	case <-c.leaving:
		return true
	default:
		return false
	}
}

// shut sends CLOSE behind what is queued and ends the connection, with err as
// its reason. It does not wait.
func (c *connection) shut(code wire.CloseCode, reason string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isLeaving() {
		return
	}
	c.closing = &wire.Frame{Type: wire.TypeClose, Code: code, Reason: []byte(reason)}
	c.err = err
	c.deadline = time.AfterFunc(closeTime, func() { c.cut(err) })
	close(c.leaving)
	signal(c.wake)
}

// cut closes the socket, which ends both goroutines.
func (c *connection) cut(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	select {
	case <-c.stop:
		c.mu.Unlock()
		return
	default:
	}
	close(c.stop)
	if !c.isLeaving() {
		close(c.leaving)
	}
	c.mu.Unlock()
	c.transport.Close() // nobody could do anything about its error
}
