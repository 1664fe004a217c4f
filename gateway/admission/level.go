package admission

// Level is the memory step that is in force. Each includes those before it.
type Level int32

// The levels.
const (
	LevelNormal           Level = iota
	LevelShortenIdle            // idle and cut sessions are given less time
	LevelRefuseHandshakes       // HELLO is refused with 4003
	LevelRefuseAccepts          // new connections are closed at once
	LevelDropQueues             // the largest queues are dropped, now and every second
	levels                      // how many there are
)

// String is the level as logs have it.
func (l Level) String() string {
	if l < 0 || l >= levels {
		return "unknown"
	}
	return [...]string{"normal", "shorten_idle", "refuse_handshakes", "refuse_accepts", "drop_queues"}[l]
}

// Slow says what becomes of a transient push that a slow client has no room for
// (docs/protocol.md section 2).
type Slow uint8

// The policies.
const (
	SlowDropOldest Slow = iota // older transient pushes make room
	SlowConflate               // a newer push replaces an unsent one with the same key
	SlowDisconnect             // the client is closed with 4002
)

// Values of Class.Slow.
const (
	slowDropOldest = "drop_oldest"
	slowConflate   = "conflate"
	slowDisconnect = "disconnect"
)

// String is the policy as the configuration has it.
func (s Slow) String() string {
	switch s {
	case SlowConflate:
		return slowConflate
	case SlowDisconnect:
		return slowDisconnect
	default:
		return slowDropOldest
	}
}

// parseSlow reads Class.Slow; empty is the default.
func parseSlow(text string) (Slow, bool) {
	switch text {
	case "", slowDropOldest:
		return SlowDropOldest, true
	case slowConflate:
		return SlowConflate, true
	case slowDisconnect:
		return SlowDisconnect, true
	}
	return 0, false
}
