package dispatcher

import (
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
	"github.com/holdfast-io/holdfast/dispatcher/slots"
)

// Config holds what an operator may change. Zero values are not defaults: start
// from DefaultConfig. In the lists, where defaults cannot be filled in before
// the file is read, 0 means the value that the field's comment names.
type Config struct {
	// Services are the backends that requests can go to.
	Services []ServiceConfig `koanf:"services"`
	// Routes say which service a command goes to. The longest prefix wins.
	Routes []RouteConfig `koanf:"routes"`
	// Login says who judges the credentials of new sessions.
	Login LoginConfig `koanf:"login"`
	// RequestTimeout is how long a client waits for an answer at most, whatever
	// happens. Gateways tell it to clients as request_timeout_ms.
	RequestTimeout time.Duration `koanf:"request_timeout"`
	// LaneLimit bounds the unanswered requests of one session to one service. A
	// gateway bounds a session's requests itself (its window); this holds whoever
	// uses the dispatcher as a library.
	LaneLimit int `koanf:"lane_limit"`
	// ReplyBytes bounds the payload of an answer: a larger one is answered INTERNAL.
	// It must fit the gateway's max_frame, less the 7 bytes around it.
	ReplyBytes int `koanf:"reply_bytes"`
	// RetryAfter is what clients are told to wait after a request that was not run.
	// Each is told a time between this and 1.5 times this, so that they do not come
	// back together.
	RetryAfter time.Duration `koanf:"retry_after"`
	// Breaker says when an instance that fails is passed over.
	Breaker BreakerConfig `koanf:"breaker"`
	// Retry bounds how often requests are sent again.
	Retry RetryConfig `koanf:"retry"`
	// Heartbeat says how instances are watched.
	Heartbeat HeartbeatConfig `koanf:"heartbeat"`
	// Events says how backends learn that sessions were cut, resumed or ended.
	Events EventsConfig `koanf:"events"`
}

// ServiceConfig is one backend service.
type ServiceConfig struct {
	// Name is what routes and other sections call the service.
	Name string `koanf:"name"`
	// Timeout is how long one attempt at a request may take, deferred answers
	// included. 0: 2s.
	Timeout time.Duration `koanf:"timeout"`
	// ConnectTimeout is how long opening a connection to an instance may take. 0: 500ms.
	ConnectTimeout time.Duration `koanf:"connect_timeout"`
	// Hash places users on slots: jump, or modulo for backends that shard by it.
	Hash slots.Method `koanf:"hash"`
	// CallsInFlight is how many batches may be under way to one instance. More help
	// where instances are far away or slow; fewer make larger batches. 0: 2.
	CallsInFlight int `koanf:"calls_in_flight"`
	// BatchPackets bounds the requests of one batch. 0: 256, at most 1024.
	BatchPackets int `koanf:"batch_packets"`
	// BatchBytes closes a batch once its payloads have reached this. 0: 1MiB.
	BatchBytes int `koanf:"batch_bytes"`
	// MaxOutstanding bounds the requests that one instance is working on, deferred
	// ones included. 0: 16384.
	MaxOutstanding int `koanf:"max_outstanding"`
	// MaxQueued bounds the requests that wait for one instance; more are refused
	// with RESOURCE_EXHAUSTED. 0: 65536.
	MaxQueued int `koanf:"max_queued"`
	// MaxQueuedBytes bounds the payloads that wait for one instance. 0: 64MiB.
	MaxQueuedBytes int `koanf:"max_queued_bytes"`
	// InstanceRate bounds the requests per second to one instance; more are refused
	// with RESOURCE_EXHAUSTED. 0: no bound.
	InstanceRate float64 `koanf:"instance_rate"`
	// InstanceBurst is how many requests above instance_rate may come at once.
	// 0: those of a second.
	InstanceBurst int `koanf:"instance_burst"`
	// Instances are the processes of the service, where no registry tells them.
	Instances []InstanceConfig `koanf:"instances"`
}

// InstanceConfig is one process of a service.
type InstanceConfig struct {
	// ID names the instance; unique within the service. Empty: its address.
	ID string `koanf:"id"`
	// Slot is its place, 0 and up, unique within the service. Users hash over the
	// slots up to the highest.
	Slot int `koanf:"slot"`
	// Address is host:port, or unix:/path.
	Address string `koanf:"address"`
	// Zone is where the instance runs.
	Zone string `koanf:"zone"`
}

// RouteConfig sends the commands that begin with Prefix to Service.
type RouteConfig struct {
	// Prefix is compared byte by byte: "msg." takes msg.send but neither msg nor
	// msgs.send, "msg" takes all three, and the empty prefix takes every command.
	Prefix string `koanf:"prefix"`
	// Service is the name of one of the services.
	Service string `koanf:"service"`
	// Idempotent requests may run twice without harm, so one whose outcome nobody
	// knows is sent to another instance.
	Idempotent bool `koanf:"idempotent"`
	// Rate bounds the route's requests per second in this process; more are refused
	// with RESOURCE_EXHAUSTED. 0: no bound.
	Rate float64 `koanf:"rate"`
	// Burst is how many requests above rate may come at once. 0: those of a second.
	Burst int `koanf:"burst"`
	// Concurrency bounds the route's unanswered requests in this process. 0: no bound.
	Concurrency int `koanf:"concurrency"`
	// Outage says what becomes of requests while no instance can take them: reject
	// answers UNAVAILABLE, hold lets them wait for one, degrade gives a canned reply.
	// Empty: reject.
	Outage string `koanf:"outage"`
	// Hold bounds what waits, with outage: hold.
	Hold HoldConfig `koanf:"hold"`
	// Degrade is the canned reply, with outage: degrade.
	Degrade DegradeConfig `koanf:"degrade"`
}

// Values of RouteConfig.Outage.
const (
	OutageReject  = "reject"
	OutageHold    = "hold"
	OutageDegrade = "degrade"
)

// HoldConfig bounds the requests that wait for an instance.
type HoldConfig struct {
	// Timeout is how long a session's requests wait, from the first of them. 0: 5s.
	Timeout time.Duration `koanf:"timeout"`
	// Count bounds the requests that wait, of all sessions. 0: 10000.
	Count int `koanf:"count"`
	// Bytes bounds their payloads. 0: 16MiB.
	Bytes int `koanf:"bytes"`
}

func (h HoldConfig) withDefaults() HoldConfig {
	h.Timeout = orDefault(h.Timeout, 5*time.Second)
	h.Count = orDefault(h.Count, 10_000)
	h.Bytes = orDefault(h.Bytes, 16<<20)
	return h
}

// DegradeConfig is a canned reply.
type DegradeConfig struct {
	// Status is a gRPC code, 0 to 16.
	Status int `koanf:"status"`
	// Payload is what the client gets.
	Payload string `koanf:"payload"`
}

// BreakerConfig says when an instance that fails is passed over. What a backend
// answers with a status of its own is no failure.
type BreakerConfig struct {
	// Enabled false never passes an instance over.
	Enabled bool `koanf:"enabled"`
	// Window is the time over which requests are counted.
	Window time.Duration `koanf:"window"`
	// MinPackets is how many requests there must be in the window before their ratio
	// counts.
	MinPackets int `koanf:"min_packets"`
	// FailureRatio is the share of failed requests that opens the breaker.
	FailureRatio float64 `koanf:"failure_ratio"`
	// OpenFor is the time until heartbeats may close it. It doubles, up to 30s, each
	// time that an instance fails right after it was closed.
	OpenFor time.Duration `koanf:"open_for"`
	// TimeoutsInARow is how many calls that time out one after the other open it at
	// once, whatever the ratio. A refused connection does so the first time.
	TimeoutsInARow int `koanf:"timeouts_in_a_row"`
}

// RetryConfig bounds how often requests are sent again. Passing over an instance
// before anything was sent does not count.
type RetryConfig struct {
	// Ratio is how many second attempts there may be for each request.
	Ratio float64 `koanf:"ratio"`
	// PerSecond is how many there may be in any case.
	PerSecond float64 `koanf:"per_second"`
}

// LoginConfig says who judges logins and how long that may take.
type LoginConfig struct {
	// Service is the service whose Connect is asked.
	Service string `koanf:"service"`
	// Timeout is how long a login may take, waiting included.
	Timeout time.Duration `koanf:"timeout"`
	// CallsInFlight is how many batches of logins may be under way.
	CallsInFlight int `koanf:"calls_in_flight"`
	// Batch bounds the logins of one call; at most 256.
	Batch int `koanf:"batch"`
	// Queue bounds the logins that wait; more are refused as overload.
	Queue int `koanf:"queue"`
}

// HeartbeatConfig says how instances are watched.
type HeartbeatConfig struct {
	// Interval is the time between heartbeats to an instance that answers. Backends
	// take the gateway for dead after 10s without one.
	Interval time.Duration `koanf:"interval"`
	// Timeout is how long an instance may take to answer.
	Timeout time.Duration `koanf:"timeout"`
	// ProbeInterval is the time until the next try after an instance did not answer.
	// It doubles with each further try, up to Interval.
	ProbeInterval time.Duration `koanf:"probe_interval"`
}

// EventsConfig says how backends learn what became of sessions.
type EventsConfig struct {
	// Queue bounds the events that wait for one instance. When it overflows, the
	// newest are dropped and the instance is told of all sessions again.
	Queue int `koanf:"queue"`
	// Batch bounds the events of one call; at most 1024.
	Batch int `koanf:"batch"`
	// Timeout is how long one call may take.
	Timeout time.Duration `koanf:"timeout"`
}

// DefaultConfig is complete apart from the services, the routes and the name of
// the login service.
func DefaultConfig() Config {
	return Config{
		Login: LoginConfig{
			Timeout:       5 * time.Second,
			CallsInFlight: 2,
			Batch:         64,
			Queue:         8192,
		},
		RequestTimeout: 10 * time.Second,
		LaneLimit:      1024,
		ReplyBytes:     64<<10 - replyOverheadBytes,
		RetryAfter:     time.Second,
		Breaker: BreakerConfig{
			Enabled:        true,
			Window:         10 * time.Second,
			MinPackets:     20,
			FailureRatio:   0.5,
			OpenFor:        time.Second,
			TimeoutsInARow: 2,
		},
		Retry: RetryConfig{Ratio: 0.1, PerSecond: 10},
		Heartbeat: HeartbeatConfig{
			Interval:      3 * time.Second,
			Timeout:       time.Second,
			ProbeInterval: 200 * time.Millisecond,
		},
		Events: EventsConfig{
			Queue:   65_536,
			Batch:   512,
			Timeout: 2 * time.Second,
		},
	}
}

// replyOverheadBytes is what a REPLY frame has around its payload: type, id,
// status and flags (docs/protocol.md section 2).
const replyOverheadBytes = 7

// Limits of the contract (idl/holdfast.thrift).
const (
	batchPacketsMax = 1024
	loginBatchMax   = 256
	eventsBatchMax  = 1024
)

// withDefaults fills in what is 0.
func (s ServiceConfig) withDefaults() ServiceConfig {
	s.Timeout = orDefault(s.Timeout, 2*time.Second)
	s.ConnectTimeout = orDefault(s.ConnectTimeout, 500*time.Millisecond)
	s.CallsInFlight = orDefault(s.CallsInFlight, 2)
	s.BatchPackets = orDefault(s.BatchPackets, 256)
	s.BatchBytes = orDefault(s.BatchBytes, 1<<20)
	s.MaxOutstanding = orDefault(s.MaxOutstanding, 16_384)
	s.MaxQueued = orDefault(s.MaxQueued, 65_536)
	s.MaxQueuedBytes = orDefault(s.MaxQueuedBytes, 64<<20)
	return s
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// Instances lists the configured instances of all services, for
// discovery.NewStatic.
func (c Config) Instances() []discovery.Instance {
	var out []discovery.Instance
	for _, s := range c.Services {
		for _, i := range s.Instances {
			out = append(out, discovery.Instance{
				ID: orDefault(i.ID, i.Address), Service: s.Name, Slot: i.Slot, Address: i.Address, Zone: i.Zone,
			})
		}
	}
	return out
}

// Validate reports every setting that cannot work. Each line is "key: message".
func (c Config) Validate() error {
	v := &complaints{}
	names := map[string]bool{}
	for i, s := range c.Services {
		at := fmt.Sprintf("services[%d].", i)
		v.check(s.Name != "", at+"name", "empty")
		v.check(!names[s.Name] || s.Name == "", at+"name", "%q is used twice", s.Name)
		names[s.Name] = true
		s.withDefaults().validate(at, v)
	}
	prefixes := map[string]bool{}
	for i, r := range c.Routes {
		at := fmt.Sprintf("routes[%d].", i)
		v.check(!prefixes[r.Prefix], at+"prefix", "%q is used twice", r.Prefix)
		v.check(names[r.Service], at+"service", "%q is not one of the services", r.Service)
		prefixes[r.Prefix] = true
		r.validate(at, v)
	}
	c.Breaker.validate(v)
	v.check(c.Retry.Ratio >= 0 && c.Retry.Ratio <= 10, "retry.ratio", "%v, want 0 to 10", c.Retry.Ratio)
	v.check(c.Retry.PerSecond >= 0 && c.Retry.PerSecond <= 1e6, "retry.per_second", "%v, want 0 to 1000000", c.Retry.PerSecond)
	c.Login.validate(names, v)
	v.check(c.RequestTimeout >= time.Millisecond, "request_timeout", "%v, want at least 1ms", c.RequestTimeout)
	v.check(c.LaneLimit >= 1 && c.LaneLimit <= 65_536, "lane_limit", "%d, want 1 to 65536", c.LaneLimit)
	v.check(c.ReplyBytes >= 1 && c.ReplyBytes < 1<<24, "reply_bytes", "%d, want 1 to 16777215", c.ReplyBytes)
	v.check(c.RetryAfter >= time.Millisecond, "retry_after", "%v, want at least 1ms", c.RetryAfter)
	h := c.Heartbeat
	v.check(h.Interval >= time.Millisecond, "heartbeat.interval", "%v, want at least 1ms", h.Interval)
	v.check(h.Timeout >= time.Millisecond, "heartbeat.timeout", "%v, want at least 1ms", h.Timeout)
	v.check(h.ProbeInterval >= time.Millisecond && h.ProbeInterval <= h.Interval, "heartbeat.probe_interval",
		"%v, want 1ms to heartbeat.interval", h.ProbeInterval)
	e := c.Events
	v.check(e.Queue >= 1, "events.queue", "%d, want at least 1", e.Queue)
	v.check(e.Batch >= 1 && e.Batch <= eventsBatchMax, "events.batch", "%d, want 1 to %d", e.Batch, eventsBatchMax)
	v.check(e.Timeout >= time.Millisecond, "events.timeout", "%v, want at least 1ms", e.Timeout)
	return errors.Join(v.errs...)
}

func (s ServiceConfig) validate(at string, v *complaints) {
	v.check(s.Timeout >= time.Millisecond, at+"timeout", "%v, want at least 1ms", s.Timeout)
	v.check(s.ConnectTimeout >= time.Millisecond, at+"connect_timeout", "%v, want at least 1ms", s.ConnectTimeout)
	v.check(s.Hash.Valid(), at+"hash", "%v, want jump or modulo", s.Hash)
	v.check(s.CallsInFlight >= 1 && s.CallsInFlight <= 1024, at+"calls_in_flight", "%d, want 1 to 1024", s.CallsInFlight)
	v.check(s.BatchPackets >= 1 && s.BatchPackets <= batchPacketsMax, at+"batch_packets", "%d, want 1 to %d", s.BatchPackets, batchPacketsMax)
	v.check(s.BatchBytes >= 1, at+"batch_bytes", "%d, want at least 1", s.BatchBytes)
	v.check(s.MaxOutstanding >= 1, at+"max_outstanding", "%d, want at least 1", s.MaxOutstanding)
	v.check(s.MaxQueued >= 1, at+"max_queued", "%d, want at least 1", s.MaxQueued)
	v.check(s.MaxQueuedBytes >= 1, at+"max_queued_bytes", "%d, want at least 1", s.MaxQueuedBytes)
	v.check(s.InstanceRate >= 0, at+"instance_rate", "%v, want at least 0", s.InstanceRate)
	v.check(s.InstanceBurst >= 0, at+"instance_burst", "%d, want at least 0", s.InstanceBurst)
	ids, held := map[string]bool{}, map[int]bool{}
	for i, inst := range s.Instances {
		at, id := fmt.Sprintf("%sinstances[%d].", at, i), orDefault(inst.ID, inst.Address)
		_, _, err := discovery.SplitAddress(inst.Address)
		v.check(err == nil, at+"address", "%v", err)
		v.check(inst.Slot >= 0 && inst.Slot <= discovery.SlotMax, at+"slot", "%d, want 0 to %d", inst.Slot, discovery.SlotMax)
		v.check(!held[inst.Slot], at+"slot", "%d is used twice", inst.Slot)
		v.check(!ids[id], at+"id", "%q is used twice", id)
		ids[id], held[inst.Slot] = true, true
	}
}

func (l LoginConfig) validate(services map[string]bool, v *complaints) {
	v.check(services[l.Service], "login.service", "%q is not one of the services", l.Service)
	v.check(l.Timeout >= time.Millisecond, "login.timeout", "%v, want at least 1ms", l.Timeout)
	v.check(l.CallsInFlight >= 1 && l.CallsInFlight <= 1024, "login.calls_in_flight", "%d, want 1 to 1024", l.CallsInFlight)
	v.check(l.Batch >= 1 && l.Batch <= loginBatchMax, "login.batch", "%d, want 1 to %d", l.Batch, loginBatchMax)
	v.check(l.Queue >= 1, "login.queue", "%d, want at least 1", l.Queue)
}

// complaints collects what Validate finds.
type complaints struct{ errs []error }

func (c *complaints) check(ok bool, key, format string, args ...any) {
	if !ok {
		c.errs = append(c.errs, fmt.Errorf("%s: "+format, append([]any{key}, args...)...))
	}
}
