package client_test

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// tinyConn is a connection of frames.
type tinyConn interface {
	tinyOut
	transport() string
	read() (wire.Frame, error)
}

// serveTiny answers one connection until it closes.
func serveTiny(s *tiny, c tinyConn) {
	defer c.end()
	f, err := c.read()
	if err != nil || f.Type != wire.TypeHello {
		return
	}
	one, welcome, arrives := s.greet(c.transport(), f.Payload)
	if !arrives {
		return
	}
	c.send(wire.Frame{Type: wire.TypeWelcome, Payload: welcome})
	one.attach(c)
	defer one.detach(c)
	for {
		f, err := c.read()
		if err != nil || f.Type == wire.TypeClose {
			return
		}
		one.receive(c, f)
	}
}

// tinyStream is tcp and tls.
type tinyStream struct {
	conn net.Conn
	name string
	in   []byte
}

func (c *tinyStream) transport() string { return c.name }
func (c *tinyStream) end()              { c.conn.Close() }

func (c *tinyStream) send(f wire.Frame) {
	b, err := wire.AppendStream(nil, &f)
	if err != nil {
		panic(err)
	}
	c.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	c.conn.Write(b) // what is lost is sent again
}

func (c *tinyStream) read() (wire.Frame, error) {
	chunk := make([]byte, 64<<10)
	for {
		f, size, err := wire.ParseStream(c.in, 1<<20, wire.FromClient)
		if !errors.Is(err, wire.ErrIncomplete) {
			c.in = slices.Clone(c.in[size:])
			return f, err
		}
		n, err := c.conn.Read(chunk)
		if err != nil {
			return f, err
		}
		c.in = append(slices.Clone(c.in), chunk[:n]...)
	}
}

// tinyWebSocket is ws and wss.
type tinyWebSocket struct {
	conn net.Conn
	rw   io.ReadWriter
	name string
	json bool
}

func (c *tinyWebSocket) transport() string { return c.name }
func (c *tinyWebSocket) end()              { c.conn.Close() }

func (c *tinyWebSocket) send(f wire.Frame) {
	encoding, op := wire.Binary, ws.OpBinary
	if c.json {
		encoding, op = wire.JSON, ws.OpText
	}
	b, err := encoding.Append(nil, &f)
	if err != nil {
		panic(err)
	}
	c.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	wsutil.WriteServerMessage(c.conn, op, b)
}

func (c *tinyWebSocket) read() (wire.Frame, error) {
	b, op, err := wsutil.ReadClientData(c.rw)
	switch {
	case err != nil:
		return wire.Frame{}, err
	case c.json != (op == ws.OpText):
		return wire.Frame{}, errors.New("a message of the wrong kind")
	case c.json:
		return wire.ParseJSON(b, wire.FromClient)
	}
	return wire.Parse(b, wire.FromClient)
}

// serveHTTP is WebSocket and long poll.
func (s *tiny) serveHTTP(w http.ResponseWriter, r *http.Request) {
	web, poll := "ws", "poll"
	if s.tls != nil {
		web, poll = "wss", "polls"
	}
	switch {
	case r.URL.Path == "/v1/ws" && s.speaks(web):
		up := ws.HTTPUpgrader{Protocol: func(p string) bool { return strings.HasPrefix(p, "holdfast.v1") }}
		conn, rw, hs, err := up.Upgrade(r, w)
		if err != nil {
			return
		}
		serveTiny(s, &tinyWebSocket{conn: conn, rw: rw, name: web, json: hs.Protocol == "holdfast.v1.json"})
	case strings.HasPrefix(r.URL.Path, "/v1/poll") && s.speaks(poll):
		s.servePoll(w, r, poll)
	default:
		http.Error(w, "a proxy that knows better", http.StatusBadGateway)
	}
}

// tinyPoll keeps frames until they are named.
type tinyPoll struct {
	mu      sync.Mutex
	frames  []wire.Frame
	arrived chan struct{} // cap 1
	ended   bool
}

func (p *tinyPoll) send(f wire.Frame) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frames = append(p.frames, f)
	p.signal()
}

func (p *tinyPoll) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.signal()
}

func (p *tinyPoll) signal() {
	select {
	case p.arrived <- struct{}{}:
	default:
	}
}

// name drops what the client has.
func (p *tinyPoll) name(seq, reply uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := -1
	for i, f := range p.frames {
		if f.Type == wire.TypeReply && uint64(f.ID) == reply {
			last = i
		}
	}
	var keep []wire.Frame
	for i, f := range p.frames {
		if f.Type == wire.TypePush && f.Seq > seq || f.Type == wire.TypeReply && i > last {
			keep = append(keep, f)
		}
	}
	p.frames = keep
}

func (p *tinyPoll) take() (all []byte, ended bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.frames {
		all = append(all, "[,"[min(i, 1)])
		var err error
		if all, err = wire.AppendJSON(all, &p.frames[i]); err != nil {
			panic(err)
		}
	}
	if all == nil {
		return nil, p.ended
	}
	return append(all, ']'), p.ended
}

func (s *tiny) servePoll(w http.ResponseWriter, r *http.Request, name string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if r.Method == http.MethodPost && r.URL.Path == "/v1/poll" {
		f, err := wire.ParseJSONHello(body)
		if err != nil {
			panic(err)
		}
		one, welcome, arrives := s.greet(name, f.Payload)
		if !arrives {
			panic(http.ErrAbortHandler)
		}
		one.attach(&tinyPoll{arrived: make(chan struct{}, 1)})
		w.Write(welcome)
		return
	}
	id, secret, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ".")
	s.mu.Lock()
	one := s.sessions[id]
	s.mu.Unlock()
	if one == nil || !one.bearer(secret) {
		refuseTiny(w, http.StatusUnauthorized, wire.CloseNormal)
		return
	}
	one.mu.Lock()
	p, ok := one.out.(*tinyPoll)
	one.mu.Unlock()
	if !ok {
		refuseTiny(w, http.StatusConflict, wire.CloseTakenOver)
		return
	}
	switch r.Method {
	case http.MethodGet:
		s.getPoll(w, r, one, p)
	case http.MethodPost:
		frames, err := wire.ParseJSONArray(nil, body, wire.FromClient)
		if err != nil {
			refuseTiny(w, http.StatusBadRequest, wire.CloseProtocolError)
			return
		}
		for _, f := range frames {
			one.receive(p, f)
		}
		w.WriteHeader(http.StatusAccepted)
		w.Write([]byte("[]"))
	case http.MethodDelete:
		s.mu.Lock()
		delete(s.sessions, id)
		s.mu.Unlock()
		p.end()
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *tiny) getPoll(w http.ResponseWriter, r *http.Request, one *tinySession, p *tinyPoll) {
	q := r.URL.Query()
	seq, _ := strconv.ParseUint(q.Get("seq"), 10, 64)
	reply, _ := strconv.ParseUint(q.Get("replies"), 10, 32)
	p.name(seq, reply)
	one.receive(p, wire.Frame{Type: wire.TypeAck, Seq: seq})
	held := time.NewTimer(300 * time.Millisecond)
	defer held.Stop()
	for {
		all, ended := p.take()
		switch {
		case ended:
			refuseTiny(w, http.StatusUnauthorized, wire.CloseNormal)
			return
		case all != nil:
			w.Write(all)
			return
		}
		select {
		case <-p.arrived:
		case <-held.C:
			w.Write([]byte("[]"))
			return
		case <-r.Context().Done():
			return
		}
	}
}

func refuseTiny(w http.ResponseWriter, status int, code wire.CloseCode) {
	b, _ := json.Marshal(map[string]any{"type": "close", "code": code})
	w.WriteHeader(status)
	w.Write(b)
}
