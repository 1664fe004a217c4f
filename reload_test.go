package main

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/holdfast-io/holdfast/configs"
	"github.com/holdfast-io/holdfast/dispatcher"
)

// reloading is a reloader whose file and gateway are the test's.
type reloading struct {
	*reloader
	next    configs.Gateway // what the file says
	wrong   error           // what is wrong with it
	refuse  error           // what gateway or dispatcher say
	restart []string        // what the gateway says needs a restart
	applied []configs.Gateway
	text    bytes.Buffer
}

func newReloading(t *testing.T) *reloading {
	t.Helper()
	m, err := newReloadMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	r := &reloading{next: configs.DefaultGateway()}
	r.reloader = &reloader{
		load: func() (configs.Gateway, error) { return r.next, r.wrong },
		apply: func(cfg configs.Gateway) ([]string, error) {
			if r.refuse == nil {
				r.applied = append(r.applied, cfg)
			}
			return r.restart, r.refuse
		},
		log: slog.New(slog.NewTextHandler(&r.text, nil)), m: m,
		started: configs.DefaultGateway(), running: configs.DefaultGateway(),
	}
	return r
}

// expect checks what one attempt did: the log has one line for each of said.
func (r *reloading) expect(t *testing.T, result reloadResult, said ...string) {
	t.Helper()
	before := testutil.ToFloat64(r.m.total.WithLabelValues(string(result)))
	applied, wantApplied, good := len(r.applied), 1, 1.0
	if result == reloadRejected {
		wantApplied, good = 0, 0
	}
	r.text.Reset()
	r.reload("a test")
	if n := testutil.ToFloat64(r.m.total.WithLabelValues(string(result))); n != before+1 {
		t.Errorf("%s: counted %v times, want %v", result, n, before+1)
	}
	if got := testutil.ToFloat64(r.m.good); got != good {
		t.Errorf("%s: last_reload_good = %v, want %v", result, got, good)
	}
	if n := len(r.applied) - applied; n != wantApplied {
		t.Errorf("%s: applied %d times, want %d", result, n, wantApplied)
	}
	lines := strings.Split(strings.TrimSpace(r.text.String()), "\n")
	for i, line := range lines {
		if len(lines) != len(said) || !strings.Contains(line, said[i]) {
			t.Fatalf("%s: the log says %q, want %q", result, lines, said)
		}
	}
}

// TestReload takes a gateway through every kind of change.
func TestReload(t *testing.T) {
	r := newReloading(t)
	r.expect(t, reloadUnchanged, "configuration unchanged") // certificates are read again all the same

	r.next.Dispatcher.Routes = append(r.next.Dispatcher.Routes[:1:1], dispatcher.RouteConfig{Prefix: "contact.", Service: "logic"})
	r.expect(t, reloadApplied, "configuration applied")
	r.next.Gateway.Limits.KeptPushes++
	r.expect(t, reloadApplied, "configuration applied")
	r.expect(t, reloadUnchanged, "configuration unchanged")

	r.wrong = errors.New("gateway.yaml:7: no")
	r.expect(t, reloadRejected, "gateway.yaml:7: no")
	r.wrong = nil
	r.expect(t, reloadUnchanged, "configuration unchanged") // the file is again what runs

	r.next.Dispatcher.RetryAfter = 3 * time.Second
	r.refuse = errors.New("not now")
	r.expect(t, reloadRejected, "not now")
	r.refuse = nil
	r.expect(t, reloadApplied, "configuration applied")
}

// TestReloadTellsWhatNeedsARestart checks that it is said once, and for as long as
// it is so.
func TestReloadTellsWhatNeedsARestart(t *testing.T) {
	r := newReloading(t)
	r.next.Log.Format = "json"
	r.expect(t, reloadUnchanged, "keys=log.format", "configuration unchanged")
	r.expect(t, reloadUnchanged, "configuration unchanged") // said once

	r.next.Gateway.Name, r.next.Gateway.Poll.Wait, r.restart = "gw-2", time.Second, []string{"name", "poll"}
	r.expect(t, reloadUnchanged, `keys="name, poll, log.format"`, "configuration unchanged")
	r.next.Gateway.Limits.KeptPushes++
	r.expect(t, reloadApplied, "configuration applied")

	r.next.Gateway.Name, r.next.Gateway.Poll.Wait, r.next.Log.Format, r.restart = "gw-1", 15*time.Second, "text", nil
	r.expect(t, reloadUnchanged, "configuration unchanged") // as it was, and as it runs
	r.next.Log.Format = "json"
	r.expect(t, reloadUnchanged, "keys=log.format", "configuration unchanged")
}

// TestFileWatch checks what counts as a change, and when.
func TestFileWatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.yaml")
	writeText(t, path, "a")
	w := watchFile(path)
	looks := func(what string, want ...bool) {
		t.Helper()
		for i, want := range want {
			if got := w.changed(); got != want {
				t.Errorf("%s: look %d = %v, want %v", what, i+1, got, want)
			}
		}
	}
	looks("nothing happened", false, false)
	writeText(t, path, "ab")
	looks("written", false, true, false)
	writeText(t, path, "abc")
	looks("being written", false)
	writeText(t, path, "abcd")
	looks("still being written", false, true, false)

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	looks("gone", false, false)
	writeText(t, path+".new", "abcd")
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	looks("another in its place", false, true, false)
}
