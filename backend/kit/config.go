package kit

import (
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-io/holdfast/idl/endpoint"
)

// Config holds what an operator may change. Zero values are not defaults: start
// from DefaultConfig.
type Config struct {
	// Service is the name by which the gateways' routes know this backend.
	Service string `koanf:"service"`
	// Listen is where Logic is served: "127.0.0.1:7081" or "unix:/run/echo.sock".
	// The port is not authenticated, so a TCP address must name its host.
	Listen string `koanf:"listen"`

	// DeferAfter bounds how long a Forward call waits for handlers. What is not
	// done by then is answered later, by a call to the gateway.
	DeferAfter time.Duration `koanf:"defer_after"`
	// HandlerTimeout ends a handler's context, also when the packet's own bound
	// is later or absent.
	HandlerTimeout time.Duration `koanf:"handler_timeout"`
	// MaxRunning bounds the handlers that run at a time. Packets of commands that
	// run in microseconds share few goroutines and hardly count.
	MaxRunning int `koanf:"max_running"`
	// MaxWaiting bounds the packets that wait for a handler to become free or for
	// an earlier packet of their session. One more is refused as queue_full.
	MaxWaiting int `koanf:"max_waiting"`
	// DrainTimeout bounds how long Run waits for handlers after its context ended.
	DrainTimeout time.Duration `koanf:"drain_timeout"`
	// DrainNotice bounds how long Run keeps answering "draining" until every
	// gateway has heard it. Only then is the port closed, so that no packet is
	// caught in a closing connection.
	DrainNotice time.Duration `koanf:"drain_notice"`

	// ConnectTimeout bounds the judgement of one login.
	ConnectTimeout time.Duration `koanf:"connect_timeout"`
	// MaxConnects bounds the logins under judgement. One more is sent elsewhere.
	MaxConnects int `koanf:"max_connects"`
	// EventsTimeout bounds Events, GatewaySeen and GatewayLost.
	EventsTimeout time.Duration `koanf:"events_timeout"`

	// Dedupe bounds the memory of what has been answered.
	Dedupe DedupeConfig `koanf:"dedupe"`
	// Gateways bounds what goes back to the gateways.
	Gateways GatewaysConfig `koanf:"gateways"`
}

// DedupeConfig bounds the memory that keeps a packet from running twice in one
// process. Together about 200 bytes a session and 60 bytes an answer besides
// its payload.
type DedupeConfig struct {
	// Sessions is how many sessions are remembered. Beyond it idle ones are
	// forgotten early.
	Sessions int `koanf:"sessions"`
	// Answers and Bytes bound the answers that are kept to be repeated. A repeat
	// of an older packet is answered DATA_LOSS; it is not run again.
	Answers int `koanf:"answers"`
	Bytes   int `koanf:"bytes"`
	// Window is how long a session and its answers are remembered.
	Window time.Duration `koanf:"window"`
}

// GatewaysConfig bounds the calls from the kit to gateways.
type GatewaysConfig struct {
	// Lease is how long a gateway counts as alive after a Heartbeat.
	Lease time.Duration `koanf:"lease"`
	// CallTimeout bounds one call to a gateway, its connection included.
	CallTimeout time.Duration `koanf:"call_timeout"`
	// Batch is how many pushes or answers one call carries at most, BatchBytes
	// how many bytes of payload.
	Batch      int `koanf:"batch"`
	BatchBytes int `koanf:"batch_bytes"`
	// Queue and QueueBytes bound what waits for one gateway, pushes and answers
	// apart.
	Queue      int `koanf:"queue"`
	QueueBytes int `koanf:"queue_bytes"`
}

// DefaultConfig returns the defaults. Service and Listen must be given.
func DefaultConfig() Config {
	return Config{
		DeferAfter:     2 * time.Millisecond,
		HandlerTimeout: 10 * time.Second,
		MaxRunning:     1024,
		MaxWaiting:     16384,
		DrainTimeout:   5 * time.Second,
		DrainNotice:    time.Second,
		ConnectTimeout: 5 * time.Second,
		MaxConnects:    1024,
		EventsTimeout:  2 * time.Second,
		Dedupe: DedupeConfig{
			Sessions: 131072,
			Answers:  65536,
			Bytes:    32 << 20,
			Window:   time.Minute,
		},
		Gateways: GatewaysConfig{
			Lease:       10 * time.Second,
			CallTimeout: time.Second,
			Batch:       1024,
			BatchBytes:  1 << 20,
			Queue:       65536,
			QueueBytes:  64 << 20,
		},
	}
}

// Validate reports every setting that cannot work, not only the first. Each
// error begins with the setting's key.
func (c Config) Validate() error {
	var errs []error
	if c.Service == "" {
		errs = append(errs, errors.New("service: empty"))
	}
	if _, _, err := endpoint.ParseListen(c.Listen); err != nil {
		errs = append(errs, fmt.Errorf("listen: %w", err))
	}
	for _, d := range []struct {
		key string
		is  time.Duration
	}{
		{"defer_after", c.DeferAfter}, {"handler_timeout", c.HandlerTimeout},
		{"connect_timeout", c.ConnectTimeout}, {"events_timeout", c.EventsTimeout},
		{"dedupe.window", c.Dedupe.Window}, {"gateways.lease", c.Gateways.Lease},
		{"gateways.call_timeout", c.Gateways.CallTimeout},
	} {
		if d.is <= 0 {
			errs = append(errs, fmt.Errorf("%s: %v, want more than 0", d.key, d.is))
		}
	}
	for _, d := range []struct {
		key string
		is  time.Duration
	}{{"drain_timeout", c.DrainTimeout}, {"drain_notice", c.DrainNotice}} {
		if d.is < 0 {
			errs = append(errs, fmt.Errorf("%s: %v, want 0 or more", d.key, d.is))
		}
	}
	for _, n := range []struct {
		key string
		is  int
	}{
		{"max_running", c.MaxRunning}, {"max_waiting", c.MaxWaiting}, {"max_connects", c.MaxConnects},
		{"dedupe.sessions", c.Dedupe.Sessions}, {"dedupe.answers", c.Dedupe.Answers}, {"dedupe.bytes", c.Dedupe.Bytes},
		{"gateways.batch", c.Gateways.Batch}, {"gateways.batch_bytes", c.Gateways.BatchBytes},
		{"gateways.queue", c.Gateways.Queue}, {"gateways.queue_bytes", c.Gateways.QueueBytes},
	} {
		if n.is < 1 {
			errs = append(errs, fmt.Errorf("%s: %d, want at least 1", n.key, n.is))
		}
	}
	if c.Gateways.Batch > batchMax {
		errs = append(errs, fmt.Errorf("gateways.batch: %d, at most %d", c.Gateways.Batch, batchMax))
	}
	return errors.Join(errs...)
}

// batchMax is the contract's bound on the items of one Push or Reply call.
const batchMax = 4096
