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
// A CLOSE that says "stay away" ends the client: Done is closed and Err holds
// the *CloseError. A refused token ends it too, unless Config.TokenFunc has another.
//
// # What it leaves to the application
//
// Every reconnect begins a new session; resume comes in a later release. Requests
// that were in flight at a cut fail with ErrOutcomeUnknown and are not sent again,
// since only the application knows whether that is harmless; those that never
// left the process go to the next connection. Pushes that were not acknowledged
// are not repeated in the new session: OnState tells of StateConnected, and the
// application synchronises from its own position.
//
// # Pushes
//
// They are handed over one at a time, in order, and acknowledged after they were
// handled, together: every 32, at the latest half a second after the first. A
// handler that is slow holds back reading once Config.PushBuffer pushes wait; a
// gateway that cannot send any more cuts the connection with 4002. So a handler
// hands long work to somebody else.
//
// # Goroutines
//
// A Client owns one goroutine that supervises, two for its connection (for some
// seconds four, while it moves), and one that calls OnPush. Close ends them all
// and waits for them.
//
// The package imports nothing of Holdfast but gateway/wire, and anybody may
// import it.
package client
