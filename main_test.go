package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// asBinary, in the environment, makes this test binary behave as holdfast, so
// that tests run real processes (with the race detector) without building one.
const asBinary = "HOLDFAST_TEST_AS_BINARY"

func TestMain(m *testing.M) {
	if os.Getenv(asBinary) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m, ignoredGoroutines...)
}

// ignoredGoroutines never end by design: they belong to the process, not to a
// part of it.
var ignoredGoroutines = []goleak.Option{
	goleak.IgnoreAnyFunction("github.com/cloudwego/netpoll.(*defaultPoll).Wait"),
	goleak.IgnoreAnyFunction("github.com/cloudwego/kitex/client.(*timeoutPool).createWorker.func1"),
	goleak.IgnoreAnyFunction("github.com/cloudwego/kitex/client.(*timeoutPool).createTicker.func1"),
}

// holdfast runs the command line in this process.
func holdfast(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

// TestUsageMistakes checks that each mistake on a command line exits with 2 and
// one line on standard error, and none of cobra's help.
func TestUsageMistakes(t *testing.T) {
	tests := []struct{ args, want string }{
		{"nosuch", `holdfast: unknown command "nosuch"; `},
		{"--nosuch", "holdfast: unknown flag: --nosuch; "},
		{"config nosuch", `holdfast: holdfast config: unknown command "nosuch"`},
		{"config default", "holdfast: holdfast config default: accepts 1 arg(s), received 0"},
		{"config default nosuch", `holdfast: no role "nosuch": want one of gateway, `},
		{"config validate x.yaml", "holdfast: cannot tell the role of x.yaml from its name: give --role, one of gateway, "},
		{"config validate", "holdfast: holdfast config validate: accepts 1 arg(s), received 0"},
	}
	for _, tt := range tests {
		code, out, errs := holdfast(t, strings.Fields(tt.args)...)
		if code != exitUsage || out != "" || !strings.HasPrefix(errs, tt.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("holdfast %s = %d, out %q, err %q, want %d and one line %q...", tt.args, code, out, errs, exitUsage, tt.want)
		}
	}
}

func TestFailureExitsWithOne(t *testing.T) {
	code, _, errs := holdfast(t, "config", "validate", "gateway.nosuch.yaml")
	if want := "holdfast: gateway.nosuch.yaml: no such file or directory\n"; code != exitFailure || errs != want {
		t.Errorf("holdfast config validate = %d, %q, want %d, %q", code, errs, exitFailure, want)
	}
}

func TestHelpIsNoMistake(t *testing.T) {
	for _, args := range [][]string{nil, {"help"}, {"--help"}, {"config"}} {
		if code, out, errs := holdfast(t, args...); code != 0 || !strings.Contains(out, "Usage:") || errs != "" {
			t.Errorf("holdfast %v = %d, %q, %q, want help and 0", args, code, out, errs)
		}
	}
}

// TestStoppedToolExitsBySignal checks that a tool which gives up because of a
// signal says nothing and exits as the shell expects.
func TestStoppedToolExitsBySignal(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stopSignal{15})
	if sig, ok := stoppedBy(ctx); !ok || exitCode(sig) != 143 {
		t.Errorf("stoppedBy = %v, %v, want SIGTERM and 143", sig, ok)
	}
	if _, ok := stoppedBy(t.Context()); ok {
		t.Error("stoppedBy of a living context is true")
	}
}
