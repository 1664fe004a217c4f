package gateway

import (
	"errors"
	"sync"
	"time"

	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/gateway/transport"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// handshake receives from a connection until it belongs to a session: it waits
// for HELLO, has the login judged, and hands the connection over.
type handshake struct {
	srv      *Server
	conn     *transport.Conn
	helloBy  int64 // wheel time
	openedAt time.Time

	mu    sync.Mutex // guards the following
	hello bool       // HELLO has come
	gone  bool       // the connection has
	next  *session.Attachment
}

func (s *Server) accept(c *transport.Conn) transport.Receiver {
	h := &handshake{srv: s, conn: c, openedAt: time.Now()}
	h.helloBy = c.Now() + s.cfg.Session.HelloTimeout.Milliseconds()
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
	if hello.Ticket != "" {
		// No key is known to this gateway, so no ticket is right.
		h.refuse(wire.CloseTicketInvalid, "ticket: not issued for this gateway", 0)
		return
	}
	if hello.Resume != nil && !hello.HasToken {
		h.refuse(wire.CloseSessionExpired, "the session cannot be resumed", 0)
		return
	}
	if h.srv.draining.Load() {
		h.refuse(wire.CloseDraining, "the gateway is leaving", reconnectAfter())
		return
	}
	h.mu.Lock()
	h.hello = true
	h.mu.Unlock()
	h.conn.Hold()
	h.srv.logins.Add(1)
	login := h.login(&hello)
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
	if v.CloseCode != 0 {
		h.srv.metrics.login(loginRefused)
		h.refuse(wire.CloseCode(v.CloseCode), v.Reason, v.RetryAfter)
		return
	}
	h.srv.metrics.login(loginWelcome)
	s := h.srv.newSession(l, v)
	at := s.Attach(h.conn)
	h.conn.Queue(h.srv.welcome(s)) // before Add, so that no push goes ahead of it
	replaced := h.srv.sessions.Add(s)
	h.mu.Lock()
	h.next = at
	gone := h.gone
	h.conn.SetReceiver(at)
	h.mu.Unlock()
	for _, old := range replaced {
		old.Close(wire.CloseTakenOver, "the device has come back on another connection")
	}
	if gone {
		at.Closed()
		return
	}
	h.conn.WakeAt(h.conn.Now() + 1) // the attachment says when it wants to be woken
	h.conn.Flush()
	h.conn.Release()
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

// sendAway tells a client that has begun to log in that the gateway is leaving.
// One whose login is being judged is closed with the sessions.
func (h *handshake) sendAway() {
	h.mu.Lock()
	judged := h.hello
	h.mu.Unlock()
	if !judged && h.conn.GotBytes() {
		h.refuse(wire.CloseDraining, "the gateway is leaving", reconnectAfter())
	}
}

// cut ends a connection that has still not logged in.
func (h *handshake) cut() {
	if h.conn.GotBytes() {
		h.sendAway()
		return
	}
	h.conn.Abort()
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
	case !h.conn.GotBytes():
		h.srv.metrics.silent.Inc()
		h.conn.Abort()
	default:
		h.refuse(wire.CloseHelloTimeout, "no complete hello in time", 0)
	}
	return 0
}
