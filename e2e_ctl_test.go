package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/dispatcher"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// echoSet is a gateway and three instances of echo that its file names.
type echoSet struct {
	t               *testing.T
	file            string
	addresses       []string
	echoes          map[string]*proc // by id
	gateway         *proc
	endpoint, admin string
}

func startEchoSet(t *testing.T) *echoSet {
	t.Helper()
	s := &echoSet{t: t, file: filepath.Join(t.TempDir(), "gateway.yaml"), echoes: map[string]*proc{}}
	for i := range 3 {
		id, address := fmt.Sprintf("echo-%d", i), freeAddress(t)
		s.addresses = append(s.addresses, address)
		s.echoes[id] = start(t, nil, "echo", "--admin=", "--set", "kit.listen="+address)
		s.echoes[id].await(s.echoes[id].errs, `(?m)msg=serving .* address=`)
	}
	s.write("", "")
	s.gateway = start(t, nil, "gateway", "--config", s.file)
	s.endpoint = s.gateway.await(s.gateway.errs, `(?m)msg=listening .* address=(\S+)$`)[1]
	s.admin = s.gateway.await(s.gateway.errs, `(?m)msg="admin server listens" address=(\S+)$`)[1]
	s.gateway.await(s.gateway.errs, `(?s)(msg="instance answers".*){3}`)
	return s
}

// write replaces the gateway's file, as an editor would, by one with more services
// and routes.
func (s *echoSet) write(services, routes string) {
	s.t.Helper()
	text := `
listeners: [{transports: [tcp], address: "127.0.0.1:0"}]
rpc: {listen: "127.0.0.1:0"}
drain: {window: 3s}
admin: {listen: "127.0.0.1:0"}
reload: {watch: 100ms}
dispatcher:
  services:
    - name: echo
      timeout: 500ms
      instances:
`
	for i, address := range s.addresses {
		text += fmt.Sprintf("        - {id: echo-%d, slot: %d, address: %q}\n", i, i, address)
	}
	text += services + "  routes:\n    - {prefix: echo., service: echo}\n" + routes + "  login: {service: echo}\n"
	writeText(s.t, s.file+".new", text)
	if err := os.Rename(s.file+".new", s.file); err != nil {
		s.t.Fatal(err)
	}
}

// ctl runs `holdfast ctl` against the gateway.
func (s *echoSet) ctl(args ...string) (code int, out, errs string) {
	s.t.Helper()
	return holdfast(s.t, append([]string{"ctl", "--admin", s.admin}, args...)...)
}

func (s *echoSet) ctlJSON(v any, args ...string) {
	s.t.Helper()
	code, out, errs := s.ctl(append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), v); code != 0 || err != nil {
		s.t.Fatalf("ctl %v = %d, %q, %q: %v", args, code, out, errs, err)
	}
}

// awaitRoute asks ctl where the user's requests go until ok.
func (s *echoSet) awaitRoute(uid, command, what string, ok func(dispatcher.Explanation) bool) dispatcher.Explanation {
	s.t.Helper()
	var e dispatcher.Explanation
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		e = dispatcher.Explanation{}
		if s.ctlJSON(&e, "route", uid, command); ok(e) {
			return e
		}
	}
	s.t.Fatalf("ctl route %s %s never showed %s: %+v", uid, command, what, e)
	return e
}

// TestCtlSeesAnOutage asks where a user goes, kills that instance, and finds the
// user at the first substitute; requests are answered there, the connection stays.
// When the instance is back, so is the user.
func TestCtlSeesAnOutage(t *testing.T) {
	s := startEchoSet(t)
	const uid = "1001"
	c := connect(t, s.endpoint, uid)
	if status, _ := c.say(1, "echo.say", `1`); status != wire.StatusOK {
		t.Fatalf("echo.say = %v", status)
	}
	before := s.awaitRoute(uid, "echo.say", "the holder", func(e dispatcher.Explanation) bool { return e.Picked != "" })
	if before.Service != "echo" || before.Slots != 3 || before.Picked != before.Holder.Instance || len(before.Substitutes) != 2 {
		t.Errorf("ctl route = %+v, want its holder picked of three, and two substitutes", before)
	}
	victim := before.Holder.Instance
	s.show("route", uid, "echo.say")

	s.echoes[victim].signal(syscall.SIGKILL)
	s.echoes[victim].wait()
	id := uint32(2)
	for deadline := time.Now().Add(patience); ; id++ { // what it had may be unknown; what comes then is answered
		status, _ := c.say(id, "echo.say", `2`)
		if status == wire.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("echo.say = %v though two instances live", status)
		}
	}
	during := s.awaitRoute(uid, "echo.say", "a substitute", func(e dispatcher.Explanation) bool { return e.Picked != "" && e.Picked != victim })
	if during.Slot != before.Slot || during.Slots != 3 {
		t.Errorf("the slot moved: %+v, before %+v", during, before)
	}
	if during.Picked != before.Substitutes[0].Instance || during.Holder.Usable {
		t.Errorf("picked %s of %+v, want the first substitute of before: %+v", during.Picked, during, before.Substitutes)
	}
	s.show("route", uid, "echo.say")
	s.show("instances")

	s.echoes[victim] = start(t, nil, "echo", "--admin=", "--set", "kit.listen="+during.Holder.Address)
	s.awaitRoute(uid, "echo.say", "the holder again", func(e dispatcher.Explanation) bool { return e.Picked == victim })
	if status, _ := c.say(id+1, "echo.say", `3`); status != wire.StatusOK {
		t.Errorf("echo.say after the return = %v", status)
	}
	s.show("instances", "--service", "echo")
}

// show logs what a person sees, as docs/dispatcher.md does.
func (s *echoSet) show(args ...string) {
	s.t.Helper()
	code, out, errs := s.ctl(args...)
	if code != 0 || out == "" || errs != "" {
		s.t.Errorf("ctl %v = %d, %q, %q", args, code, out, errs)
	}
	s.t.Logf("$ holdfast ctl %s\n%s", strings.Join(args, " "), out)
}

// TestCtlInstances checks that every instance is listed with what traffic did.
func TestCtlInstances(t *testing.T) {
	s := startEchoSet(t)
	c := connect(t, s.endpoint, "1001")
	for id := range uint32(50) {
		c.say(id+1, "echo.say", `1`)
	}
	var list []dispatcher.InstanceView
	s.ctlJSON(&list, "instances")
	var rate float64
	for i, v := range list {
		if want := fmt.Sprintf("echo-%d", i); v.ID != want || v.Slot != i || !v.Up || v.Address != s.addresses[i] {
			t.Errorf("instance %d = %+v, want %s in its slot, up", i, v, want)
		}
		rate += v.PerSecond
	}
	if len(list) != 3 || rate == 0 {
		t.Errorf("%d instances with %v requests a second, want 3 and more than 0", len(list), rate)
	}
	var none []dispatcher.InstanceView
	if s.ctlJSON(&none, "instances", "--service", "nosuch"); len(none) != 0 {
		t.Errorf("instances of no service: %v", none)
	}
}

// TestReloadWhileRunning: a file with a mistake changes nothing and says why; a
// right one takes effect by itself and at SIGHUP, and connections stay.
func TestReloadWhileRunning(t *testing.T) {
	s := startEchoSet(t)
	c := connect(t, s.endpoint, "1001")
	other := freeAddress(t)
	start(t, nil, "echo", "--admin=", "--set", "kit.listen="+other, "--set", "kit.service=other")
	service := fmt.Sprintf("    - {name: other, instances: [{id: other-0, address: %q}]}\n", other)
	route := "    - {prefix: echo.fail, service: other}\n"

	s.write("", route) // a route without its service
	s.gateway.await(s.gateway.errs, `configuration rejected.*dispatcher\.routes\[1\]\.service: .*other.* is not one of the services`)
	awaitMetric(t, s.admin, "holdfast_config_last_reload_good 0")
	awaitMetric(t, s.admin, `holdfast_config_reloads_total{result="rejected"} 1`)
	if status, _ := c.say(1, "echo.say", `1`); status != wire.StatusOK {
		t.Errorf("echo.say after a bad file = %v", status)
	}

	s.write(service, route)
	s.awaitRoute("1001", "echo.fail", "the new service", func(e dispatcher.Explanation) bool { return e.Service == "other" && e.Picked == "other-0" })
	awaitMetric(t, s.admin, "holdfast_config_last_reload_good 1")
	if status, _ := c.say(2, "echo.fail", `{"status":5}`); status != wire.StatusNotFound {
		t.Errorf("echo.fail by the new route = %v, want what the backend answers", status)
	}

	s.write(service, route+"    - {prefix: echo.push, service: other}\n")
	s.gateway.signal(syscall.SIGHUP)
	s.awaitRoute("1001", "echo.push", "the newest route", func(e dispatcher.Explanation) bool { return e.Service == "other" })

	s.write("", "") // and away with it
	s.awaitRoute("1001", "echo.fail", "the first service again", func(e dispatcher.Explanation) bool { return e.Service == "echo" })
	if status, _ := c.say(3, "echo.fail", `{"status":5}`); status != wire.StatusNotFound {
		t.Errorf("echo.fail = %v, want what the backend answers", status)
	}
}

// TestCtlMistakes checks that each is one line and the right exit code.
func TestCtlMistakes(t *testing.T) {
	echo := start(t, nil, "echo", "--admin", "127.0.0.1:0", "--set", "kit.listen=127.0.0.1:0")
	admin := echo.await(echo.errs, `(?m)msg="admin server listens" address=(\S+)$`)[1]
	bad := filepath.Join(t.TempDir(), "gateway.yaml")
	writeText(t, bad, "discovery: {kind: dns}\n")
	tests := []struct {
		args string
		code int
		want string
	}{
		{"ctl nosuch", 2, `holdfast ctl: unknown command "nosuch"`},
		{"ctl route", 2, "holdfast ctl route: accepts between 1 and 2 arg(s), received 0"},
		{"ctl instances x", 2, `unknown command "x" for "holdfast ctl instances"`},
		{"ctl slots retire", 2, "holdfast ctl slots retire: accepts 1 arg(s), received 0"},
		{"ctl slots retire top", 2, `holdfast ctl slots retire: "top" is not the number of a slot`},
		{"ctl slots --config x.yaml", 2, "cannot tell the role of x.yaml: give --role gateway, logic or echo"},
		{"ctl slots --config gateway.nosuch.yaml", 1, "gateway.nosuch.yaml: no such file or directory"},
		{"ctl slots --config " + bad, 1, `discovery.kind: "dns", want static or consul`},
		{"ctl slots --consul nowhere", 1, "consul: address: "},
		{"ctl slots --consul 127.0.0.1:1", 1, "consul at 127.0.0.1:1: "},
		{"ctl --admin 127.0.0.1:1 instances", 1, "admin address 127.0.0.1:1: connect: connection refused"},
		{"ctl --admin " + admin + " route 1", 1, "admin address " + admin + ": has no /api/route; it is not a gateway's"},
	}
	for _, tt := range tests {
		code, out, errs := holdfast(t, strings.Fields(tt.args)...)
		if code != tt.code || out != "" || !strings.HasPrefix(errs, "holdfast: ") || !strings.Contains(errs, tt.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("holdfast %s = %d, out %q, err %q, want %d and one line with %q", tt.args, code, out, errs, tt.code, tt.want)
		}
	}
}

// TestHangupWhileDraining checks that SIGHUP does not cut a drain short.
func TestHangupWhileDraining(t *testing.T) {
	s := startEchoSet(t)
	c := connect(t, s.endpoint, "1001")
	s.gateway.signal(syscall.SIGTERM)
	s.gateway.await(s.gateway.errs, `a second signal exits at once`)
	s.gateway.signal(syscall.SIGHUP)
	for f := c.next(); f.Type != wire.TypeClose; f = c.next() {
		if f.Type != wire.TypeGoAway {
			t.Fatalf("got %v, want GOAWAY and CLOSE", f.Type)
		}
	}
	if code := s.gateway.wait(); code != 0 {
		t.Errorf("exit code %d after a drain with SIGHUP, want 0", code)
	}
}
