package testenv

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestConsul takes one through all that it can be put through.
func TestConsul(t *testing.T) {
	c := StartConsul(t, ConsulOptions{})
	put := func() {
		t.Helper()
		req, _ := http.NewRequest(http.MethodPut, "http://"+c.Addr+"/v1/kv/testenv", strings.NewReader("kept"))
		if _, err := get(req); err != nil {
			t.Fatal(err)
		}
	}
	read := func() string {
		t.Helper()
		resp, err := probes.Get("http://" + c.Addr + "/v1/kv/testenv?raw")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}
	put()
	c.Stop()
	c.Start()
	if got := read(); got != "kept" {
		t.Errorf("after Stop and Start the key is %q, want it kept", got)
	}
	c.Restart()
	if got := read(); got != "kept" {
		t.Errorf("after Restart the key is %q, want it kept", got)
	}
	c.Pause()
	if err := c.probe(); err == nil {
		t.Error("a paused Consul answers")
	}
	c.Resume()
	c.AwaitLeader()
	c.Wipe()
	if got := read(); got != "" {
		t.Errorf("after Wipe the key is %q, want it gone", got)
	}
}
