package testenv

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	consulBinary  = "HOLDFAST_TEST_CONSUL_BIN"
	consulAddress = "HOLDFAST_TEST_CONSUL"
	// consulPatience bounds the wait for a leader: two seconds on an idle machine,
	// many times that beside the race detector on a busy one.
	consulPatience = 90 * time.Second
)

// ConsulOptions differ from a Consul that asks nobody who they are.
type ConsulOptions struct {
	HCL   string // more configuration
	HTTPS bool   // serve TLS too; HCL names the certificates
	Token string // with ACLs switched on by HCL: what may read the catalog
}

// Consul is a Consul server of a test's own. Its methods fail the test when they
// cannot do what they say; they are called from the test's goroutine.
type Consul struct {
	Addr string // host:port of its HTTP API
	TLS  string // host:port of its HTTPS API, when asked for

	t      testing.TB
	opts   ConsulOptions
	data   string
	args   []string
	server *server // nil while it does not run, and where it is not ours
}

// StartConsul starts a Consul and waits until it has a leader. Without the means
// to, it skips the test.
func StartConsul(t testing.TB, opts ConsulOptions) *Consul {
	t.Helper()
	if addr := os.Getenv(consulAddress); addr != "" {
		if opts != (ConsulOptions{}) {
			t.Skipf("needs a Consul with a configuration of its own: give %s instead of %s", consulBinary, consulAddress)
		}
		return &Consul{t: t, Addr: addr}
	}
	binary := os.Getenv(consulBinary)
	if binary == "" {
		t.Skipf("needs Consul: `make consul` builds it; give its path as %s, or the address of one that runs as %s", consulBinary, consulAddress)
	}
	ports := freePorts(t, 4)
	local := func(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }
	c := &Consul{t: t, opts: opts, Addr: local(ports[0]), data: filepath.Join(t.TempDir(), "consul")}
	https := -1
	if opts.HTTPS {
		https, c.TLS = ports[3], local(ports[3])
	}
	c.args = []string{
		binary, "agent", "-server", "-bootstrap-expect=1", "-bind=127.0.0.1", "-client=127.0.0.1", "-node=test",
		"-data-dir=" + c.data, "-http-port=" + strconv.Itoa(ports[0]), "-serf-lan-port=" + strconv.Itoa(ports[1]),
		"-server-port=" + strconv.Itoa(ports[2]), "-https-port=" + strconv.Itoa(https),
		"-dns-port=-1", "-serf-wan-port=-1", "-grpc-port=-1", "-grpc-tls-port=-1", "-log-level=warn",
		"-hcl", "disable_update_check = true\nperformance { raft_multiplier = 1 }\n" + opts.HCL,
	}
	t.Cleanup(func() {
		if c.server != nil {
			c.server.kill()
		}
	})
	c.Start()
	return c
}

// Start starts it again after Stop or Kill, with what it knew.
func (c *Consul) Start() {
	c.t.Helper()
	c.Launch()
	c.AwaitLeader()
}

// Launch is Start that does not wait until it answers.
func (c *Consul) Launch() {
	c.t.Helper()
	c.MustBeOurs()
	if c.server != nil {
		c.t.Fatal("testenv: this Consul runs already")
	}
	s, err := startServer(c.args)
	if err != nil {
		c.t.Fatalf("start Consul: %v", err)
	}
	c.server = s
}

// Stop lets it shut down in order.
func (c *Consul) Stop() { c.end((*server).stop) }

// Kill ends it at once.
func (c *Consul) Kill() { c.end((*server).kill) }

// Restart kills and starts it.
func (c *Consul) Restart() {
	c.t.Helper()
	c.Kill()
	c.Start()
}

// Wipe kills it and starts it with nothing in it.
func (c *Consul) Wipe() {
	c.t.Helper()
	c.Kill()
	c.Forget()
	c.Start()
}

// Forget empties the data folder of one that does not run.
func (c *Consul) Forget() {
	c.t.Helper()
	if err := os.RemoveAll(c.data); err != nil {
		c.t.Fatalf("empty Consul: %v", err)
	}
}

// Pause freezes it, so that it takes connections but answers nothing.
func (c *Consul) Pause() { c.signal((*server).pause) }

// Resume thaws it.
func (c *Consul) Resume() { c.signal((*server).resume) }

// AwaitLeader waits until it answers and has registered itself, as sessions need.
func (c *Consul) AwaitLeader() {
	c.t.Helper()
	deadline := time.Now().Add(consulPatience)
	for err := c.probe(); err != nil; err = c.probe() {
		if ended := c.server.err(); ended != nil {
			c.t.Fatalf("Consul: %v", ended)
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("Consul is not ready after %v: %v%s", consulPatience, err, c.server.output)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (c *Consul) probe() error {
	req, err := http.NewRequest(http.MethodGet, "http://"+c.Addr+"/v1/health/node/test", nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-Consul-Token", c.opts.Token)
	body, err := get(req)
	if err != nil {
		return err
	}
	if !strings.Contains(body, `"serfHealth"`) {
		return fmt.Errorf("it has not registered itself")
	}
	return nil
}

func (c *Consul) end(how func(*server)) {
	c.t.Helper()
	c.MustBeOurs()
	if c.server == nil {
		c.t.Fatal("testenv: this Consul does not run")
	}
	how(c.server)
	c.server = nil
}

func (c *Consul) signal(how func(*server) error) {
	c.t.Helper()
	c.MustBeOurs()
	if err := how(c.server); err != nil {
		c.t.Fatalf("signal Consul: %v", err)
	}
}

// MustBeOurs skips a test that stops or empties Consul, when it did not start it.
func (c *Consul) MustBeOurs() {
	c.t.Helper()
	if c.args == nil {
		c.t.Skipf("stops and empties Consul, so it leaves the one of %s alone: give %s instead", consulAddress, consulBinary)
	}
}
