package admission

import (
	"math"
	"strings"
	"testing"
)

func TestDefaultsAreValid(t *testing.T) {
	for name, cfg := range map[string]Config{"DefaultConfig": DefaultConfig(), "Unlimited": Unlimited()} {
		if err := cfg.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestValidateNamesTheKey(t *testing.T) {
	for key, change := range map[string]func(*Config){
		"connections.max":              func(c *Config) { c.Connections.Max = -1 },
		"cut_sessions.max":             func(c *Config) { c.CutSessions.Max = -1 },
		"accepts.per_second":           func(c *Config) { c.Accepts.PerSecond = math.NaN() },
		"handshakes.per_second":        func(c *Config) { c.Handshakes.PerSecond = math.Inf(1) },
		"session_bytes.per_second":     func(c *Config) { c.SessionBytes.PerSecond = -1 },
		"user_bytes.burst":             func(c *Config) { c.UserBytes.Burst = 5 },
		"user_requests.per_second":     func(c *Config) { c.UserRequests = Rate{PerSecond: 2e9} },
		"session_requests.burst":       func(c *Config) { c.SessionRequests = Rate{PerSecond: 1000, Burst: 99} },
		"handshakes_per_address.burst": func(c *Config) { c.HandshakesPerAddress = Rate{PerSecond: 0.001, Burst: 1000} },
		"accepts_per_address.burst":    func(c *Config) { c.AcceptsPerAddress.Burst = -1 },
		"allow.1":                      func(c *Config) { c.Allow = []string{"10.0.0.0/8", "x"} },
		"deny.0":                       func(c *Config) { c.Deny = []string{"10.0.0.1/8"} },
		"memory.limit_bytes":           func(c *Config) { c.Memory.LimitBytes = 1024 },
		"memory.shorten_idle":          func(c *Config) { c.Memory.ShortenIdle = 0 },
		"memory.refuse_handshakes":     func(c *Config) { c.Memory.RefuseHandshakes = 0.7 },
		"memory.refuse_accepts":        func(c *Config) { c.Memory.RefuseAccepts = 0.1 },
		"memory.drop_queues":           func(c *Config) { c.Memory.DropQueues = 1.1 },
		"memory.hysteresis":            func(c *Config) { c.Memory.Hysteresis = 0.7 },
		"memory.go_limit":              func(c *Config) { c.Memory.GoLimit = math.NaN() },
		"classes.0.name":               func(c *Config) { c.Classes = []Class{{Commands: []string{"a"}}} },
		"classes.0.commands":           func(c *Config) { c.Classes = []Class{{Name: "a"}} },
		"classes.0.commands.0":         func(c *Config) { c.Classes = []Class{{Name: "a", Commands: []string{"Msg."}}} },
		"classes.0.commands.1":         func(c *Config) { c.Classes = []Class{{Name: "a", Commands: []string{"a.", "a.*"}}} },
		"classes.0.requests.per_second": func(c *Config) {
			c.Classes = []Class{{Name: "a", Commands: []string{"*"}, Requests: Rate{PerSecond: -1}}}
		},
		"classes.0.bytes.burst": func(c *Config) { c.Classes = []Class{{Name: "a", Commands: []string{"$time"}, Bytes: Rate{Burst: 1}}} },
		"classes.0.slow":        func(c *Config) { c.Classes = []Class{{Name: "a", Commands: []string{"a"}, Slow: "drop"}} },
		"classes":               func(c *Config) { c.Classes = make([]Class, classesMax+1) },
	} {
		cfg := DefaultConfig()
		change(&cfg)
		err := cfg.Validate()
		if err == nil || !strings.Contains("\n"+err.Error(), "\n"+key+": ") {
			t.Errorf("%s: Validate() = %v", key, err)
		}
	}
}

func TestBurstDefault(t *testing.T) {
	for r, want := range map[Rate]int{{PerSecond: 0.5}: 1, {PerSecond: 2.5}: 3, {PerSecond: 10}: 10, {PerSecond: 10, Burst: 4}: 4} {
		if got := r.burst(); got != want {
			t.Errorf("%+v: burst %d, want %d", r, got, want)
		}
	}
}

func TestAfterReserve(t *testing.T) {
	for limit, want := range map[uint64]int64{
		0: 0, 100: 50, 1024: 896, 10_000: 9500, 1 << 20: 1<<20 - 1<<20/20, math.MaxUint64: math.MaxInt64,
	} {
		if got := afterReserve(limit); got != want {
			t.Errorf("afterReserve(%d) = %d, want %d", limit, got, want)
		}
	}
	if got := descriptorsForClients(); got <= 0 {
		t.Errorf("descriptorsForClients() = %d", got)
	}
}
