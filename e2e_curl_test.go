package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/holdfast-io/holdfast/tools/testenv"
)

// shell runs a script that a person would paste, with the curl of this machine, and
// returns what it prints.
func shell(t *testing.T, script string, env ...string) string {
	t.Helper()
	testenv.Curl(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\nin\n%s\nwhich printed\n%s", err, errs.String(), script, out)
	}
	return string(out)
}

// TestCurlSession does the whole long-poll session of docs/edge.md with the
// commands that stand there.
func TestCurlSession(t *testing.T) {
	text, err := os.ReadFile(filepath.FromSlash("docs/edge.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)<!-- run by TestCurlSession -->\n```sh\n(.*?)```\n").FindSubmatch(text)
	if block == nil {
		t.Fatal("docs/edge.md has no block for this test")
	}
	d := startDevProcess(t)
	out := shell(t, string(block[1]), "EDGE=http://"+d.endpoint, "TOKEN="+token(d.send))
	t.Logf("printed\n%s", out)
	for _, want := range []string{
		// The first reply.
		`[{"type":"reply","id":1,"status":0,"payload":{"hello":"world"}}]`,
		// What waits: the pushes and the second reply.
		`"type":"push","seq":1,"command":"echo.pushed"`, `"type":"push","seq":2,"command":"echo.pushed"`,
		`"type":"reply","id":2,"status":0`,
		// The held call, and the stream.
		`"type":"push","seq":3,"command":"echo.pushed"`, "id: 3\ndata: {",
		"\n{\"type\":\"close\",\"code\":1000}\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the session did not print %q", want)
		}
	}
	awaitMetric(t, d.admin, "holdfast_gateway_sessions_open 0") // it was ended, not left
}

// TestGreetingWorksAsPasted runs the lines for curl that dev prints, without TLS
// and with it.
func TestGreetingWorksAsPasted(t *testing.T) {
	for _, args := range [][]string{nil, {"--tls"}} {
		d := startDevProcess(t, args...)
		lines := d.await(d.out, `(?ms)^By hand: [^\n]*\n\n(.*?)\n\n`)[1]
		out := shell(t, lines)
		var frames []struct {
			Type    string `json:"type"`
			ID      int    `json:"id"`
			Status  int    `json:"status"`
			Payload string `json:"payload"`
		}
		if err := json.Unmarshal([]byte(out), &frames); err != nil || len(frames) != 1 || frames[0].Type != "reply" ||
			frames[0].ID != 1 || frames[0].Status != 0 || frames[0].Payload != "hi" {
			t.Errorf("dev %v: its lines print %q, want the reply to request 1 (%v)", args, out, err)
		}
	}
}
