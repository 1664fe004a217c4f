// Package client is the Go SDK: it keeps a session with a Holdfast gateway and
// carries requests and pushes over it, as docs/protocol.md says.
//
//	c, err := client.Dial(ctx, client.Config{
//		Endpoints: []string{"gw.example.com:7000"},
//		Token:     token,
//		OnPush:    func(ctx context.Context, p client.Push) { ... },
//	})
//	defer c.Close()
//	reply, err := c.Request(ctx, "msg.send", payload)
//
// # What it does by itself
//
// It answers heartbeats, and drops a gateway that has fallen silent. It keeps to
// the session's window: a Request waits for its place instead of being refused.
// It reconnects after a cut and after every CLOSE that allows it, with full
// jitter, and takes the next endpoint after three failures on one. When the
// gateway asks it to leave (GOAWAY) it goes on working over the old connection
// for as long as it was told to wait, finishes what is in flight, and moves.
//
// It resumes its session, over whatever transport gets through: requests without
// a reply are sent again under their ids, which the gateway runs once, and pushes
// go on behind the last one received. The application sees StateResumed and has
// nothing to do.
//
// A CLOSE that says "stay away" ends the client: Done is closed and Err holds
// the *CloseError. A refused token ends it too, unless Config.TokenFunc has another.
//
// # What it leaves to the application
//
// A session that cannot be resumed is followed by a new one. Requests that were in
// flight then fail with ErrOutcomeUnknown and are not sent again, since only the
// application knows whether that is harmless; those that never left the process go
// to the new session. Pushes that were not received are lost with the old one:
// OnState tells of StateConnected, and the application synchronises from its own
// position.
//
// # Transports
//
//	tcp, tls      transport_tcp.go   the raw stream
//	ws, wss       transport_ws.go    a frame a message; websocket_*.go is RFC 6455
//	poll, polls   transport_poll.go  HTTP calls, made by poll_call.go
//
// A transport turns frames into bytes and back; connection knows frames only.
// session is what a resume takes from one connection to the next, and rotation
// says where, and by which transport, the next attempt goes.
//
// # Pushes
//
// They are handed over one at a time, in order, and acknowledged after they were
// handled, together: every 32, at the latest half a second after the first; on
// long poll when they have been received, by the GET that follows. A
// handler that is slow holds back reading once Config.PushBuffer pushes wait; a
// gateway that cannot send any more cuts the connection with 4002. So a handler
// hands long work to somebody else.
//
// # Goroutines
//
// A Client owns one goroutine that supervises, two for its connection (for some
// seconds four, while it moves), and one that calls OnPush. Close ends them all
// and waits for them. Long poll adds those of net/http for its two or three HTTP
// connections, which end with the connection, though Close does not wait for them.
//
// The package imports nothing of Holdfast but gateway/wire, and anybody may
// import it.
package client
