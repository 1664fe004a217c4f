package gateway

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-io/holdfast/gateway/admission"
	"github.com/holdfast-io/holdfast/gateway/poll"
	"github.com/holdfast-io/holdfast/gateway/push"
	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/gateway/transport"
	"github.com/holdfast-io/holdfast/gateway/transport/secure"
	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/idl/endpoint"
)

// Config holds what an operator may change. Zero values are not defaults: start
// from DefaultConfig.
type Config struct {
	// Name is how the gateway is called in WELCOME, in reports and by ctl. It
	// must differ between gateways.
	Name string `koanf:"name"`
	// Zone is where the gateway stands, for proximity: a data centre or an
	// availability zone.
	Zone string `koanf:"zone"`
	// Region is the wider place of several zones.
	Region string `koanf:"region"`
	// Labels are free names and values that scheduling rules may refer to.
	Labels map[string]string `koanf:"labels"`
	// Listeners are the addresses that clients connect to.
	Listeners []transport.ListenerConfig `koanf:"listeners"`
	// Origins are the pages that browsers may connect from, as scheme://host[:port].
	// One * may stand for the names of a domain (https://*.example.com) or for the
	// port (http://localhost:*); "*" alone lets every page in, "null" those without
	// an origin. Whatever names an Origin that is not listed is refused.
	Origins []string `koanf:"origins"`
	// Poll is long poll and Server-Sent Events.
	Poll PollConfig `koanf:"poll"`
	// Admission says who may come in, and how fast.
	Admission admission.Config `koanf:"admission"`
	// RPC is where backends push, answer and kick.
	RPC push.Config `koanf:"rpc"`
	// HealthListen is where a balancer asks for /livez and /readyz, and nothing
	// else is answered. Empty: only the admin address answers them.
	HealthListen string `koanf:"health_listen"`
	// Drain says how clients are sent away when the gateway stops.
	Drain DrainConfig `koanf:"drain"`
	// Session says what clients are told in WELCOME and held to.
	Session SessionConfig `koanf:"session"`
	// Limits bounds what one client may cost.
	Limits LimitsConfig `koanf:"limits"`
	// Tick is the precision of hello, heartbeat, write and linger deadlines. A
	// longer one lets heartbeats batch.
	Tick time.Duration `koanf:"tick"`
}

// DrainConfig says how clients are sent away.
type DrainConfig struct {
	// Window is the time over which clients are asked to leave and then closed.
	Window time.Duration `koanf:"window"`
	// DeregisterDelay is how long the gateway goes on accepting once it has said
	// that it is not ready, so that the balancer in front notices first.
	DeregisterDelay time.Duration `koanf:"deregister_delay"`
	// HardStop is how long after the window the process ends, whatever hangs.
	HardStop time.Duration `koanf:"hard_stop"`
}

// PollConfig is long poll and Server-Sent Events.
type PollConfig struct {
	// Wait is how long a call is held while there is nothing to answer.
	Wait time.Duration `koanf:"wait"`
	// Idle is how long an HTTP connection is kept without a call.
	Idle time.Duration `koanf:"idle"`
}

// SessionConfig says what clients are told in WELCOME and held to.
type SessionConfig struct {
	// HelloTimeout bounds the time from accept to a complete HELLO.
	HelloTimeout time.Duration `koanf:"hello_timeout"`
	// Heartbeat is the silence after which the gateway sends PING.
	Heartbeat time.Duration `koanf:"heartbeat"`
	// HeartbeatTimeout is the further silence after which it closes with 4001.
	HeartbeatTimeout time.Duration `koanf:"heartbeat_timeout"`
	// RequestTimeout is the time within which every request is answered. The
	// dispatcher's must not be longer.
	RequestTimeout time.Duration `koanf:"request_timeout"`
	// ExpiryWarning is how long before a credential runs out the client is told.
	ExpiryWarning time.Duration `koanf:"expiry_warning"`
	// ResumeTTL is how long a session outlives its connection, for the client to
	// resume it. 0: it ends with its connection. Long poll and SSE need at least
	// 1s, since their clients have no call open now and then.
	ResumeTTL time.Duration `koanf:"resume_ttl"`
	// Lifetime is how long a connection is kept at most; then the client is asked
	// to resume, elsewhere if the scheduler says so. 0: for ever.
	Lifetime time.Duration `koanf:"lifetime"`
	// LifetimeDither is the share of lifetime by which it is shortened at random,
	// so that clients which came together do not leave together.
	LifetimeDither float64 `koanf:"lifetime_dither"`
	// Window is how many requests of a session may be unanswered. A backend may
	// lower it for a session.
	Window int `koanf:"window"`
}

// LimitsConfig bounds what one client may cost.
type LimitsConfig struct {
	// FrameBytes is the longest frame, in either direction.
	FrameBytes int `koanf:"frame_bytes"`
	// OutboundBytes bounds what waits for a slow client; beyond it the client
	// is cut. Answers to requests may exceed it by window times frame_bytes,
	// since a client that keeps to its window has asked for them.
	OutboundBytes int `koanf:"outbound_bytes"`
	// WriteTimeout cuts a client that takes nothing for this long while
	// something waits for it.
	WriteTimeout time.Duration `koanf:"write_timeout"`
	// KeptPushes bounds the reliable pushes that a client has not acknowledged.
	KeptPushes int `koanf:"kept_pushes"`
	// KeptBytes bounds the same in bytes, counting 64 for each push.
	KeptBytes int `koanf:"kept_bytes"`
	// KeptReplyBytes bounds the answers that are kept for a resume. The oldest are
	// given up first; a client that asks again is told so.
	KeptReplyBytes int `koanf:"kept_reply_bytes"`
	// ProxyTimeout bounds the time from accept to the end of the PROXY header.
	ProxyTimeout time.Duration `koanf:"proxy_timeout"`
	// Topics bounds the topics of one session.
	Topics int `koanf:"topics"`
}

// DefaultConfig is safe to run as it is, on loopback.
func DefaultConfig() Config {
	return Config{
		Name: "gw-1",
		Listeners: []transport.ListenerConfig{{
			Transports: []transport.Name{transport.TCP}, Address: "127.0.0.1:7000", TLS: secure.DefaultConfig(),
		}},
		Poll:      PollConfig{Wait: 15 * time.Second, Idle: 75 * time.Second},
		Admission: admission.DefaultConfig(),
		RPC:       push.DefaultConfig(),
		Drain:     DrainConfig{Window: 120 * time.Second, DeregisterDelay: 10 * time.Second, HardStop: 30 * time.Second},
		Session: SessionConfig{
			HelloTimeout: 8 * time.Second,
			// 25 s + 8 s stays below the idle time-outs of common L4 balancers.
			Heartbeat:        25 * time.Second,
			HeartbeatTimeout: 8 * time.Second,
			RequestTimeout:   10 * time.Second,
			ExpiryWarning:    60 * time.Second,
			ResumeTTL:        60 * time.Second,
			LifetimeDither:   0.5,
			Window:           64,
		},
		Limits: LimitsConfig{
			FrameBytes:     64 << 10,
			OutboundBytes:  1 << 20,
			WriteTimeout:   10 * time.Second,
			KeptPushes:     4096,
			KeptBytes:      1 << 20,
			KeptReplyBytes: 256 << 10,
			ProxyTimeout:   3 * time.Second,
			Topics:         256,
		},
		Tick: 100 * time.Millisecond,
	}
}

// Validate reports every setting that cannot work, each with its key.
func (c Config) Validate() error {
	var errs []error
	add := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if c.Name == "" || len(c.Name) > 64 || strings.ContainsAny(c.Name, " \t\r\n") {
		add("name: %q, want 1 to 64 bytes without spaces", c.Name)
	}
	if len(c.Listeners) == 0 {
		add("listeners: none, want at least one")
	}
	for i, l := range c.Listeners {
		errs = append(errs, prefixed(fmt.Sprintf("listeners.%d", i), l.Validate())...)
	}
	for i, o := range c.Origins {
		if err := checkOrigin(o); err != nil {
			add("origins.%d: %w", i, err)
		}
	}
	if c.Poll.Wait < time.Second || c.Poll.Wait > time.Minute {
		add("poll.wait: %v, want 1s to 1m", c.Poll.Wait)
	}
	if c.Poll.Idle < time.Second || c.Poll.Idle > time.Hour {
		add("poll.idle: %v, want 1s to 1h", c.Poll.Idle)
	}
	if c.HealthListen != "" {
		if _, _, err := endpoint.ParseListen(c.HealthListen); err != nil {
			add("health_listen: %w", err)
		}
	}
	errs = append(errs, prefixed("admission", c.Admission.Validate())...)
	errs = append(errs, prefixed("rpc", c.RPC.Validate())...)
	errs = append(errs, prefixed("limits", c.Limits.validate())...)
	errs = append(errs, prefixed("session", c.Session.validate())...)
	if c.offersCalls() && c.Session.ResumeTTL < resumeTTLMin {
		add("session.resume_ttl: %v, want at least %v for poll and sse, whose clients have no call open now and then", c.Session.ResumeTTL, resumeTTLMin)
	}
	if c.Drain.Window < 0 || c.Drain.Window > time.Hour {
		add("drain.window: %v, want 0s to 1h", c.Drain.Window)
	}
	if c.Drain.DeregisterDelay < 0 || c.Drain.DeregisterDelay > 10*time.Minute {
		add("drain.deregister_delay: %v, want 0s to 10m", c.Drain.DeregisterDelay)
	}
	if c.Drain.HardStop < time.Second || c.Drain.HardStop > 10*time.Minute {
		add("drain.hard_stop: %v, want 1s to 10m", c.Drain.HardStop)
	}
	if c.Tick < time.Millisecond || c.Tick > time.Second {
		add("tick: %v, want 1ms to 1s", c.Tick)
	}
	return errors.Join(errs...)
}

// resumeTTLMin is the least that lets a client of long poll get from one call to
// the next: a session without a call counts as cut.
const resumeTTLMin = time.Second

// offersCalls reports whether a listener speaks long poll or SSE.
func (c Config) offersCalls() bool {
	return slices.ContainsFunc(c.Listeners, func(l transport.ListenerConfig) bool {
		return slices.ContainsFunc(l.Transports, func(n transport.Name) bool {
			return n == transport.Poll || n == transport.Polls || n == transport.SSE || n == transport.SSEs
		})
	})
}

func (c SessionConfig) validate() error {
	var errs []error
	add := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	for _, d := range []struct {
		key      string
		value    time.Duration
		min, max time.Duration
	}{
		{"hello_timeout", c.HelloTimeout, 100 * time.Millisecond, time.Minute},
		{"heartbeat", c.Heartbeat, 100 * time.Millisecond, 10 * time.Minute},
		{"heartbeat_timeout", c.HeartbeatTimeout, 100 * time.Millisecond, 10 * time.Minute},
		{"request_timeout", c.RequestTimeout, 100 * time.Millisecond, 10 * time.Minute},
		{"expiry_warning", c.ExpiryWarning, 0, time.Hour},
		{"resume_ttl", c.ResumeTTL, 0, 24 * time.Hour},
		{"lifetime", c.Lifetime, 0, 30 * 24 * time.Hour},
	} {
		if d.value < d.min || d.value > d.max {
			add("%s: %v, want %v to %v", d.key, d.value, d.min, d.max)
		}
	}
	if !(c.LifetimeDither >= 0 && c.LifetimeDither < 1) {
		add("lifetime_dither: %v, want 0 to below 1", c.LifetimeDither)
	}
	if c.Window < 1 || c.Window > wire.WindowMax {
		add("window: %d, want 1 to %d", c.Window, wire.WindowMax)
	}
	return errors.Join(errs...)
}

func (c LimitsConfig) validate() error {
	errs := []error{transport.Limits{FrameBytesMax: c.FrameBytes, OutboundBytesMax: c.OutboundBytes, WriteTimeout: c.WriteTimeout}.Validate()}
	add := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if c.KeptPushes < 1 || c.KeptPushes > 1<<20 {
		add("kept_pushes: %d, want 1 to %d", c.KeptPushes, 1<<20)
	}
	if c.KeptBytes < c.FrameBytes {
		add("kept_bytes: %d, want at least frame_bytes (%d)", c.KeptBytes, c.FrameBytes)
	}
	if c.KeptReplyBytes < 0 {
		add("kept_reply_bytes: %d, want 0 or more", c.KeptReplyBytes)
	}
	if c.ProxyTimeout < 100*time.Millisecond || c.ProxyTimeout > time.Minute {
		add("proxy_timeout: %v, want 100ms to 1m", c.ProxyTimeout)
	}
	if c.Topics < 0 || c.Topics > 65536 {
		add("topics: %d, want 0 to 65536", c.Topics)
	}
	return errors.Join(errs...)
}

func (c Config) transportLimits() *transport.Limits {
	return &transport.Limits{
		FrameBytesMax: c.Limits.FrameBytes, OutboundBytesMax: c.Limits.OutboundBytes,
		ReplyBytesMax: c.Session.Window * c.Limits.FrameBytes, WriteTimeout: c.Limits.WriteTimeout,
		HelloTimeout: c.Session.HelloTimeout, ProxyTimeout: c.Limits.ProxyTimeout, IdleTimeout: c.Poll.Idle,
	}
}

func (c Config) sessionLimits() *session.Limits {
	return &session.Limits{
		Heartbeat: c.Session.Heartbeat, HeartbeatTimeout: c.Session.HeartbeatTimeout,
		ExpiryWarning: c.Session.ExpiryWarning, ResumeTTL: c.Session.ResumeTTL,
		Lifetime: c.Session.Lifetime, LifetimeDither: c.Session.LifetimeDither,
		FrameBytesMax: c.Limits.FrameBytes,
		KeptPushesMax: c.Limits.KeptPushes, KeptBytesMax: c.Limits.KeptBytes, TopicsMax: c.Limits.Topics,
		KeptReplyBytesMax: c.Limits.KeptReplyBytes,
	}
}

func (c Config) pollConfig() poll.Config {
	p := poll.DefaultConfig()
	p.PollWait, p.Heartbeat, p.RequestTimeout = c.Poll.Wait, c.Session.Heartbeat, c.Session.RequestTimeout
	p.FrameBytesMax, p.OutboundBytesMax = c.Limits.FrameBytes, c.Limits.OutboundBytes
	p.ReplyBytesMax = c.Session.Window * c.Limits.FrameBytes
	return p
}

// returnTo is where clients reach this very gateway, by transport.
func (c Config) returnTo() map[string]string {
	to := make(map[string]string)
	for _, l := range c.Listeners {
		for _, name := range l.Transports {
			if l.Advertise != "" && to[string(name)] == "" {
				to[string(name)] = l.Advertise
			}
		}
	}
	return to
}

// prefixed puts a section's key in front of each of its mistakes.
func prefixed(section string, err error) []error {
	if err == nil {
		return nil
	}
	var out []error
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			out = append(out, prefixed(section, e)...)
		}
		return out
	}
	return []error{fmt.Errorf("%s.%w", section, err)}
}
