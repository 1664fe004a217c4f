package gateway

import (
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/gateway/transport"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// door is a connection at which somebody asks to be let in: a socket, or the
// calls of long poll.
type door interface {
	session.Conn
	// Hold keeps the frames that come until Release.
	Hold()
	Release()
}

// handshake receives from a connection until it belongs to a session: it waits
// for HELLO, has the session resumed or the login judged, and hands the
// connection over.
type handshake struct {
	srv      *Server
	conn     door
	hand     func(*guest) // makes the session the connection's receiver
	client   netip.Addr
	helloBy  int64 // wheel time
	openedAt time.Time

	mu    sync.Mutex // guards the following
	hello bool       // HELLO has come
	gone  bool       // the connection has
	next  *guest
}

// accept is given each socket whose transport is known.
func (s *Server) accept(c *transport.Conn) transport.Receiver {
	h := &handshake{
		srv: s, conn: c, client: c.Remote().Addr(), openedAt: time.Now(),
		hand:    func(g *guest) { c.SetReceiver(g) },
		helloBy: c.OpenedAt() + s.live.Load().cfg.Session.HelloTimeout.Milliseconds(),
	}
	c.WakeAt(h.helloBy)
	return h
}

// Receive takes the first frame. Until the login is judged the connection is
// held, so there is no second.
func (h *handshake) Receive(f wire.Frame) {
	if f.Type != wire.TypeHello {
		h.refuse(wire.CloseProtocolError, "the first frame must be hello", 0)
		return
	}
	hello, err := wire.ParseHello(f.Payload)
	if err != nil {
		var refused *wire.ProtocolError
		if errors.As(err, &refused) {
			h.Refuse(refused)
			return
		}
		h.refuse(wire.CloseProtocolError, "hello: malformed", 0)
		return
	}
	if h.srv.draining.Load() {
		h.refuse(wire.CloseDraining, "the gateway is leaving", reconnectAfter())
		return
	}
	if r, ok := h.srv.gate.Handshake(h.client); !ok {
		h.refuse(r.Code, r.Message, r.RetryAfter)
		return
	}
	h.mu.Lock()
	h.hello = true
	h.mu.Unlock()
	if hello.Resume != nil && h.resume(&hello) {
		return
	}
	h.begin(&hello)
}

// begin has a fresh login judged.
func (h *handshake) begin(hello *wire.Hello) {
	if hello.Ticket != "" {
		// No key is known to this gateway, so no ticket is right.
		h.refuse(wire.CloseTicketInvalid, "ticket: not issued for this gateway", 0)
		return
	}
	h.conn.Hold()
	h.srv.logins.Add(1)
	h.srv.judging.Store(h, nil)
	login := h.login(hello)
	h.srv.disp.Connect(login, func(v Verdict) {
		defer h.srv.logins.Done()
		h.judged(login, v)
	})
}

// login is what the backend is asked. HELLO's texts are copies already.
func (h *handshake) login(hello *wire.Hello) Login {
	l := Login{
		Session: session.NewID(), Token: hello.Token, ClientAttrs: hello.Attrs,
		ClientIP: h.conn.RemoteIP(), Transport: h.conn.Transport(), ConnectedAt: h.openedAt,
	}
	if d := hello.Device; d != nil {
		l.Device = Device{ID: d.ID, Class: d.Class, Model: d.Model, OS: d.OS, App: d.App, Version: d.Version}
	}
	return l
}

// judged lets the client in or tells it why not. It runs on the dispatcher's
// goroutine.
func (h *handshake) judged(l Login, v Verdict) {
	h.srv.judging.Delete(h)
	if v.CloseCode != 0 {
		h.srv.metrics.login(loginRefused)
		h.refuse(wire.CloseCode(v.CloseCode), v.Reason, v.RetryAfter)
		return
	}
	s := h.srv.newSession(l, v)
	if h.srv.draining.Load() { // it would be sent away at once
		h.letDown(s, wire.CloseDraining, "the gateway is leaving", reconnectAfter())
		return
	}
	if r, ok := h.srv.gate.User(v.UID); !ok {
		h.letDown(s, r.Code, r.Message, r.RetryAfter)
		return
	}
	h.srv.metrics.login(loginWelcome)
	at := s.Attach(h.conn, h.srv.welcome) // WELCOME goes first, so that no push goes ahead of it
	replaced := h.srv.sessions.Add(s)
	alive := h.handOver(at, s, true)
	for _, old := range replaced {
		old.EndWith(wire.CloseTakenOver, "the device has come back on another connection")
	}
	if alive {
		// The client may send as much as its window allows once it has WELCOME, so
		// the bound on what comes ahead of it must be lifted first.
		h.conn.Release()
		h.conn.Flush()
	}
}

// letDown refuses a client whom the backend has let in, and tells the backend.
func (h *handshake) letDown(s *session.Session, code wire.CloseCode, reason string, retryAfter time.Duration) {
	h.srv.metrics.login(loginRefused)
	h.refuse(code, reason, retryAfter)
	s.Upstream().End(code.String())
}

// handOver gives the connection to a session; WELCOME is still to be flushed. It
// reports false when the connection has gone meanwhile, of which the session was
// told.
func (h *handshake) handOver(at *session.Attachment, one *session.Session, hasPlace bool) bool {
	g := &guest{Attachment: at, one: one, srv: h.srv, has: hasPlace}
	h.mu.Lock()
	h.next = g
	gone := h.gone
	h.hand(g)
	h.mu.Unlock()
	if gone {
		g.Closed()
		return false
	}
	h.conn.WakeAt(h.conn.Now() + 1) // the attachment says when it wants to be woken
	return true
}

// Refuse ends a connection whose bytes are no frame.
func (h *handshake) Refuse(err *wire.ProtocolError) { h.refuse(err.Code, err.Message, 0) }

// refuse ends the connection with CLOSE, and GOAWAY before it where the client
// is meant to wait.
func (h *handshake) refuse(code wire.CloseCode, reason string, retryAfter time.Duration) {
	h.srv.metrics.refused(code)
	switch code {
	case wire.CloseOverloaded, wire.CloseBackendUnavailable, wire.CloseRateLimited, wire.CloseDraining:
		h.conn.CloseWith(code, reason, goAway(code, reason, 0, max(retryAfter, minReconnectAfter)))
	default:
		h.conn.CloseWith(code, reason)
	}
}

// Away, Back and Arrived come from calls of long poll; before WELCOME there is
// nothing to go away from.
func (h *handshake) Away() {}

// Back is Away's counterpart.
func (h *handshake) Back() {}

// Arrived has nothing to forget.
func (h *handshake) Arrived(uint32) {}

// sendAway tells a client that has begun to log in that the gateway is leaving.
// One whose login is being judged is told by the verdict, or when no more can be
// waited for.
func (h *handshake) sendAway() {
	h.mu.Lock()
	judged := h.hello
	h.mu.Unlock()
	if !judged {
		h.turnAway()
	}
}

func (h *handshake) turnAway() {
	h.refuse(wire.CloseDraining, "the gateway is leaving", reconnectAfter())
}

// Closed forwards to the session when the connection went just as it was
// handed over.
func (h *handshake) Closed() {
	h.mu.Lock()
	h.gone = true
	next := h.next
	h.mu.Unlock()
	if next != nil {
		next.Closed()
	}
}

// Expire enforces the hello deadline. The login itself is bounded by the
// dispatcher.
func (h *handshake) Expire(now int64) int64 {
	h.mu.Lock()
	waiting := !h.hello
	h.mu.Unlock()
	switch {
	case !waiting:
		return 0
	case now < h.helloBy:
		return h.helloBy
	default:
		h.refuse(wire.CloseHelloTimeout, "no complete hello in time", 0)
	}
	return 0
}
