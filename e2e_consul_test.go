package main

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/tools/ctl"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// consulSet is a gateway and instances of echo that find each other in Consul.
type consulSet struct {
	t               *testing.T
	consul          *testenv.Consul
	data, file      string
	gateway         *proc
	endpoint, admin string
}

// startEcho starts an instance, which returns once it has slot.
func (s *consulSet) startEcho(id, slot string) *proc {
	s.t.Helper()
	p := s.launchEcho(id)
	p.await(p.errs, `msg="not paused any more"`)
	p.await(p.errs, `(?m)slot=`+slot+`\b`)
	return p
}

func (s *consulSet) launchEcho(id string, more ...string) *proc {
	s.t.Helper()
	return start(s.t, nil, append([]string{"echo", "--admin", "127.0.0.1:0", "--set", "kit.listen=127.0.0.1:0", "--set", "register.kind=consul",
		"--set", "register.id=" + id, "--set", "register.version=1.2.0", "--set", "register.consul.address=" + s.consul.Addr,
		"--set", "register.consul.folder=" + filepath.Join(s.data, id), "--set", "register.consul.settle=0s"}, more...)...)
}

func startConsulSet(t *testing.T) *consulSet {
	t.Helper()
	s := &consulSet{t: t, consul: testenv.StartConsul(t, testenv.ConsulOptions{}), data: t.TempDir()}
	s.file = filepath.Join(s.data, "gateway.yaml")
	s.write("{name: echo}", "{prefix: echo., service: echo}")
	s.gateway = start(t, nil, "gateway", "--config", s.file)
	s.endpoint = s.gateway.await(s.gateway.errs, `(?m)msg=listening .* address=(\S+)$`)[1]
	s.admin = s.gateway.await(s.gateway.errs, `(?m)msg="admin server listens" address=(\S+)$`)[1]
	return s
}

// write writes the gateway's file.
func (s *consulSet) write(services, routes string) {
	s.t.Helper()
	writeText(s.t, s.file, `
listeners: [{transports: [tcp], address: "127.0.0.1:0"}]
rpc: {listen: "127.0.0.1:0"}
drain: {window: 0s}
admin: {listen: "127.0.0.1:0"}
discovery:
  kind: consul
  consul: {address: "`+s.consul.Addr+`", folder: "`+filepath.Join(s.data, "gateway")+`"}
dispatcher:
  services: [`+services+`]
  routes: [`+routes+`]
  login: {service: echo}
`)
}

// say sends one request and returns its status and payload.
func (c *rawClient) say(id uint32, command, payload string) (wire.Status, string) {
	c.t.Helper()
	c.send(&wire.Frame{Type: wire.TypeRequest, ID: id, Command: []byte(command), Payload: []byte(payload)})
	f := c.next()
	if f.Type != wire.TypeReply || f.ID != id {
		c.t.Fatalf("got %v %d, want the reply to %d", f.Type, f.ID, id)
	}
	return f.Status, string(f.Payload)
}

// slots asks `holdfast ctl slots`.
func (s *consulSet) slots() ctl.SlotList {
	s.t.Helper()
	code, out, errs := holdfast(s.t, "ctl", "--json", "slots", "--consul", s.consul.Addr, "--service", "echo")
	var list ctl.SlotList
	if err := json.Unmarshal([]byte(out), &list); code != 0 || err != nil {
		s.t.Fatalf("ctl slots = %d, %q, %q: %v", code, out, errs, err)
	}
	return list
}

// states is what slots says, shortly: "echo-a serving, echo-b gone".
func (s *consulSet) states() string {
	var text []string
	for _, slot := range s.slots().Slots {
		text = append(text, slot.Holder+" "+slot.State)
	}
	return strings.Join(text, ", ")
}

// TestConsulDeployment: instances announce themselves and claim slots, a gateway
// finds them, one that stops leaves its slot vacant, and retire takes it away. A
// wiped Consul changes nothing for those that serve.
func TestConsulDeployment(t *testing.T) {
	s := startConsulSet(t)
	first := s.startEcho("echo-a", "0")
	second := s.startEcho("echo-b", "1")
	s.gateway.await(s.gateway.errs, `(?s)msg="instance answers".*msg="instance answers"`)

	c := connect(t, s.endpoint, "1001")
	if status, payload := c.say(1, "echo.say", `"hello"`); status != 0 || payload != `"hello"` {
		t.Fatalf("echo.say = %v %s", status, payload)
	}
	if got := s.states(); got != "echo-a serving, echo-b serving" {
		t.Errorf("slots: %s", got)
	}
	retire := func(slot string) (int, string, string) {
		return holdfast(t, "ctl", "slots", "retire", "--consul", s.consul.Addr, "--service", "echo", slot)
	}
	if code, out, errs := retire("1"); code != 1 || out != "" || !regexp.MustCompile(`^holdfast: .*held by echo-b\n$`).MatchString(errs) {
		t.Errorf("retire of a slot that is held = %d, %q, %q, want 1 and one line", code, out, errs)
	}
	if code, _, errs := retire("0"); code != 1 || !strings.Contains(errs, "only the top slot can be retired, which is 1") {
		t.Errorf("retire of slot 0 = %d, %q", code, errs)
	}

	second.signal(syscall.SIGTERM)
	if code := second.wait(); code != 0 {
		t.Errorf("echo-b exits with %d after SIGTERM", code)
	}
	if got := s.states(); got != "echo-a serving, echo-b gone" {
		t.Errorf("slots after echo-b left: %s", got)
	}
	_, table, _ := holdfast(t, "ctl", "slots", "--consul", s.consul.Addr, "--service", "echo")
	t.Logf("$ holdfast ctl slots --service echo\n%s", table) // as docs/dispatcher.md shows it
	if !regexp.MustCompile(`(?m)^1 +gone +echo-b +\S+ +\d+s$`).MatchString(table) {
		t.Errorf("ctl slots writes %q, want slot 1 gone", table)
	}
	if code, out, errs := retire("1"); code != 0 || out != "slot 1 of echo is retired: n = 1\n" {
		t.Errorf("retire = %d, %q, %q", code, out, errs)
	}
	awaitMetric(t, s.admin, `holdfast_dispatcher_slots{service="echo"} 1`)

	s.consul.Wipe()
	first.await(first.errs, `msg="Consul has lost the registration"`)
	if status, payload := c.say(2, "echo.say", `"still here"`); status != 0 || payload != `"still here"` {
		t.Errorf("after Consul was wiped: %v %s", status, payload)
	}
}

// TestWaitingForASlot: an instance whose configuration gives it a slot that another
// holds is not ready, refuses what comes, and takes over when that one stops.
func TestWaitingForASlot(t *testing.T) {
	s := startConsulSet(t)
	first := s.startEcho("echo-a", "0")
	second := s.launchEcho("echo-b", "--set", "register.slot=0")
	admin := second.await(second.errs, `(?m)msg="admin server listens" address=(\S+)$`)[1]
	second.await(second.errs, `msg="waiting for a slot"`)
	awaitAdmin(t, admin, "/readyz", func(status int, body string) bool {
		return status == http.StatusServiceUnavailable && strings.Contains(body, `{"part":"registration","reason":"waits for a slot of echo"}`)
	}, "that it waits")
	first.signal(syscall.SIGTERM)
	awaitAdmin(t, admin, "/readyz", func(status int, _ string) bool { return status == http.StatusOK }, "that it is ready")
	if got := s.states(); got != "echo-b serving" {
		t.Errorf("slots: %s, want the second instance in the slot", got)
	}
}

// TestTwoOfOneName: the instance that was there first stops, and says why.
func TestTwoOfOneName(t *testing.T) {
	s := startConsulSet(t)
	first := s.startEcho("echo-a", "0")
	s.startEcho("echo-a", "0")
	if code := first.wait(); code != exitFailure {
		t.Errorf("the first exits with %d, want %d", code, exitFailure)
	}
	first.await(first.errs, `(?m)^holdfast: registration: discovery: another process has taken over this instance's id$`)
	if got := s.states(); got != "echo-a serving" {
		t.Errorf("slots: %s, want the second in the slot", got)
	}
}

// TestReloadWithConsul: a service that a running gateway learns of by its file is
// looked for in Consul from then on.
func TestReloadWithConsul(t *testing.T) {
	s := startConsulSet(t)
	s.startEcho("echo-a", "0")
	s.launchEcho("other-a", "--set", "kit.service=other")
	s.gateway.await(s.gateway.errs, `msg="instance answers"`)
	c := connect(t, s.endpoint, "1001")
	if status, _ := c.say(1, "other.x", "1"); status != wire.StatusUnimplemented {
		t.Fatalf("a command without a route = %v", status)
	}
	s.write("{name: echo}, {name: other}", "{prefix: echo., service: echo}, {prefix: other., service: other}")
	s.gateway.signal(syscall.SIGHUP)
	s.gateway.await(s.gateway.errs, `msg="instance answers" component=dispatcher service=other instance=other-a`)
	code, out, errs := holdfast(t, "ctl", "--admin", s.admin, "route", "1001", "other.x")
	if code != 0 || !strings.Contains(out, "goes to other-a\n") {
		t.Errorf("ctl route = %d, %q, %q, want the new service's instance", code, out, errs)
	}
}
