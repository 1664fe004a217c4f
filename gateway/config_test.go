package gateway_test

import (
	"strings"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway"
	"github.com/holdfast-io/holdfast/gateway/transport"
)

func TestDefaultConfigIsValid(t *testing.T) {
	if err := gateway.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
}

// TestValidateReportsEverything: each mistake is named by its key, all at once.
func TestValidateReportsEverything(t *testing.T) {
	cfg := gateway.DefaultConfig()
	cfg.Name = "two words"
	cfg.Listeners = []transport.ListenerConfig{{Transports: []transport.Name{"smoke"}, Address: "nowhere", Advertise: ":7000"}}
	cfg.RPC.Listen = "7071"
	cfg.RPC.Advertise = "unix:" + strings.Repeat("x", 200)
	cfg.Drain.Window, cfg.Drain.HardStop = -time.Second, 0
	cfg.Session.Heartbeat, cfg.Session.Window = 0, 0
	cfg.Limits.FrameBytes, cfg.Limits.KeptBytes, cfg.Limits.Topics = 10, 1, -1
	cfg.Limits.OutboundBytes, cfg.Limits.WriteTimeout = 5, 0
	cfg.Tick = 0
	err := cfg.Validate()
	if err == nil {
		t.Fatal("Validate = nil")
	}
	for _, key := range []string{
		"name:", "listeners.0.transports.0:", "listeners.0.address:", "listeners.0.advertise:", "rpc.listen:", "rpc.advertise:",
		"drain.window:", "drain.hard_stop:", "session.heartbeat:", "session.window:", "limits.frame_bytes:",
		"limits.outbound_bytes:", "limits.write_timeout:", "limits.kept_bytes:", "limits.topics:", "tick:",
	} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("no word of %s in:\n%v", key, err)
		}
	}
	if _, err := gateway.New(cfg, discard(), newRegistry()); err == nil {
		t.Error("New takes a configuration that cannot work")
	}
}

// TestResumeTTLForCalls: a client of long poll has no call open for a moment after
// each, so a session that ended at once would be of no use to it.
func TestResumeTTLForCalls(t *testing.T) {
	for _, tc := range []struct {
		via  transport.Name
		ttl  time.Duration
		good bool
	}{
		{transport.TCP, 0, true},
		{transport.WS, 0, true},
		{transport.Poll, 0, false},
		{transport.SSE, 500 * time.Millisecond, false},
		{transport.Poll, time.Second, true},
	} {
		cfg := gateway.DefaultConfig()
		cfg.Listeners[0].Transports = []transport.Name{tc.via}
		cfg.Session.ResumeTTL = tc.ttl
		err := cfg.Validate()
		if tc.good && err != nil || !tc.good && (err == nil || !strings.Contains(err.Error(), "session.resume_ttl:")) {
			t.Errorf("%s with %v: %v", tc.via, tc.ttl, err)
		}
	}
}

// TestCertificatesMissing: a listener that speaks TLS needs something to show, and
// says so before it is started.
func TestCertificatesMissing(t *testing.T) {
	cfg := gateway.DefaultConfig()
	cfg.Listeners[0].Transports = []transport.Name{transport.TCP, transport.WSS}
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "listeners.0.tls.certificates:") {
		t.Errorf("Validate = %v, want listeners.0.tls.certificates", err)
	}
}
