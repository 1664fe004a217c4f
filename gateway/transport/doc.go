// Package transport holds client connections: it accepts them, cuts their
// bytes into frames, writes frames without ever blocking the caller, and closes
// them so that the last frame arrives. It knows no session and no backend. It
// is the only importer of netpoll.
//
//	netpoll poller ── bytes ──▶ Conn.ingest ── frames ──▶ Receiver   (inline, must not block)
//	any goroutine  ── frames ─▶ Conn.Queue, Flush ── bytes ──▶ socket
//	                                        └─ what the socket refuses waits for the writable loop
//
// Reading. Handlers run inline in netpoll's poller: no goroutine is woken for a
// read, and a flooding client is read no faster than its frames are judged.
// ingest takes all bytes that have come and keeps a partial frame itself,
// because a netpoll handler that returns with unread bytes is called again at
// once and spins.
//
// Writing. netpoll's Flush blocks its caller until the peer has read, so Conn
// writes to the descriptor itself, without blocking, and queues the rest. A
// loop of its own on a second epoll set waits until such sockets are writable.
// A connection that nobody has to wait for owns no buffer and no goroutine.
//
// Lock order: Conn.readMu, then whatever the Receiver locks, then Conn.mu. Conn
// calls nobody while it holds mu.
package transport
