package faults

import (
	"os/exec"
	"strings"
	"testing"
)

// needs skips a test of what the binary does not have: role's configuration has no
// such key.
func needs(t *testing.T, role, key string) {
	t.Helper()
	out, err := exec.Command(holdfast(t), "config", "default", role).CombinedOutput()
	if err != nil {
		t.Fatalf("config default %s: %v\n%s", role, err, out)
	}
	if !strings.Contains(string(out), key+":") {
		t.Skipf("this holdfast's %s has no %q yet", role, key)
	}
}
