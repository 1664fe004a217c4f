package kit

import (
	"context"
	"time"
)

// Backend is what a backend team gives. Every function may be called from many
// goroutines at once, must return when its context is done, and may panic
// without harm to anything but the call in question.
type Backend struct {
	// Connect judges one login. It returns who this is, or refuses with Refuse;
	// any other error refuses with CloseInternal and is logged. The gateway may
	// ask again about the same Session.ID (after an answer that was lost), so a
	// second call must give the same verdict. Nil: no logins are judged here.
	Connect func(ctx context.Context, l Login) (Identity, error)

	// Handle runs one packet and returns the payload of its reply. It fails with
	// Fail or FailPayload; any other error is logged and the client is told no
	// more than INTERNAL. The context ends when the answer is of no use any more.
	// Packets of one session run one after another in their order, packets of
	// different sessions in parallel. The payload that Handle returns belongs to
	// the kit from then on. Nil: every command is UNIMPLEMENTED.
	Handle func(ctx context.Context, p Packet) ([]byte, error)

	// Events tells what became of sessions, at least once each; an error makes
	// the gateway send the list again. Nil: the service wants no events.
	Events func(ctx context.Context, ev []Event) error

	// GatewaySeen is called at each Heartbeat of a gateway (every 3 s), to renew
	// its lease where presence is kept. It returns true when the presence of that
	// gateway is unknown or lost; the gateway then announces all its sessions
	// again as Present events. The kit asks for that by itself when a gateway is
	// new to this process. Must be quick. Nil: nothing is called.
	GatewaySeen func(ctx context.Context, g Gateway) (resync bool)

	// GatewayLost is called once when a gateway's lease has run out, or when its
	// address has come back with another epoch: its sessions are gone. A gateway
	// whose lease ran out counts as new, and is asked to announce its sessions,
	// only after GatewayLost has returned. Nil: nothing is called.
	GatewayLost func(ctx context.Context, g Gateway)
}

// Device is what the client said of its device: its word, not verified.
type Device struct {
	ID, Class, OS, App, Version, Model string
}

// Session says who is speaking.
type Session struct {
	ID          string // made by the gateway, cannot be guessed
	UID         string // empty in Connect itself
	Gateway     string // where pushes for this session go
	Epoch       int64  // of that gateway process
	Device      Device
	ClientIP    string
	Transport   string            // tcp, tls, ws, wss, poll, polls, sse or sses
	Attrs       map[string]string // what Connect answered; empty in Connect itself
	ConnectedAt time.Time         // on the gateway's clock
}

// Purpose says why a token is judged.
type Purpose string

// The purposes.
const (
	PurposeConnect Purpose = "connect" // a new session
	PurposeRefresh Purpose = "refresh" // a live session renews its token; the uid must not change
)

// Login is one token to be judged.
type Login struct {
	Session     Session
	Token       string // at most 8 KiB; may be empty
	Purpose     Purpose
	ClientAttrs map[string]string // HELLO's attrs: the client's word
}

// Identity is the verdict on a login that is welcome.
type Identity struct {
	UID       string            // 1 to 64 bytes
	Attrs     map[string]string // at most 16 pairs and 1 KiB together; travels with each packet
	ExpiresAt time.Time         // when the credential runs out; zero: never
	Window    int               // lowers the bound on unanswered requests; 0: the gateway's own
}

// Packet is one request of a client. The value, its payload and its attributes
// belong to the handler.
type Packet struct {
	Service  string
	Session  string
	UID      string
	Seq      int64 // per session and service, +1 per packet, the same in a further attempt
	Attempt  int   // 1 for the first
	Command  string
	Payload  []byte
	Attrs    map[string]string // what Connect answered
	DeviceID string
	Gateway  string // where a push to this very session goes
}

// EventKind says what became of a session.
type EventKind string

// The kinds of events.
const (
	Cut     EventKind = "cut"     // lost its connection, may be resumed
	Resumed EventKind = "resumed" // a new connection took it over
	Ended   EventKind = "ended"   // is over
	Present EventKind = "present" // is alive: announced after a resync was asked for
)

// Event tells what became of a session.
type Event struct {
	Session Session
	Kind    EventKind
	Reason  string    // the close code's name in lower case, or "connection_lost"
	At      time.Time // on the gateway's clock
}

// Gateway is a gateway whose Heartbeat reaches this process.
type Gateway struct {
	Address  string // where its Gateway service is served; what Packet.Gateway and Session.Gateway name
	Name     string
	Epoch    int64
	Sessions int64 // as of its last Heartbeat
	LastSeen time.Time
}
