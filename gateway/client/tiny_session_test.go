package client_test

import (
	"strconv"
	"sync"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// tinySession is what docs/protocol.md section 4 makes of a session. It keeps
// everything for ever.
type tinySession struct {
	id string

	mu       sync.Mutex
	secrets  []string // the newest first; the second until a frame has come
	renewals int
	lastID   uint32
	runs     map[uint32]int // how often each request was run
	replies  map[uint32]wire.Frame
	pushes   []wire.Frame
	acked    uint64
	out      tinyOut // where frames go; nil while cut
}

// tinyOut is a connection, or a poll that takes frames for later.
type tinyOut interface {
	send(wire.Frame)
	end()
}

func newTinySession(id string) *tinySession {
	return &tinySession{id: id, secrets: []string{"x0"}, runs: map[uint32]int{}, replies: map[uint32]wire.Frame{}}
}

// resume takes a session over if the secret is right.
func (s *tinySession) resume(r *wire.Resume) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.knowsLocked(r.Secret) {
		return false
	}
	if s.out != nil {
		s.out.end()
		s.out = nil
	}
	s.renewals++
	// The one that was presented stays valid until a frame comes.
	s.secrets = []string{"x" + strconv.Itoa(s.renewals), r.Secret}
	s.acked = max(s.acked, r.Seq)
	return true
}

func (s *tinySession) knowsLocked(secret string) bool {
	for _, known := range s.secrets {
		if known == secret {
			return true
		}
	}
	return false
}

// bearer judges a poll call.
func (s *tinySession) bearer(secret string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.knowsLocked(secret) {
		return false
	}
	if secret == s.secrets[0] {
		s.secrets = s.secrets[:1]
	}
	return true
}

// attach gives the session a way out, and sends what was kept.
func (s *tinySession) attach(out tinyOut) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = out
	if out == nil {
		return
	}
	for _, f := range s.pushes {
		if f.Seq > s.acked {
			out.send(f)
		}
	}
}

// detach is a cut of out.
func (s *tinySession) detach(out tinyOut) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out == out {
		s.out = nil
	}
}

// receive takes a frame of the client's. Poll repeats at will.
func (s *tinySession) receive(out tinyOut, f wire.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out != out {
		return
	}
	s.secrets = s.secrets[:1]
	switch f.Type {
	case wire.TypeAck:
		s.acked = max(s.acked, f.Seq)
	case wire.TypeRequest:
		s.requestLocked(f)
	}
}

func (s *tinySession) requestLocked(f wire.Frame) {
	if f.ID <= s.lastID {
		s.sendLocked(s.replies[f.ID])
		return
	}
	s.lastID = f.ID
	s.runs[f.ID]++
	reply := wire.Frame{Type: wire.TypeReply, ID: f.ID, Payload: append([]byte{}, f.Payload...)}
	switch string(f.Command) {
	case "echo.fail":
		reply.Status, reply.Flags = wire.StatusUnavailable, wire.FlagOriginGateway
		reply.Payload = wire.AppendErrorPayload(nil, &wire.ErrorPayload{Message: "no instance is up", Reason: "vacant", RetryAfterMS: 200})
	case "echo.push":
		push := wire.Frame{Type: wire.TypePush, Seq: uint64(len(s.pushes) + 1), Command: []byte("echo.pushed"), Payload: reply.Payload}
		s.pushes = append(s.pushes, push)
		s.sendLocked(push)
	}
	s.replies[f.ID] = reply
	if string(f.Command) != "echo.never" {
		s.sendLocked(reply)
	}
}

func (s *tinySession) sendLocked(f wire.Frame) {
	if s.out != nil && f.Type != 0 {
		s.out.send(f)
	}
}

// twice lists the requests that were run more than once.
func (s *tinySession) twice() (ids []uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, n := range s.runs {
		if n > 1 {
			ids = append(ids, id)
		}
	}
	return ids
}
