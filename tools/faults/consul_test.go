package faults

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/tools/faults/check"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// The promise about Consul (P15).
const (
	coldStartMost  = 5 * time.Second
	registeredMost = 10 * time.Second
)

const echoSay = "echo.say"

// registered is a gateway and echo instances that find each other by Consul.
type registered struct {
	t               *testing.T
	consul          *testenv.Consul
	folder          string
	endpoint, admin string
	instances       []*proc
}

func deployRegistered(t *testing.T) *registered {
	t.Helper()
	d := &registered{t: t, consul: testenv.StartConsul(t, testenv.ConsulOptions{}), folder: t.TempDir()}
	for n := range 5 {
		id := fmt.Sprintf("echo-%d", n)
		d.instances = append(d.instances, start(t, id, nil, nil, holdfast(t), "echo", "--admin=", "--set", "kit.listen=127.0.0.1:"+freePort(t),
			"--set", "register.kind=consul", "--set", "register.id="+id, "--set", "register.consul.address="+d.consul.Addr,
			"--set", "register.consul.folder="+filepath.Join(d.folder, id)))
	}
	eventually(t, "all instances are registered", func() bool { return d.passing() == len(d.instances) })
	_, d.endpoint, d.admin = d.gateway("gateway")
	return d
}

// gateway starts one whose last good copy is in a folder of the name. It waits
// until all instances have answered it.
func (d *registered) gateway(name string) (p *proc, endpoint, admin string) {
	d.t.Helper()
	config := filepath.Join(d.folder, name+".yaml")
	text := fmt.Sprintf(`name: %s
listeners: [{transports: [tcp], address: 127.0.0.1:0}]
rpc: {listen: 127.0.0.1:0}
admin: {listen: 127.0.0.1:0}
discovery: {kind: consul, consul: {address: %q, folder: %q}}
dispatcher:
  services: [{name: echo}]
  routes: [{prefix: echo., service: echo}]
  login: {service: echo}
`, name, d.consul.Addr, filepath.Join(d.folder, name))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	p = start(d.t, name, nil, nil, holdfast(d.t), "gateway", "--config", config)
	endpoint = p.Await(`(?m)msg=listening .* address=(\S+)$`)[1]
	admin = p.Await(`(?m)msg="admin server listens" address=(\S+)$`)[1]
	for n := range d.instances {
		p.Await(fmt.Sprintf(`msg="instance answers" .*instance=echo-%d `, n))
	}
	return p, endpoint, admin
}

// passing is how many instances Consul knows and takes for healthy.
func (d *registered) passing() int {
	resp, err := admin.Get("http://" + d.consul.Addr + "/v1/health/service/echo?passing")
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	var list []json.RawMessage
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(body, &list) != nil {
		return 0
	}
	return len(list)
}

// TestConsulAway stops, kills and empties Consul while requests flow through a
// gateway and instances that live by it, and starts a gateway without it. Not one
// request fails.
func TestConsulAway(t *testing.T) {
	const users, rate = 200, 500
	away := 3 * time.Second
	if testenv.Soak() {
		away = 90 * time.Second // longer than slots and registrations are held for
	}
	d := deployRegistered(t)
	early, _, _ := d.gateway("second") // leaves a last good copy for the cold start
	early.Signal(syscall.SIGTERM)
	<-early.Exited
	f := connect(t, d.endpoint, users)
	stop := f.background(rate, echoSay)
	time.Sleep(time.Second)

	for _, end := range []func(){d.consul.Stop, d.consul.Kill} {
		end()
		time.Sleep(away)
		d.consul.Start()
		time.Sleep(time.Second)
	}
	d.consul.Pause()
	time.Sleep(away)
	d.consul.Resume()

	d.consul.Kill()
	begun := time.Now()
	cold, endpoint, _ := d.gateway("second")
	coldStart := time.Since(begun)
	g := connect(t, endpoint, 5)
	g.load(100, time.Second, echoSay)
	if share, sent := check.Success(g.requests(), check.Span{To: 1 << 62}); share != 1 || sent == 0 {
		t.Errorf("a gateway started without Consul answers %v of %d requests, want all", share, sent)
	}
	cold.Kill()

	d.consul.Forget()
	d.consul.Start()
	begun = time.Now()
	eventually(t, "all instances are registered again", func() bool { return d.passing() == len(d.instances) })
	again := time.Since(begun)
	time.Sleep(3 * time.Second) // in which the gateway sees an empty, a partial and a whole list
	stop()

	whole := check.Span{To: 1 << 62}
	requests := f.requests()
	share, sent := check.Success(requests, whole)
	testenv.Figure(t, "P15", "Consul stopped, killed and frozen for %v each, then emptied: %d requests, success %.5f, p99 %v; cold start without Consul %v; registered again in the emptied one after %v",
		away, sent, share, check.Latency(requests, whole, 99).Round(10*time.Microsecond), coldStart.Round(time.Millisecond), again.Round(time.Millisecond))
	if failed := check.Failures(requests, whole); len(failed) > 0 || sent == 0 {
		t.Errorf("%d requests failed, want 0: %v", sent-int(share*float64(sent)+0.5), failed)
	}
	if coldStart > coldStartMost {
		t.Errorf("a start without Consul took %v, want at most %v", coldStart, coldStartMost)
	}
	if again > registeredMost {
		t.Errorf("registrations returned after %v, want at most %v", again, registeredMost)
	}
}
