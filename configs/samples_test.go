package configs

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestSamplesLoad loads every YAML file beside this test as its role would.
func TestSamplesLoad(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[Role]bool{}
	for _, file := range files {
		role := RoleOf(file)
		if role == "" {
			t.Errorf("%s: its name does not begin with a role, so `holdfast config validate` cannot know it", file)
			continue
		}
		seen[role] = true
		if err := Check(role, Sources{File: file}); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	for _, role := range []Role{RoleGateway, RoleLogic, RoleEcho} {
		if !seen[role] {
			t.Errorf("no sample for %s", role)
		}
	}
}

// TestDefaultsOfEachRole checks that the printed defaults load back equal, which
// also says that each role starts without a file.
func TestDefaultsOfEachRole(t *testing.T) {
	for _, role := range Roles {
		t.Run(string(role), func(t *testing.T) {
			var text bytes.Buffer
			if err := WriteDefault(&text, role); err != nil {
				t.Fatal(err)
			}
			got, err := load(role, role.Default(), Sources{File: string(role) + ".yaml"}, text.Bytes())
			if err != nil {
				t.Fatalf("%v\n%s", err, text.String())
			}
			if diff := cmp.Diff(role.Default(), got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-default +printed and loaded):\n%s", diff)
			}
		})
	}
}

// TestVariablesReachEveryRole sets one key of each role beside those of others.
func TestVariablesReachEveryRole(t *testing.T) {
	env := []string{
		"HOLDFAST_GATEWAY__LISTENERS__0__ADDRESS=127.0.0.1:1",
		"HOLDFAST_GATEWAY__DISPATCHER__SERVICES__0__INSTANCES__0__ADDRESS=unix:/run/l.sock",
		"HOLDFAST_LOGIC__ADMIN__LISTEN=127.0.0.1:2",
		"HOLDFAST_ECHO__KIT__LISTEN=127.0.0.1:3",
		"HOLDFAST_DEV__DRAIN_WINDOW=1s",
	}
	gw, err := Load[Gateway](RoleGateway, Sources{Environ: env})
	if err != nil {
		t.Fatal(err)
	}
	if got := gw.Gateway.Listeners[0].Address + " " + gw.Dispatcher.Services[0].Instances[0].Address; got != "127.0.0.1:1 unix:/run/l.sock" {
		t.Errorf("gateway: %s", got)
	}
	logic, err := Load[Logic](RoleLogic, Sources{Environ: env})
	if err != nil || logic.Admin.Listen != "127.0.0.1:2" {
		t.Errorf("logic: %q, %v", logic.Admin.Listen, err)
	}
	echo, err := Load[Echo](RoleEcho, Sources{Environ: env})
	if err != nil || echo.Echo.Kit.Listen != "127.0.0.1:3" {
		t.Errorf("echo: %q, %v", echo.Echo.Kit.Listen, err)
	}
	dev, err := Load[Dev](RoleDev, Sources{Environ: env})
	if err != nil || dev.DrainWindow.String() != "1s" {
		t.Errorf("dev: %v, %v", dev.DrainWindow, err)
	}
}

// TestRolesSeeAcrossComponents checks what only the role can know.
func TestRolesSeeAcrossComponents(t *testing.T) {
	_, err := load(RoleGateway, DefaultGateway(), Sources{File: "g.yaml"}, []byte(
		"session:\n  request_timeout: 4s\nlimits:\n  frame_bytes: 32KiB\n"))
	want := `3 mistakes in the configuration:
  g.yaml: dispatcher.request_timeout: 10s, but clients are told session.request_timeout 4s (not set; HOLDFAST_GATEWAY__DISPATCHER__REQUEST_TIMEOUT or the file sets it)
  g.yaml: dispatcher.login.timeout: 5s, but $refresh is answered within session.request_timeout 4s (not set; HOLDFAST_GATEWAY__DISPATCHER__LOGIN__TIMEOUT or the file sets it)
  g.yaml: dispatcher.reply_bytes: 65529, but limits.frame_bytes leaves 32761 (not set; HOLDFAST_GATEWAY__DISPATCHER__REPLY_BYTES or the file sets it)`
	if err == nil || err.Error() != want {
		t.Errorf("load = %v\nwant %v", err, want)
	}
}
