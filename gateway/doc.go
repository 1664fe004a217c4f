// Package gateway holds clients' connections and knows nothing of the business
// behind them, so it need not restart when the business changes.
//
//	client ──▶ transport.Conn ─────────▶ handshake ──▶ session.Attachment ──▶ Dispatcher ──▶ backend
//	       └─▶ transport.Call ─▶ poll.Conn ──▲  ▲            │
//	                  ▲                         │            │
//	                  │                     admission        │
//	                  └────── session.Session ◀──────────────┴── push.Service ◀──────────── backend
//
// A connection is read inline in a netpoll poller. Its first frame is HELLO. One
// that asks for a session which has lost its connection gets it back at once
// (resume.go); any other goes to the Dispatcher to be judged while the connection
// is held. When it is let in, a Session is made and attached to the connection:
// from then on requests go to the session's lanes (Dispatcher.Open) and answers
// and pushes come back through the session into the connection's bounded queue.
// Nothing on this way blocks: a slow client is cut, a slow backend is waited for
// in its lane only.
//
// Long poll and Server-Sent Events are the same from HELLO on: package poll makes
// a connection of their calls. serveHTTP says which paths there are.
//
// Package admission is asked when a socket comes (gate.go), at HELLO, when it is
// known whose login it is, and for each request. What can change while the
// gateway runs is in live.go and reload.go.
//
// One timer wheel keeps all deadlines of connections. The server's goroutines
// are the wheel, the sweep of cut sessions, the sampling of memory, per listener
// an accept loop, a writable loop and the watch of certificates, the Kitex
// server, and nothing per connection but TLS handshakes while they last.
//
// Whoever builds the process: New, Listen, then Run with a Dispatcher. The
// Dispatcher is told the Address that Listen has bound, for backends to answer
// to.
package gateway
