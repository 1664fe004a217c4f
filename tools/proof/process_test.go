package proof

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds waits for what should happen at once. It is long because a
// loaded machine is slow; only a test that fails waits it out.
const patience = 60 * time.Second

// binaryEnv names a holdfast binary; without it one is built.
const binaryEnv = "HOLDFAST_TEST_BIN"

// built is the binary that the tests of this process share.
var built executable

type executable struct {
	once   sync.Once
	folder string
	path   string
	err    error
}

// holdfast returns the path of the binary, and builds it the first time.
func holdfast(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.path = os.Getenv(binaryEnv); built.path != "" {
			return
		}
		if built.folder, built.err = os.MkdirTemp("", "holdfast-proof-"); built.err != nil {
			return
		}
		built.path = filepath.Join(built.folder, "holdfast")
		if out, err := exec.Command("go", "build", "-o", built.path, "../..").CombinedOutput(); err != nil {
			built.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

func (b *executable) remove() {
	if b.folder != "" {
		_ = os.RemoveAll(b.folder) // of no use any more either way
	}
}

// proc is a process that a test has started. It ends with the test.
type proc struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	out    *output // of both streams
	exited chan struct{}
}

func start(t *testing.T, name, path string, args ...string) *proc {
	t.Helper()
	p := &proc{t: t, name: name, cmd: exec.Command(path, args...), out: &output{more: make(chan struct{}, 1)}, exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // should the tests be killed, nothing is left behind
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() { // ends with the process, which the cleanup below awaits
		defer close(p.exited)
		_ = p.cmd.Wait() // how it ended is in the log, if anywhere
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // fails when it has ended, which is what we want
		<-p.exited
		if t.Failed() {
			t.Logf("%s said:\n%s", name, p.out.tail())
		}
	})
	return p
}

// alive fails the test when the process has ended.
func (p *proc) alive() {
	p.t.Helper()
	select {
	case <-p.exited:
		p.t.Fatalf("%s has ended: %v", p.name, p.cmd.ProcessState)
	default:
	}
}

// await returns the first n matches of pattern in what it has written.
func (p *proc) await(pattern string, n int) [][]string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(patience)
	for {
		if m := re.FindAllStringSubmatch(p.out.String(), n); len(m) == n {
			return m
		}
		select {
		case <-p.out.more:
		case <-p.exited:
			p.t.Fatalf("%s ended before it said %q", p.name, pattern)
		case <-deadline:
			p.t.Fatalf("%s has not said %q within %v", p.name, pattern, patience)
		}
	}
}

// output collects what a process writes; it may be read meanwhile.
type output struct {
	mu   sync.Mutex // guards buf
	buf  bytes.Buffer
	more chan struct{} // gets a token after each write
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(b)
	select {
	case o.more <- struct{}{}:
	default:
	}
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// tail is the end, for messages.
func (o *output) tail() string {
	const linesMax = 60
	lines := strings.Split(strings.TrimSpace(o.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-linesMax):], "\n")
}

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}
