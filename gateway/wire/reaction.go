package wire

// Reaction is what a client does after a CLOSE: the third column of the table
// in docs/protocol.md section 5, as a closed set.
type Reaction uint8

// The reactions.
const (
	// ReactionNone: nothing. The session is over, or lives on elsewhere.
	ReactionNone Reaction = iota
	// ReactionFollow: reconnect where and when GOAWAY said.
	ReactionFollow
	// ReactionResume: connect again and resume.
	ReactionResume
	// ReactionResumeOrSync: resume; when that fails, begin a fresh session
	// and synchronise from the application's position.
	ReactionResumeOrSync
	// ReactionResumeOrReconnect: resume, or begin a fresh session where the
	// scheduler says.
	ReactionResumeOrReconnect
	// ReactionFresh: the session is gone; a fresh HELLO, with a token.
	ReactionFresh
	// ReactionBackoff: reconnect after back-off.
	ReactionBackoff
	// ReactionScheduler: ask the scheduler for a new assignment.
	ReactionScheduler
	// ReactionStop: do not come back; the client or its rights must change.
	ReactionStop
	// ReactionNewToken: do not come back until there is a new token.
	ReactionNewToken
	// ReactionUser: do not come back until the user acts.
	ReactionUser
)

var reactionNames = [...]string{
	"none", "follow_goaway", "resume", "resume_or_sync", "resume_or_reconnect", "fresh_hello",
	"back_off", "ask_scheduler", "stop", "stop_until_new_token", "stop_until_user_acts",
}

// String is the reaction's name, such as back_off; the test vectors use it.
func (r Reaction) String() string {
	if int(r) >= len(reactionNames) {
		return "unknown"
	}
	return reactionNames[r]
}

// ComesBack reports whether the client connects again by itself.
func (r Reaction) ComesBack() bool {
	return r >= ReactionFollow && r <= ReactionScheduler
}

// Resumes reports whether the client presents its session when it comes back.
// After the others that would not help: GOAWAY leads to another gateway, which
// does not hold the session, and the rest say that the session is gone.
func (r Reaction) Resumes() bool {
	switch r {
	case ReactionResume, ReactionResumeOrSync, ReactionResumeOrReconnect, ReactionBackoff:
		return true
	default:
		return false
	}
}
