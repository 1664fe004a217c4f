package faults

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/tools/faults/check"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// insideEnv tells this test binary that it runs in a network namespace of its own.
const insideEnv = "HOLDFAST_TEST_IN_NAMESPACE"

// Both ends of the wire to the instance that can be cut off.
const (
	hereAddress  = "10.93.0.1"
	thereAddress = "10.93.0.2"
)

// TestNetworkCut cuts the wire to an instance under traffic: packets in both
// directions get lost without a word, and arrive late when the wire is whole again.
// What was sent before then runs in order or not at all, and nothing runs twice.
//
// It all happens in network namespaces that the test makes, which only root may.
func TestNetworkCut(t *testing.T) {
	if os.Getenv(insideEnv) == "" {
		runInNamespace(t)
		return
	}
	const users, rate = 100, 1500
	rounds := 1
	if testenv.Soak() {
		rounds = 10
	}
	ip(t, "link", "set", "lo", "up")
	d := &deployment{t: t, folder: t.TempDir()}
	for n := range 5 {
		id := service + "-" + strconv.Itoa(n)
		host, attr := "127.0.0.1", &syscall.SysProcAttr{}
		if n == 0 {
			host, attr.Cloneflags = thereAddress, syscall.CLONE_NEWNET
		}
		address := net.JoinHostPort(host, freePort(t))
		inst := &instance{t: t, address: address, settings: recorderSettings{
			ID: id, Listen: address, Journal: filepath.Join(d.folder, id+".journal"), Wait: n == 0}}
		inst.start(attr)
		d.instances = append(d.instances, inst)
	}
	far := d.instances[0]
	join(t, far.Cmd.Process.Pid)
	far.Tell("go")
	for _, i := range d.instances {
		i.Await(`msg=serving`)
	}
	d.startGateway(options{}, hereAddress+":0")
	f := connect(t, d.endpoint, users)
	stop := f.background(rate, recRun, idemRun)
	var cuts []check.Span
	for range rounds {
		time.Sleep(time.Second)
		from := clock()
		nsenter(t, far.Cmd.Process.Pid, "link", "set", "there", "down")
		time.Sleep(5 * time.Second)
		nsenter(t, far.Cmd.Process.Pid, "link", "set", "there", "up")
		cuts = append(cuts, check.Span{From: from, To: clock()})
	}
	time.Sleep(4 * time.Second)
	stop()
	requests, got := f.requests(), d.record()
	d.judge(requests, got.runs)
	for _, cut := range cuts {
		contained := check.Span{From: cut.From + containedWithin, To: cut.To}
		share, sent := check.Success(requests, contained)
		caught, _ := caughtBy(requests, cut, far.settings.ID)
		testenv.Figure(t, "P13", "cut off: %d requests were caught; from %v on success %.5f of %d", caught, containedWithin, share, sent)
		if share < successLeast {
			t.Errorf("success %v after the cut is %.5f, want at least %v: %v", containedWithin, share, successLeast, check.Failures(requests, contained))
		}
	}
}

// runInNamespace runs the calling test in a process with a network of its own.
func runInNamespace(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	for _, tool := range []string{"ip", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: %v", tool, err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), insideEnv+"=1", testenv.BinaryEnv+"="+holdfast(t))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil && len(out) == 0:
		t.Skipf("no network namespace to be had: %v", err)
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	default:
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "_test.go:") {
				t.Log(strings.TrimSpace(line))
			}
		}
	}
}

// join wires this namespace to that of a process.
func join(t *testing.T, pid int) {
	t.Helper()
	ip(t, "link", "add", "here", "type", "veth", "peer", "name", "there", "netns", strconv.Itoa(pid))
	ip(t, "addr", "add", hereAddress+"/24", "dev", "here")
	ip(t, "link", "set", "here", "up")
	nsenter(t, pid, "link", "set", "lo", "up")
	nsenter(t, pid, "addr", "add", thereAddress+"/24", "dev", "there")
	nsenter(t, pid, "link", "set", "there", "up")
}

// ip changes the network of this namespace.
func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %v: %v %s", args, err, out)
	}
}

// nsenter changes the network of a process's namespace.
func nsenter(t *testing.T, pid int, args ...string) {
	t.Helper()
	all := append([]string{"--target", strconv.Itoa(pid), "--net", "ip"}, args...)
	if out, err := exec.Command("nsenter", all...).CombinedOutput(); err != nil {
		t.Fatalf("nsenter %v: %v %s", all, err, out)
	}
}
