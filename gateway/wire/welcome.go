package wire

import "slices"

// welcomeBytes is room for a WELCOME as gateways send it, so that it does not grow
// by doubling: thousands of logins at once would leave as much garbage as sessions.
const welcomeBytes = 448

// Welcome is the gateway's answer to a HELLO that it accepts: who the client is
// now and what it must keep to. Durations and times are milliseconds, as their
// names say.
type Welcome struct {
	Session string // cannot be guessed and contains no dot
	Secret  string // resumes the session; the same alphabet
	UID     string
	Resumed bool
	Gateway string // the gateway's name
	// ReturnTo says by transport where this very gateway is reached; without
	// an entry it is the address the client used.
	ReturnTo map[string]string

	HeartbeatMS        int64
	HeartbeatTimeoutMS int64
	RequestTimeoutMS   int64
	// Window is how many requests may be unanswered.
	Window int
	// MaxFrame bounds a frame's bytes in either direction, a stream's length
	// prefix apart.
	MaxFrame    int
	ResumeTTLMS int64
	// LastRequestID is the highest id accepted before a resume, else 0.
	LastRequestID uint32
	// TimeMS is the gateway's clock.
	TimeMS int64
	// PollMS is how long a long poll is held; only there, else 0.
	PollMS int64
}

// The limits of a WELCOME, which only a client meets. They keep a client from
// trusting a length or a duration that no gateway of this protocol sends.
const (
	welcomeTextBytesMax = 256
	welcomeReturnToMax  = 16
)

const (
	welcomeSession = iota
	welcomeSecret
	welcomeUID
	welcomeResumed
	welcomeGateway
	welcomeReturnTo
	welcomeHeartbeat
	welcomeHeartbeatTimeout
	welcomeRequestTimeout
	welcomeWindow
	welcomeMaxFrame
	welcomeResumeTTL
	welcomeLastRequestID
	welcomeTime
	welcomePoll
	welcomeMembers
)

var welcomeNames = []string{
	"session", "secret", "uid", "resumed", "gateway", "return_to",
	"heartbeat_ms", "heartbeat_timeout_ms", "request_timeout_ms",
	"window", "max_frame", "resume_ttl_ms", "last_request_id", "time_ms", "poll_ms",
}

// ParseWelcome decodes the object of a WELCOME. Session, secret, window and
// max_frame must be there; unknown members are ignored. The error is a
// *ProtocolError with code 4500.
func ParseWelcome(payload []byte) (Welcome, error) {
	var raw [welcomeMembers][]byte
	if err := collect("welcome", payload, welcomeNames, raw[:]); err != nil {
		return Welcome{}, err
	}
	v := values{where: "welcome"}
	w := Welcome{
		Session:            v.text("session", raw[welcomeSession], ResumeTextBytesMax),
		Secret:             v.text("secret", raw[welcomeSecret], ResumeTextBytesMax),
		UID:                v.optText("uid", raw[welcomeUID], welcomeTextBytesMax),
		Resumed:            v.optBool("resumed", raw[welcomeResumed]),
		Gateway:            v.optText("gateway", raw[welcomeGateway], welcomeTextBytesMax),
		ReturnTo:           v.textMap("return_to", raw[welcomeReturnTo], welcomeReturnToMax, welcomeReturnToMax*welcomeTextBytesMax),
		HeartbeatMS:        v.optMS("heartbeat_ms", raw[welcomeHeartbeat]),
		HeartbeatTimeoutMS: v.optMS("heartbeat_timeout_ms", raw[welcomeHeartbeatTimeout]),
		RequestTimeoutMS:   v.optMS("request_timeout_ms", raw[welcomeRequestTimeout]),
		Window:             int(v.uint("window", raw[welcomeWindow], 1, WindowMax)),
		MaxFrame:           int(v.uint("max_frame", raw[welcomeMaxFrame], 1, FrameBytesMax)),
		ResumeTTLMS:        v.optMS("resume_ttl_ms", raw[welcomeResumeTTL]),
		LastRequestID:      uint32(v.optUint("last_request_id", raw[welcomeLastRequestID], 1<<32-1)),
		TimeMS:             int64(v.optUint("time_ms", raw[welcomeTime], TimeMSMax)),
		PollMS:             v.optMS("poll_ms", raw[welcomePoll]),
	}
	if v.err != nil {
		return Welcome{}, v.err
	}
	return w, nil
}

// AppendWelcome encodes w as the object of a WELCOME and returns the extended
// dst. An empty ReturnTo and a PollMS of 0 are left out.
func AppendWelcome(dst []byte, w *Welcome) []byte {
	o := openObject(slices.Grow(dst, welcomeBytes))
	o.text("session", w.Session)
	o.text("secret", w.Secret)
	o.text("uid", w.UID)
	o.boolean("resumed", w.Resumed)
	o.text("gateway", w.Gateway)
	o.optTexts("return_to", w.ReturnTo)
	o.ms("heartbeat_ms", w.HeartbeatMS)
	o.ms("heartbeat_timeout_ms", w.HeartbeatTimeoutMS)
	o.ms("request_timeout_ms", w.RequestTimeoutMS)
	o.number("window", uint64(max(w.Window, 0)))
	o.number("max_frame", uint64(max(w.MaxFrame, 0)))
	o.ms("resume_ttl_ms", w.ResumeTTLMS)
	o.number("last_request_id", uint64(w.LastRequestID))
	o.number("time_ms", uint64(max(w.TimeMS, 0)))
	o.optMS("poll_ms", w.PollMS)
	return o.close()
}
