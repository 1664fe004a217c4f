// Package gateway holds clients' connections and knows nothing of the business
// behind them, so it need not restart when the business changes.
//
//	client ──▶ transport.Conn ──▶ handshake ──▶ session.Attachment ──▶ Dispatcher ──▶ backend
//	                  ▲                              │
//	                  └──────── session.Session ◀────┴──── push.Service ◀──────────── backend
//
// A connection is read inline in a netpoll poller. Its first frame is HELLO,
// which goes to the Dispatcher to be judged while the connection is held. When
// it is let in, a Session is made and attached to the connection: from then on
// requests go to the session's lanes (Dispatcher.Open) and answers and pushes
// come back through the session into the connection's bounded queue. Nothing on
// this way blocks: a slow client is cut, a slow backend is waited for in its
// lane only.
//
// One timer wheel keeps all deadlines of connections. The server's goroutines
// are the wheel, per listener an accept loop and a writable loop, the Kitex
// server, and nothing per connection.
//
// Whoever builds the process: New, Listen, then Run with a Dispatcher. The
// Dispatcher is told the Address that Listen has bound, for backends to answer
// to.
package gateway
