package dispatcher

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
	"github.com/holdfast-io/holdfast/dispatcher/slots"
)

func TestDefaultConfigWorks(t *testing.T) {
	if err := testConfig().Validate(); err != nil {
		t.Errorf("the defaults with one service = %v", err)
	}
}

// TestValidateNamesEachKey: one mistake at a time, each named by its key.
func TestValidateNamesEachKey(t *testing.T) {
	tests := []struct {
		key    string
		change func(*Config)
	}{
		{"services[0].name", func(c *Config) { c.Services[0].Name = "" }},
		{"services[1].name", func(c *Config) { c.Services = append(c.Services, c.Services[0]) }},
		{"services[0].timeout", func(c *Config) { c.Services[0].Timeout = -1 }},
		{"services[0].connect_timeout", func(c *Config) { c.Services[0].ConnectTimeout = 1 }},
		{"services[0].hash", func(c *Config) { c.Services[0].Hash = 9 }},
		{"services[0].calls_in_flight", func(c *Config) { c.Services[0].CallsInFlight = 2000 }},
		{"services[0].batch_packets", func(c *Config) { c.Services[0].BatchPackets = 1025 }},
		{"services[0].batch_bytes", func(c *Config) { c.Services[0].BatchBytes = -1 }},
		{"services[0].max_outstanding", func(c *Config) { c.Services[0].MaxOutstanding = -1 }},
		{"services[0].max_queued", func(c *Config) { c.Services[0].MaxQueued = -1 }},
		{"services[0].max_queued_bytes", func(c *Config) { c.Services[0].MaxQueuedBytes = -1 }},
		{"services[0].instances[0].address", func(c *Config) { c.Services[0].Instances = []InstanceConfig{{Address: "nowhere"}} }},
		{"services[0].instances[0].slot", func(c *Config) { c.Services[0].Instances = []InstanceConfig{{Address: "h:1", Slot: -1}} }},
		{"services[0].instances[1].slot", func(c *Config) {
			c.Services[0].Instances = []InstanceConfig{{Address: "h:1"}, {Address: "h:2"}}
		}},
		{"services[0].instances[1].id", func(c *Config) {
			c.Services[0].Instances = []InstanceConfig{{ID: "a", Address: "h:1"}, {ID: "a", Address: "h:2", Slot: 1}}
		}},
		{"routes[0].service", func(c *Config) { c.Routes[0].Service = "nobody" }},
		{"routes[1].prefix", func(c *Config) { c.Routes = append(c.Routes, c.Routes[0]) }},
		{"login.service", func(c *Config) { c.Login.Service = "nobody" }},
		{"login.timeout", func(c *Config) { c.Login.Timeout = 0 }},
		{"login.calls_in_flight", func(c *Config) { c.Login.CallsInFlight = 0 }},
		{"login.batch", func(c *Config) { c.Login.Batch = 257 }},
		{"login.queue", func(c *Config) { c.Login.Queue = 0 }},
		{"request_timeout", func(c *Config) { c.RequestTimeout = 0 }},
		{"lane_limit", func(c *Config) { c.LaneLimit = 0 }},
		{"reply_bytes", func(c *Config) { c.ReplyBytes = 1 << 24 }},
		{"retry_after", func(c *Config) { c.RetryAfter = 0 }},
		{"heartbeat.interval", func(c *Config) { c.Heartbeat.Interval, c.Heartbeat.ProbeInterval = 1, 1 }},
		{"heartbeat.timeout", func(c *Config) { c.Heartbeat.Timeout = 0 }},
		{"heartbeat.probe_interval", func(c *Config) { c.Heartbeat.ProbeInterval = time.Hour }},
		{"events.queue", func(c *Config) { c.Events.Queue = 0 }},
		{"events.batch", func(c *Config) { c.Events.Batch = 1025 }},
		{"events.timeout", func(c *Config) { c.Events.Timeout = 0 }},
	}
	for _, tt := range tests {
		cfg := testConfig()
		tt.change(&cfg)
		err := cfg.Validate()
		if err == nil || !slices.ContainsFunc(strings.Split(err.Error(), "\n"), func(line string) bool { return strings.HasPrefix(line, tt.key+": ") }) {
			t.Errorf("Validate with a bad %s = %v", tt.key, err)
		}
	}
}

func TestValidateReportsEverything(t *testing.T) {
	err := Config{}.Validate()
	if err == nil || strings.Count(err.Error(), "\n") < 10 {
		t.Errorf("Validate of an empty Config = %v, want every complaint", err)
	}
	if _, err := New(Config{}, Self{}, discovery.NewMemory(), slog.New(slog.DiscardHandler), prometheus.NewRegistry()); err == nil {
		t.Error("New with an empty Config = nil, want an error")
	}
}

func TestConfiguredInstances(t *testing.T) {
	cfg := testConfig()
	cfg.Services[0].Instances = []InstanceConfig{{Address: "unix:/run/l.sock"}, {ID: "b", Slot: 1, Address: "h:1", Zone: "z"}}
	want := []discovery.Instance{
		{ID: "unix:/run/l.sock", Service: testService, Address: "unix:/run/l.sock"},
		{ID: "b", Service: testService, Slot: 1, Address: "h:1", Zone: "z"},
	}
	if diff := cmp.Diff(want, cfg.Instances()); diff != "" {
		t.Errorf("Instances (-want +got):\n%s", diff)
	}
	if _, err := discovery.NewStatic(cfg.Instances()); err != nil {
		t.Errorf("NewStatic of them = %v", err)
	}
}

func TestHashFromText(t *testing.T) {
	var s ServiceConfig
	if err := s.Hash.UnmarshalText([]byte("modulo")); err != nil || s.Hash != slots.Modulo {
		t.Errorf("hash: modulo = %v, %v", s.Hash, err)
	}
}

// TestRoutes is the rule of RouteConfig.Prefix.
func TestRoutes(t *testing.T) {
	services := map[string]*service{}
	for _, name := range []string{"default", "msg", "msgdot", "group"} {
		services[name] = &service{cfg: ServiceConfig{Name: name}}
	}
	r := newRoutes([]RouteConfig{{Service: "default"}, {Prefix: "msg", Service: "msg"}, {Prefix: "msg.", Service: "msgdot"}, {Prefix: "msg.group.", Service: "group"}}, services, nil)
	tests := []struct{ command, want string }{
		{"msg.send", "msgdot"}, {"msg.", "msgdot"}, {"msg", "msg"}, {"msgs.send", "msg"}, {"ms", "default"},
		{"msg.group.send", "group"}, {"msg.groups", "msgdot"}, {"x", "default"},
	}
	for range 2 { // the second time from memory
		for _, tt := range tests {
			if got := r.find([]byte(tt.command)); got.service != services[tt.want] || got.command.Name != tt.command {
				t.Errorf("find(%q) = %q to %v, want %s", tt.command, got.command.Name, got.service, tt.want)
			}
		}
	}
	none := newRoutes([]RouteConfig{{Prefix: "msg.", Service: "msg"}}, services, nil)
	if got := none.find([]byte("echo.say")); got.service != nil {
		t.Errorf("find(echo.say) = %v, want nobody", got.service)
	}
	if n := len(*none.known.Load()); n != 0 {
		t.Errorf("%d commands without a route are remembered", n)
	}
}

// TestRoutesRememberABoundedNumber: clients choose commands.
func TestRoutesRememberABoundedNumber(t *testing.T) {
	s := &service{}
	r := newRoutes([]RouteConfig{{Service: "s"}}, map[string]*service{"s": s}, nil)
	for i := range 3 * commandsKept {
		if got := r.find(fmt.Appendf(nil, "msg.%d", i)); got.service != s {
			t.Fatalf("command %d has no route", i)
		}
	}
	if n := len(*r.known.Load()); n != commandsKept {
		t.Errorf("%d commands are remembered, want %d", n, commandsKept)
	}
	known := []byte("msg.7")
	if n := testing.AllocsPerRun(100, func() { r.find(known) }); n != 0 {
		t.Errorf("finding a known command allocates %v times, want 0", n)
	}
}

func TestPeerClock(t *testing.T) {
	const ms = int64(time.Millisecond)
	var c peerClock
	if got := c.startByMS(5 * ms); got != 0 {
		t.Errorf("startByMS before any heartbeat = %d, want 0: no bound", got)
	}
	// The instance's clock shows 1,000,000 ms at 100 ms of ours, a slow round trip
	// says 1,000,020.
	c.learn(90*ms, 110*ms, 1_000_000)
	c.learn(0, 200*ms, 1_000_020)
	if got := c.startByMS(150 * ms); got < 1_000_050-12 || got > 1_000_050 {
		t.Errorf("startByMS(150ms) = %d, want 1000050 less at most the error of the better sample", got)
	}
	// The instance's clock is put right: old samples leave with time.
	for range clockSamples {
		c.learn(80*ms, 120*ms, 2_000_000)
	}
	if got := c.startByMS(100 * ms); got < 2_000_000-22 || got > 2_000_000 {
		t.Errorf("startByMS(100ms) = %d, want 2000000 less at most 21", got)
	}
	// Another process: the old clock serves until the new one is known, good or bad.
	c.renew()
	if got := c.startByMS(100 * ms); got < 2_000_000-22 {
		t.Errorf("startByMS after renew = %d, want the old clock's", got)
	}
	c.learn(0, 200*ms, 3_000_000)
	if got := c.startByMS(100 * ms); got < 3_000_000-102 || got > 3_000_000 {
		t.Errorf("startByMS = %d, want the new clock's 3000000 less at most 101", got)
	}
}

// TestSeriesExistAtZero: dashboards and alerts must never miss a series.
func TestSeriesExistAtZero(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		families, err := w.reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		count := map[string]int{}
		for _, f := range families {
			count[f.GetName()] = len(f.GetMetric())
		}
		for name, want := range map[string]int{
			"holdfast_dispatcher_packets_total":       5,
			"holdfast_dispatcher_refusals_total":      len(refusals) - 1,
			"holdfast_dispatcher_no_route_total":      1,
			"holdfast_dispatcher_late_answers_total":  1,
			"holdfast_dispatcher_deferred_total":      1,
			"holdfast_dispatcher_batch_packets":       1,
			"holdfast_dispatcher_call_seconds":        1,
			"holdfast_dispatcher_calls_in_flight":     1,
			"holdfast_dispatcher_heartbeats_total":    2,
			"holdfast_dispatcher_retries_total":       2,
			"holdfast_dispatcher_events_total":        3,
			"holdfast_dispatcher_logins_total":        int(loginKinds),
			"holdfast_dispatcher_queued_packets":      1,
			"holdfast_dispatcher_outstanding_packets": 1,
			"holdfast_dispatcher_instances_up":        1,
			"holdfast_dispatcher_slots":               1,
		} {
			if count[name] != want {
				t.Errorf("%s has %d series, want %d", name, count[name], want)
			}
		}
	})
}
