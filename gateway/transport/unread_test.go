package transport

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

// TestUnreadAnswers has a client ask without reading: from the moment at which its
// socket is full its requests wait, so that answers, which are longer, do not pile
// up. Once it reads, it gets them all.
func TestUnreadAnswers(t *testing.T) {
	edge, _ := scriptListeners(t)
	s := newScript(t, edge, "127.0.0.1:1")
	defer s.end()
	request := []byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	sent := 0
	ask := func(n int) {
		s.c.ingest(bytes.Repeat(request, n))
		sent += n
	}
	for !s.c.backlogged() {
		ask(1)
	}
	queued := s.c.Queued()
	ask(500)
	ask(500)
	if n := s.c.Queued(); n != queued {
		t.Errorf("%d bytes of answers wait, and %d when the socket was full", n, queued)
	}
	if n := len(s.c.partial); n != 1000*len(request) {
		t.Errorf("%d bytes of requests wait, want %d", n, 1000*len(request))
	}
	h := s.c.Receiver().(*httpConn)
	if now := s.c.Now(); s.c.Expire(now) != now+backlogMillis {
		t.Errorf("Expire(%d) does not come back after %d ms", now, backlogMillis)
	}
	for s.c.backlogged() || h.kept {
		for {
			n, err := unix.Read(s.peer, s.buf[:])
			if n <= 0 || err != nil {
				break
			}
			s.said = append(s.said, s.buf[:n]...)
		}
		s.c.resume()
		h.readOn()
		s.c.Flush()
	}
	s.feed(nil)
	if n := bytes.Count(s.said, []byte("HTTP/1.1 200 OK\r\n")); n != sent || len(s.events) != sent {
		t.Errorf("%d answers to %d requests, of which %d were served", n, sent, len(s.events))
	}
}
