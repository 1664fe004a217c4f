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
