package faults

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/tools/faults/check"
)

// The service under test and its commands: recRun goes by a route on which nothing
// may run twice, idemRun by an idempotent one.
const (
	service = "rec"
	recRun  = "rec.run"
	idemRun = "idem.run"
)

// requestTimeout is the gateway's default bound on any answer.
const requestTimeout = 10 * time.Second

// options say what a deployment is.
type options struct {
	instances int  // 0: 5
	bare      bool // instances without the kit
	// dispatcher is more of the gateway's configuration, indented by two.
	dispatcher string
	// service is more of the service's configuration, indented by six.
	service string
}

// deployment is a gateway and instances of one service as processes, on loopback.
type deployment struct {
	t               *testing.T
	folder          string
	gateway         *proc
	endpoint, admin string
	instances       []*instance
}

// instance is one process of the service and its record.
type instance struct {
	*proc
	t        *testing.T
	settings recorderSettings
	address  string // where the gateway finds it
}

// deploy starts everything and returns when the gateway has heard from all
// instances.
func deploy(t *testing.T, o options) *deployment {
	t.Helper()
	if o.instances == 0 {
		o.instances = 5
	}
	d := &deployment{t: t, folder: t.TempDir()}
	for i := range o.instances {
		id := service + "-" + strconv.Itoa(i)
		address := "127.0.0.1:" + freePort(t)
		inst := &instance{t: t, address: address, settings: recorderSettings{
			ID: id, Listen: address, Journal: filepath.Join(d.folder, id+".journal"), Bare: o.bare,
		}}
		inst.start(nil)
		d.instances = append(d.instances, inst)
	}
	for _, i := range d.instances {
		i.Await(`msg=serving`)
	}
	d.startGateway(o, "127.0.0.1:0")
	return d
}

// start starts the process, or starts it again.
func (i *instance) start(attr *syscall.SysProcAttr) {
	i.t.Helper()
	text, err := json.Marshal(i.settings)
	if err != nil {
		i.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		i.t.Fatal(err)
	}
	i.proc = start(i.t, i.settings.ID, attr, []string{recorderEnv + "=" + string(text)}, self)
}

// obey makes the instance behave as a line says, and returns when it does.
func (i *instance) obey(line string) {
	i.t.Helper()
	i.Tell(line)
	i.Await(`(?m)^obeys: ` + line + `$`)
}

// startGateway starts the gateway, which serves Gateway at rpc.
func (d *deployment) startGateway(o options, rpc string) {
	d.t.Helper()
	var list strings.Builder
	for i, inst := range d.instances {
		fmt.Fprintf(&list, "        - {id: %s, slot: %d, address: %s}\n", inst.settings.ID, i, inst.address)
	}
	config := filepath.Join(d.folder, "gateway.yaml")
	text := fmt.Sprintf(`name: faults
listeners: [{transports: [tcp], address: 127.0.0.1:0}]
rpc: {listen: %q}
drain: {window: 1s, deregister_delay: 0s}
# Hundreds of users from one address, who log in at once: these tests are about backends.
admission:
  connections_per_address: {max: 0}
  connections_per_user: {max: 0}
  accepts: {per_second: 0, burst: 0}
  accepts_per_address: {per_second: 0, burst: 0}
  handshakes: {per_second: 0, burst: 0}
  handshakes_per_address: {per_second: 0, burst: 0}
  session_requests: {per_second: 0, burst: 0}
  session_bytes: {per_second: 0, burst: 0}
admin: {listen: 127.0.0.1:0}
dispatcher:
  services:
    - name: %s
%s      instances:
%s  routes:
    - {prefix: rec., service: %s}
    - {prefix: idem., service: %s, idempotent: true}
  login: {service: %s}
%s`, rpc, service, o.service, &list, service, service, service, o.dispatcher)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	d.gateway = start(d.t, "gateway", nil, nil, holdfast(d.t), "gateway", "--config", config)
	d.endpoint = d.gateway.Await(`(?m)msg=listening .* address=(\S+)$`)[1]
	d.admin = d.gateway.Await(`(?m)msg="admin server listens" address=(\S+)$`)[1]
	eventually(d.t, "all instances answer", func() bool {
		return strings.Count(d.gateway.Out.String(), `msg="instance answers"`) >= len(d.instances)
	})
}

// ids are the instances but some.
func (d *deployment) ids(without ...int) []string {
	var ids []string
next:
	for n, i := range d.instances {
		for _, w := range without {
			if n == w {
				continue next
			}
		}
		ids = append(ids, i.settings.ID)
	}
	return ids
}

// record is what all instances have noted: runs, and arrivals at bare ones.
type record struct {
	runs     []check.Run
	arrivals int
}

// record reads all journals.
func (d *deployment) record() record {
	d.t.Helper()
	var all record
	for _, i := range d.instances {
		text, err := os.ReadFile(i.settings.Journal)
		if err != nil {
			d.t.Fatal(err)
		}
		if err := all.read(i.settings.ID, string(text)); err != nil {
			d.t.Fatalf("journal of %s: %v", i.settings.ID, err)
		}
	}
	return all
}

// read adds one journal.
func (r *record) read(instance, text string) error {
	type attempt struct {
		check.ID
		attempt int
	}
	open := map[attempt]int{} // index in runs of what has begun
	for line := range strings.Lines(text) {
		var what byte
		var at int64
		var a attempt
		if _, err := fmt.Sscanf(line, "%c %d %d %d %d", &what, &at, &a.User, &a.Number, &a.attempt); err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
		switch what {
		case 'a':
			r.arrivals++
		case 'b':
			open[a] = len(r.runs)
			r.runs = append(r.runs, check.Run{ID: a.ID, Attempt: a.attempt, Instance: instance, Begin: time.Duration(at)})
		case 'e':
			r.runs[open[a]].End = time.Duration(at)
		}
	}
	return nil
}

// judge ends the traffic's story: what was answered against what was run.
func (d *deployment) judge(requests []check.Request, runs []check.Run) {
	d.t.Helper()
	for _, v := range check.Verify(requests, runs) {
		d.t.Error(v)
	}
}
