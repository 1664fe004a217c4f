// Package transport holds client connections: it accepts them, finds out how
// each client speaks, cuts its bytes into frames, writes frames without ever
// blocking the caller, and closes connections so that the last frame arrives. It
// knows no session and no backend. It is the only importer of netpoll.
//
//	                 reader, one stage after another                      Receiver
//	netpoll poller ─▶ proxyReader ─▶ detectReader ─▶ streamReader ─ frames ─▶ (inline,
//	                     │    ▲            ├───▶ wsReader ───────── frames ─▶  must not
//	                  localReader  TLS     └───▶ httpConn ─ Call ─▶ Serve       block)
//	                               └─ plain bytes begin again at detectReader
//
//	any goroutine ── Conn.Queue ──▶ framing ──▶ outbound ──▶ [TLS] ──▶ socket
//	                                               └─ what the socket refuses waits for the writable loop
//
// Reading. Handlers run inline in netpoll's poller: no goroutine is woken for a
// read, and a flooding client is read no faster than its frames are judged.
// ingest takes all bytes that have come, and each reader keeps what is
// incomplete itself, because a netpoll handler that returns with unread bytes is
// called again at once and spins. A connection begins with a newcomer as its
// receiver, which keeps the first deadlines; the Gatekeeper is asked when the
// socket was accepted and when the client's address is known. Who may not stay
// is told so as soon as it is known how it speaks.
//
// HTTP. An httpConn takes one request at a time and hands it on as a Call, which
// anybody may answer later: long poll and Server-Sent Events are package poll's.
// A call may make its connection a WebSocket.
//
// TLS. Package secure keeps crypto/tls without a goroutine but for the
// handshake. What waits is encrypted a record at a time, when the record before
// has gone, so that what waits can still be dropped.
//
// Writing. netpoll's Flush blocks its caller until the peer has read, so Conn
// writes to the descriptor itself, without blocking, and queues the rest. A
// loop of its own on a second epoll set waits until such sockets are writable.
// Transient frames that wait may be dropped for newer ones, in place (loose.go).
// A connection that nobody has to wait for owns no buffer and no goroutine.
//
// Lock order: Conn.readMu, then whatever the Receiver locks, then Conn.mu. Conn
// calls nobody while it holds mu. Answering a Call takes no reading lock, since
// whoever answers may be reading another connection.
package transport
