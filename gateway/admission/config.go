package admission

// Config holds what an operator may change, all of it in a running gateway.
// Zero values are not defaults: start from DefaultConfig.
type Config struct {
	// Connections bounds the open connections of the gateway. With max 0 it is what
	// the process's descriptor limit leaves after a reserve of 5 % (at least 128,
	// at most half) for backends, admin and files. A higher max than that is lowered
	// to it, and dry_run does not lift it, since the kernel would refuse instead.
	Connections Count `koanf:"connections"`
	// ConnectionsPerAddress bounds the open connections of one client address, or
	// of one /64 of IPv6.
	ConnectionsPerAddress Count `koanf:"connections_per_address"`
	// ConnectionsPerUser bounds the open connections of one user at this gateway.
	ConnectionsPerUser Count `koanf:"connections_per_user"`
	// CutSessions bounds the sessions that have lost their connection and may be
	// resumed; the oldest ends first.
	CutSessions Count `koanf:"cut_sessions"`
	// Accepts bounds the new connections of all clients. One that its own address
	// is refused for takes nothing from the others' share.
	Accepts Rate `koanf:"accepts"`
	// AcceptsPerAddress bounds the new connections of one address.
	AcceptsPerAddress Rate `koanf:"accepts_per_address"`
	// Handshakes bounds the logins and resumes of all clients. A long-poll client
	// can log in many times on one connection, so accepts do not bound them.
	Handshakes Rate `koanf:"handshakes"`
	// HandshakesPerAddress bounds the logins and resumes from one address, and so
	// how fast one may guess.
	HandshakesPerAddress Rate `koanf:"handshakes_per_address"`
	// SessionRequests bounds the requests of one session; those beyond it are
	// answered RESOURCE_EXHAUSTED and not run, as with the five that follow.
	SessionRequests Rate `koanf:"session_requests"`
	// SessionBytes bounds the bytes of one session's payloads.
	SessionBytes Rate `koanf:"session_bytes"`
	// UserRequests bounds the requests of all sessions of a user at this gateway.
	UserRequests Rate `koanf:"user_requests"`
	// UserBytes bounds the bytes of the same.
	UserBytes Rate `koanf:"user_bytes"`
	// Allow lists addresses and ranges (CIDR) that deny and the limits per address
	// do not hold for. It does not exclude anybody else: that takes a deny of
	// 0.0.0.0/0 and ::/0.
	Allow []string `koanf:"allow"`
	// Deny lists addresses and ranges that are refused with 4503. A client of a unix
	// socket has no address and passes.
	Deny []string `koanf:"deny"`
	// ListsDryRun counts whom deny would refuse and lets them in.
	ListsDryRun bool `koanf:"lists_dry_run"`
	// Memory says what is given up as memory runs short.
	Memory MemoryConfig `koanf:"memory"`
	// Classes are groups of commands with limits and a policy of their own.
	Classes []Class `koanf:"classes"`
}

// Count bounds how many there may be at once.
type Count struct {
	// Max is the bound. 0: none, except for connections.
	Max int `koanf:"max"`
	// DryRun counts what the bound would refuse and lets it in.
	DryRun bool `koanf:"dry_run"`
}

// Rate bounds how many there may be in a time.
type Rate struct {
	// PerSecond is how many requests, connections or bytes may come per second, up to
	// 1000000000. 0: no bound.
	PerSecond float64 `koanf:"per_second"`
	// Burst is how many may come at once after a pause; at least those of a tenth of a
	// second, since that is how finely the gateway's clock runs. One request with more bytes
	// than this is let in after a pause, and paid for. 0: those of a second.
	Burst int `koanf:"burst"`
	// DryRun counts what the bound would refuse and lets it in.
	DryRun bool `koanf:"dry_run"`
}

// MemoryConfig says what is given up as memory runs short. The shares are parts of
// the limit, each larger than the one before.
type MemoryConfig struct {
	// LimitBytes is what the process may use. It is compared with the process's
	// anonymous memory, so the kernel's own for sockets comes on top. 0: the limit of the
	// control group, if there is one, compared with all that the group uses except the page cache; else
	// nothing is given up, and the log says so.
	LimitBytes int64 `koanf:"limit_bytes"`
	// ShortenIdle is the share from which idle and cut sessions are given less time.
	ShortenIdle float64 `koanf:"shorten_idle"`
	// RefuseHandshakes is the share from which logins are refused with 4003.
	RefuseHandshakes float64 `koanf:"refuse_handshakes"`
	// RefuseAccepts is the share from which new connections are closed at once.
	RefuseAccepts float64 `koanf:"refuse_accepts"`
	// DropQueues is the share from which the clients with the largest queues are closed, and
	// those who have sent a part of something before they logged in, until others may log in.
	DropQueues float64 `koanf:"drop_queues"`
	// Hysteresis is how far below its share memory must fall before a step is taken back;
	// for drop_queues, below that of refuse_handshakes.
	Hysteresis float64 `koanf:"hysteresis"`
	// GoLimit is the share that Go's garbage collector is told to keep to
	// (GOMEMLIMIT), so that garbage alone does not lead to refusals. 0, or GOMEMLIMIT in
	// the environment: it is not told.
	GoLimit float64 `koanf:"go_limit"`
	// DryRun counts and shows the steps without taking them.
	DryRun bool `koanf:"dry_run"`
}

// Class is a group of commands.
type Class struct {
	// Name tells classes apart; a class that keeps it across a reload keeps its counts.
	Name string `koanf:"name"`
	// Commands are commands such as msg.send, or beginnings of them such as msg. or
	// typing*. An exact one wins, then the longest.
	Commands []string `koanf:"commands"`
	// Requests bounds each user's requests of the class, at this gateway.
	Requests Rate `koanf:"requests"`
	// Bytes bounds the bytes of their payloads.
	Bytes Rate `koanf:"bytes"`
	// Slow says what becomes of transient pushes of the class for a slow client:
	// drop_oldest, conflate or disconnect. Empty: drop_oldest.
	Slow string `koanf:"slow"`
}

// DefaultConfig is safe on the public internet behind a balancer that tells the
// clients' addresses.
func DefaultConfig() Config {
	return Config{
		ConnectionsPerAddress: Count{Max: 256},
		ConnectionsPerUser:    Count{Max: 16},
		CutSessions:           Count{Max: 100_000},
		Accepts:               Rate{PerSecond: 1000, Burst: 1000},
		// All that may be open behind one address can come back twice within 10 s.
		AcceptsPerAddress: Rate{PerSecond: 50, Burst: 500},
		// As accepts: what may connect may log in.
		Handshakes:           Rate{PerSecond: 1000, Burst: 1000},
		HandshakesPerAddress: Rate{PerSecond: 50, Burst: 500},
		// A client that pulls 2,000 conversations as it starts stays below it.
		SessionRequests: Rate{PerSecond: 500, Burst: 2000},
		// The burst is the longest frame that any configuration allows.
		SessionBytes: Rate{PerSecond: 2 << 20, Burst: 16 << 20},
		Memory: MemoryConfig{
			ShortenIdle: 0.70, RefuseHandshakes: 0.80, RefuseAccepts: 0.85, DropQueues: 0.90,
			Hysteresis: 0.05,
			// Below every step, and where the first one is taken back: garbage alone
			// leads to nothing.
			GoLimit: 0.65,
		},
	}
}

// Unlimited is DefaultConfig without any bound but the descriptors' and the
// memory's: what development and benchmarks on one address need.
func Unlimited() Config {
	return Config{Memory: DefaultConfig().Memory}
}
