package testenv

import (
	"os"
	"os/exec"
	"testing"
)

// HAProxyTool, Chromium and Curl return the path of a tool that Debian's packages
// have. Without it they skip the test; under `make test`, which installs them, they
// fail it.
func HAProxyTool(t testing.TB) string { t.Helper(); return tool(t, "haproxy") }

// Chromium is a browser to be run headless; see HAProxyTool.
func Chromium(t testing.TB) string { t.Helper(); return tool(t, "chromium") }

// Curl is the command-line HTTP client; see HAProxyTool.
func Curl(t testing.TB) string { t.Helper(); return tool(t, "curl") }

func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path
	case os.Getenv(strict) != "":
		t.Fatalf("needs %s: `make test-tools` installs it (%v)", name, err)
	default:
		t.Skipf("needs %s: `make test-tools` installs it", name)
	}
	return ""
}

// strict, in the environment, makes a missing tool a failure.
const strict = "HOLDFAST_TEST_STRICT"
