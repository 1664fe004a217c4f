package echo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/holdfast-io/holdfast/backend/echo"
	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/backend/kit/kittest"
)

// TestMain fails the package when a goroutine outlives the tests, except what
// netpoll and Kitex keep by design: pollers, and workers for calls with a deadline.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/cloudwego/netpoll.(*defaultPoll).Wait"),
		goleak.IgnoreAnyFunction("github.com/cloudwego/kitex/client.(*timeoutPool).createWorker.func1"),
		goleak.IgnoreAnyFunction("github.com/cloudwego/kitex/client.(*timeoutPool).createTicker.func1"),
	)
}

// start runs an echo and returns a gateway that talks to it.
func start(t *testing.T) *kittest.Gateway {
	t.Helper()
	cfg := echo.DefaultConfig()
	cfg.Kit.Listen, cfg.Kit.DrainNotice = "127.0.0.1:0", 0
	s, err := echo.New(cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	kittest.Run(t, s.Server)
	return kittest.NewGateway(t, s.Addr(), kittest.Options{Service: "echo"})
}

func TestConnectTakesAnyToken(t *testing.T) {
	gw := start(t)
	for _, token := range []string{"1001", "any text at all", strings.Repeat("x", 64)} {
		if s := gw.Login(t, token, kit.Device{}); s.UID != token {
			t.Errorf("token %q: uid %q", token, s.UID)
		}
	}
	if s := gw.Login(t, "", kit.Device{}); s.UID != s.ID {
		t.Errorf("no token: uid %q, want the session's id %q", s.UID, s.ID)
	}
	var refusal *kit.Refusal
	if _, err := gw.TryLogin(strings.Repeat("x", 65), kit.Device{}); !errors.As(err, &refusal) || refusal.Code != kit.CloseUnauthenticated {
		t.Errorf("a token of 65 bytes: %v, want 4502", err)
	}
}

func TestCommands(t *testing.T) {
	tests := []struct {
		command, payload string
		status           kit.Status
		reply            string // "" matches any text of a failure
	}{
		{"echo.say", "any \x00 bytes", kit.OK, "any \x00 bytes"},
		{"echo.say", "", kit.OK, ""},
		{"echo.sleep", `{"ms":0}`, kit.OK, `{"ms":0}`},
		{"echo.sleep", `{"ms":7}`, kit.OK, `{"ms":7}`},
		{"echo.sleep", `{"ms":-1}`, kit.InvalidArgument, ""},
		{"echo.sleep", `{"ms":60001}`, kit.InvalidArgument, ""},
		{"echo.sleep", `{}`, kit.InvalidArgument, ""},
		{"echo.sleep", `soon`, kit.InvalidArgument, ""},
		{"echo.fail", `{"status":14}`, kit.Unavailable, `{"message":"as asked"}`},
		{"echo.fail", `{"status":1}`, kit.Canceled, `{"message":"as asked"}`},
		{"echo.fail", `{"status":0}`, kit.InvalidArgument, ""},
		{"echo.fail", `{"status":17}`, kit.InvalidArgument, ""},
		{"echo.fail", `{"status":"bad"}`, kit.InvalidArgument, ""},
		{"echo.push", `{"n":0}`, kit.InvalidArgument, ""},
		{"echo.push", `{"n":1001}`, kit.InvalidArgument, ""},
		{"echo.push", `{"n":1,"size":49153}`, kit.InvalidArgument, ""},
		{"echo.push", `{"n":1,"size":-1}`, kit.InvalidArgument, ""},
		{"echo.push", ``, kit.InvalidArgument, ""},
		{"echo.shout", `x`, kit.Unimplemented, ""},
	}
	s := start(t).Login(t, "1001", kit.Device{})
	for _, tt := range tests {
		r := s.Request(t, tt.command, tt.payload)
		if r.Status != tt.status || (tt.status == kit.OK || tt.reply != "") && string(r.Payload) != tt.reply {
			t.Errorf("%s %s: %v %q, want %v %q", tt.command, tt.payload, r.Status, r.Payload, tt.status, tt.reply)
		}
		var said struct{ Message string }
		if tt.status != kit.OK && (json.Unmarshal(r.Payload, &said) != nil || said.Message == "") {
			t.Errorf("%s %s: payload %q, want an object with a message", tt.command, tt.payload, r.Payload)
		}
	}
}

func TestPush(t *testing.T) {
	gw := start(t)
	s, other := gw.Login(t, "1001", kit.Device{}), gw.Login(t, "1001", kit.Device{})
	const n, size = 150, 1000
	if r := s.Request(t, "echo.push", fmt.Sprintf(`{"n":%d,"size":%d}`, n, size)); string(r.Payload) != `{"n":150}` {
		t.Fatalf("echo.push = %v %s", r.Status, r.Payload)
	}
	for i := range n {
		p := s.NextPush(t)
		var got struct {
			I   int
			Pad string
		}
		if err := json.Unmarshal(p.Payload, &got); err != nil || got.I != i || len(got.Pad) != size || p.Command != "echo.pushed" || !p.Reliable {
			t.Fatalf("push %d = %s %.40s..., %v", i, p.Command, p.Payload, err)
		}
	}
	if n := len(other.Pushes()); n != 0 {
		t.Errorf("another session of the user got %d pushes", n)
	}
	s.End()
	if r := s.Request(t, "echo.push", `{"n":1}`); r.Status != kit.Unavailable {
		t.Errorf("echo.push for a session that is gone = %v %s", r.Status, r.Payload)
	}
}

func TestEchoSaysThatItMustNotFaceTheWorld(t *testing.T) {
	var log bytes.Buffer
	cfg := echo.DefaultConfig()
	cfg.Kit.Listen = "127.0.0.1:0"
	s, err := echo.New(cfg, slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil || !strings.Contains(log.String(), "must not face the world") {
		t.Errorf("Run() = %v, log:\n%s", err, log.String())
	}
}

func TestConfig(t *testing.T) {
	cfg := echo.DefaultConfig()
	cfg.Kit.MaxRunning = 0
	err := cfg.Validate()
	if err == nil || !strings.Contains(err.Error(), "kit.listen: ") || !strings.Contains(err.Error(), "kit.max_running: ") {
		t.Errorf("Validate() = %v, want both mistakes with their keys", err)
	}
	if cfg.Kit.HandlerTimeout < echo.SleepMSMax*time.Millisecond {
		t.Errorf("handler_timeout %v cuts the longest sleep off", cfg.Kit.HandlerTimeout)
	}
}
