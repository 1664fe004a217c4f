package main

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestStartMistakes checks that whatever keeps a process from starting is one
// clear line on standard error and exit code 1, or 2 where the command line is
// to blame.
func TestStartMistakes(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() }) // after the parallel ones
	port := taken.Addr().String()
	dir := t.TempDir()
	notAFolder := filepath.Join(dir, "file")
	bad := filepath.Join(dir, "bad.yaml")
	writeText(t, notAFolder, "")
	writeText(t, bad, "name: gw-1\ndrain:\n  windw: 5s\n")

	tests := []struct {
		name string
		env  []string
		args string
		code int
		want string // after "holdfast: "
	}{
		{"unknown key", nil, "gateway --config " + bad, 1, regexp.QuoteMeta(bad) + `:3: drain.windw: unknown key; did you mean "window"\?`},
		{"no such file", nil, "gateway --config nosuch.yaml", 1, "nosuch.yaml: no such file or directory"},
		{"unknown variable", []string{"HOLDFAST_GATEWAY__NAMES=x"}, "gateway", 1, `HOLDFAST_GATEWAY__NAMES: names: unknown key; did you mean "name"\?`},
		{"unusable value", nil, "gateway --set drain.window=5", 1, `--set drain.window: drain.window: want a duration such as 10s, got "5"`},
		{"unusable combination", nil, "gateway --set dispatcher.login.service=x", 1, `--set dispatcher.login.service: dispatcher.login.service: "x" is not one of the services`},
		{"client port taken", nil, "gateway --admin= --set rpc.listen=127.0.0.1:0 --set listeners.0.address=" + port, 1, ".*" + port + ".*in use.*"},
		{"backend port taken", nil, "gateway --admin= --set rpc.listen=" + port, 1, ".*" + port + ".*in use.*"},
		{"admin port taken", nil, "gateway --admin " + port, 1, "admin.listen: " + port + " is in use by another process"},
		{"echo port taken", nil, "echo --admin= --log-level error --set kit.listen=" + port, 1, ".*" + port + ".*in use.*"},
		{"logic port taken", nil, "logic --admin= --log-level error --data " + filepath.Join(dir, "l") + " --set kit.listen=" + port, 1, ".*" + port + ".*in use.*"},
		{"dev port taken", nil, "dev --admin= --data " + filepath.Join(dir, "d") + " --listen " + port, 1, ".*" + port + ".*in use.*"},
		{"dev data folder", nil, "dev --admin= --data " + filepath.Join(notAFolder, "x"), 1, "data folder.*: .*not a directory"},
		{"logic data folder", nil, "logic --admin= --data " + filepath.Join(notAFolder, "x"), 1, "data folder.*: .*not a directory"},
		{"token data folder", nil, "token --uid 1 --data " + filepath.Join(notAFolder, "x"), 1, "data folder.*: .*not a directory"},
		{"unknown flag", nil, "dev --nosuch", 2, "unknown flag: --nosuch; .*"},
		{"argument", nil, "gateway x", 2, `holdfast gateway: unknown command "x".*`},
		{"flag without value", nil, "logic --config", 2, "flag needs an argument: --config; .*"},
		{"token without user", nil, "token", 2, ".*--uid.*"},
		{"chat without token", nil, "chat --to 1 --send x", 2, "--token.*"},
		{"nobody there", nil, "chat --token t --to 1 --send x --timeout 30s --endpoint 127.0.0.1:1", 1, ".*127.0.0.1:1.*refused.*"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := holdfastProcess(t, tt.env, strings.Fields(tt.args)...)
			want := regexp.MustCompile(`^holdfast: ` + tt.want + `\n$`)
			if code != tt.code || out != "" || !want.MatchString(lastLine(errs)) {
				t.Errorf("holdfast %s = %d, out %q, err %q, want %d and %q", tt.args, code, out, errs, tt.code, tt.want)
			}
			if n := strings.Count(errs, "holdfast: "); n != 1 {
				t.Errorf("%d lines of error: %q", n, errs)
			}
		})
	}
}

// lastLine drops log lines, which a role may have written before it failed.
func lastLine(errs string) string {
	lines := strings.SplitAfter(strings.TrimSuffix(errs, "\n"), "\n")
	return lines[len(lines)-1] + "\n"
}

// TestBadToken checks what a person sees whose token is no good.
func TestBadToken(t *testing.T) {
	d := startDevProcess(t)
	forged := token(d.send)
	forged = forged[:len(forged)-4] + "AAAA"
	for _, tok := range []string{"nonsense", forged} {
		code, out, errs := holdfastProcess(t, nil, "chat", "--endpoint", d.endpoint, "--token", tok, "--to", "1002", "--send", "x")
		if code != 1 || out != "" || !strings.HasPrefix(errs, "holdfast: ") || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "UNAUTHENTICATED") {
			t.Errorf("chat with %q = %d, %q, %q, want 1 and one line with UNAUTHENTICATED", tok, code, out, errs)
		}
	}
}

// TestOneDevPerDataFolder checks that two cannot share one.
func TestOneDevPerDataFolder(t *testing.T) {
	d := startDevProcess(t)
	code, _, errs := holdfastProcess(t, nil, "dev", "--listen", "127.0.0.1:0", "--admin=", "--data", d.data)
	if want := "in use by another `holdfast dev`\n"; code != 1 || !strings.HasSuffix(errs, want) {
		t.Errorf("a second dev = %d, %q, want 1 and %q", code, errs, want)
	}
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
