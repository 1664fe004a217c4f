package gateway

import (
	"time"

	"github.com/holdfast-io/holdfast/gateway/session"
)

// Dispatcher carries logins and requests to the backends. It is declared here
// because the gateway is what needs it; main joins it with package dispatcher.
type Dispatcher interface {
	// Connect asks the backend to judge a login. It never blocks; done is called
	// exactly once, at the latest when the login has timed out, from any
	// goroutine but never before Connect has returned on the caller's.
	Connect(l Login, done func(Verdict))
	// Open makes the lanes of a session that Connect has let in. Answers go to
	// sink. service is the one that judged the login (Verdict.Service).
	Open(o Origin, service string, sink Sink) session.Upstream
	// Incarnation tells that an instance of service spoke as this incarnation.
	Incarnation(incarnation int64)
}

// Sink takes the answers to a session's requests. session.Session is one.
type Sink interface {
	// Reply is the backend's answer to request id; payload is the sink's from now on.
	Reply(id uint32, status uint8, payload []byte)
	// Refuse is the dispatcher's own answer to request id.
	Refuse(id uint32, status uint8, reason, message string, retryAfter time.Duration)
	// Flush comes after each run of Reply and Refuse.
	Flush()
}

// Device is what the client said of its device. Nothing in it is verified.
type Device = session.Device

// Login is one credential to be judged.
type Login struct {
	Session     string
	UID         string // empty for a new session; of the session for a refresh
	Refresh     bool   // a live session presents a new token
	Token       string
	Device      Device
	ClientIP    string
	Transport   string
	Attrs       map[string]string // the session's own, for a refresh
	ClientAttrs map[string]string // the client's word
	ConnectedAt time.Time
}

// Verdict is the backend's word on a Login, or why there is none.
type Verdict struct {
	UID        string
	Attrs      map[string]string
	ExpiresAt  time.Time // zero: never
	Window     int       // 0: the gateway's own
	Service    string    // the service that judged
	CloseCode  uint16    // 0: welcome
	Reason     string    // with CloseCode, for the client
	RetryAfter time.Duration
}

// Origin says whose requests a lane carries.
type Origin struct {
	Session     string
	UID         string
	Device      Device
	ClientIP    string
	Transport   string
	Attrs       map[string]string
	ConnectedAt time.Time
}
