package session

import (
	"crypto/rand"
	"encoding/base64"
	"time"
)

// Device is what the client said of its device in HELLO. Nothing in it is
// verified.
type Device struct {
	ID, Class, Model, OS, App, Version string
}

// State is a session as a plain value, apart from its connection and its lanes.
type State struct {
	ID          string
	Secret      string // proves that who resumes is who was let in
	OldSecret   string // holds as well until the client has shown that it knows Secret; "": none
	UID         string
	Device      Device
	Attrs       map[string]string // set by the backend; nil when it set none
	Service     string            // the service that judged the login
	ConnectedAt time.Time
	ExpiresAt   time.Time // when the credential runs out; zero: never
	Window      int       // how many requests may be unanswered

	Generation    uint32    // how many connections the session has been on
	LastRequestID uint32    // the highest id accepted
	PushSeq       uint64    // the highest seq given to a push
	AckedSeq      uint64    // the highest seq that the client acknowledged
	Kept          kept      // the pushes between the two
	Requests      *requests // what may still have to be answered, or answered again; nil: nothing
}

// NewID makes a session id or a secret: 128 random bits as 22 characters, none
// of them a dot.
func NewID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: the runtime ends the process instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// push is one push that the client may not have received yet.
type push struct {
	command []byte // shared by all sessions of a broadcast, never written
	payload []byte // likewise
}

// kept holds the reliable pushes that are not acknowledged, oldest first. Its
// zero value holds none and owns no memory.
type kept struct {
	pushes []push
	bytes  int
}

// keptOverheadBytes is what a push counts beside its payload, so that many
// empty ones are bounded too.
const keptOverheadBytes = 64

func (k *kept) size(p push) int { return len(p.payload) + len(p.command) + keptOverheadBytes }

func (k *kept) add(p push) {
	k.pushes = append(k.pushes, p)
	k.bytes += k.size(p)
}

// drop forgets the n oldest.
func (k *kept) drop(n int) {
	for i := range n {
		k.bytes -= k.size(k.pushes[i])
		k.pushes[i] = push{}
	}
	k.pushes = k.pushes[n:]
	if len(k.pushes) == 0 {
		k.pushes = nil // an idle session keeps no memory for them
	}
}
