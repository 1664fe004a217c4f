package client_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// tiny is a gateway and its backend in a few lines, for the examples and for
// tests that want to look inside: echo.say answers with the payload, echo.push
// pushes it, echo.fail is unavailable, echo.never is not answered before the
// session has been resumed. One port speaks every transport.
type tiny struct {
	listener net.Listener
	tls      *tls.Config // nil: none
	web      *http.Server
	ttl      time.Duration // resume_ttl; set before the first client
	returnTo map[string]string
	wg       sync.WaitGroup

	mu        sync.Mutex
	conns     map[net.Conn]bool
	sessions  map[string]*tinySession
	refuse    map[string]bool // transports that break without a word
	spoken    []string        // transport of each HELLO
	loseReply int             // so many WELCOMEs get lost, the connection with them
	stopped   bool
}

func startTiny() *tiny { return startTinyWith(nil) }

func startTinyWith(secure *tls.Config) *tiny {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	s := &tiny{
		listener: listener, tls: secure, ttl: time.Minute, conns: map[net.Conn]bool{},
		sessions: map[string]*tinySession{}, refuse: map[string]bool{},
	}
	web := &handedOver{conns: make(chan net.Conn), done: make(chan struct{}), addr: listener.Addr()}
	s.web = &http.Server{Handler: http.HandlerFunc(s.serveHTTP)}
	s.wg.Go(func() { s.web.Serve(web) })
	s.wg.Go(func() {
		defer web.Close()
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { s.sort(conn, web) })
		}
	})
	return s
}

func (s *tiny) addr() string { return s.listener.Addr().String() }

// sort gives a connection to what its first byte asks for.
func (s *tiny) sort(conn net.Conn, web *handedOver) {
	if !s.track(conn) {
		return
	}
	first := &peeked{Conn: conn, r: bufio.NewReader(conn)}
	b, err := first.r.Peek(1)
	if err == nil && b[0] == 0x16 && s.tls != nil {
		over := tls.Server(first, s.tls)
		first = &peeked{Conn: over, r: bufio.NewReader(over), secure: true}
		b, err = first.r.Peek(1)
	}
	switch {
	case err != nil:
		s.drop(conn)
	case b[0] == 0:
		defer s.drop(conn)
		if name := first.name("tcp", "tls"); s.speaks(name) {
			serveTiny(s, &tinyStream{conn: first, name: name})
		}
	default:
		select {
		case web.conns <- first:
		case <-web.done:
			s.drop(conn)
		}
	}
}

func (s *tiny) track(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		conn.Close()
		return false
	}
	s.conns[conn] = true
	return true
}

func (s *tiny) drop(conn net.Conn) {
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// speaks says whether a transport gets through.
func (s *tiny) speaks(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.refuse[name]
}

// block lets only the other transports through from now on.
func (s *tiny) block(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = map[string]bool{}
	for _, n := range names {
		s.refuse[n] = true
	}
}

// hellos lists the transport of each HELLO so far.
func (s *tiny) hellos() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.spoken)
}

// cut breaks every connection without a word.
func (s *tiny) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
	clear(s.conns)
}

// forget ends every session, as a restart does.
func (s *tiny) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.sessions)
}

func (s *tiny) stop() {
	s.mu.Lock()
	s.stopped = true
	for _, one := range s.sessions {
		one.attach(nil)
	}
	s.mu.Unlock()
	s.listener.Close()
	s.cut()
	s.web.Close()
	s.wg.Wait()
}

// greet answers HELLO: a new session, or the one that it wants back.
func (s *tiny) greet(name string, hello []byte) (*tinySession, []byte, bool) {
	h, err := wire.ParseHello(hello)
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spoken = append(s.spoken, name)
	welcome := wire.Welcome{
		UID: "1001", Gateway: "tiny", Window: 64, MaxFrame: 1 << 20, ResumeTTLMS: s.ttl.Milliseconds(),
		PollMS: 300, ReturnTo: s.returnTo,
	}
	one := (*tinySession)(nil)
	if h.Resume != nil {
		one = s.sessions[h.Resume.Session]
	}
	if one != nil && one.resume(h.Resume) {
		welcome.Resumed = true
	} else {
		one = newTinySession(fmt.Sprint("s", len(s.sessions)+1))
		s.sessions[one.id] = one
	}
	one.mu.Lock()
	welcome.Session, welcome.Secret, welcome.LastRequestID = one.id, one.secrets[0], one.lastID
	one.mu.Unlock()
	lost := s.loseReply > 0
	if lost {
		s.loseReply--
	}
	return one, wire.AppendWelcome(nil, &welcome), !lost
}

// peeked is a connection whose first bytes have been looked at.
type peeked struct {
	net.Conn
	r      *bufio.Reader
	secure bool
}

func (c *peeked) Read(b []byte) (int, error) { return c.r.Read(b) }

func (c *peeked) name(plain, secure string) string {
	if c.secure {
		return secure
	}
	return plain
}

// handedOver is a listener of connections that somebody else has accepted.
type handedOver struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	addr  net.Addr
}

func (l *handedOver) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *handedOver) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *handedOver) Addr() net.Addr { return l.addr }
