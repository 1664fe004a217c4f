package faults

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
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
var built binary

type binary struct {
	once   sync.Once
	folder string
	path   string
	err    error
}

// holdfast returns the path of the binary, and builds it the first time. It is
// built without the race detector: the figures are about what users run, and the
// packages' own tests look for races.
func holdfast(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.path = os.Getenv(binaryEnv); built.path != "" {
			return
		}
		if built.folder, built.err = os.MkdirTemp("", "holdfast-faults-"); built.err != nil {
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

func (b *binary) remove() {
	if b.folder != "" {
		_ = os.RemoveAll(b.folder) // of no use any more either way
	}
}

// proc is a process that a test has started. It ends with the test.
type proc struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	out    *output // of both streams
	exited chan struct{}
}

// start starts a process; attr may be nil.
func start(t *testing.T, name string, attr *syscall.SysProcAttr, env []string, path string, args ...string) *proc {
	t.Helper()
	p := &proc{t: t, name: name, cmd: exec.Command(path, args...), out: &output{more: make(chan struct{}, 1)}, exited: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if attr == nil {
		attr = &syscall.SysProcAttr{}
	}
	attr.Pdeathsig = syscall.SIGKILL // should the tests be killed, nothing is left behind
	p.cmd.SysProcAttr = attr
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() { // ends with the process, which the cleanup below awaits
		defer close(p.exited)
		_ = p.cmd.Wait() // how it ended is in the log, if anywhere
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, p.out.tail())
		}
	})
	return p
}

// kill ends it at once, also when it is frozen.
func (p *proc) kill() {
	_ = p.cmd.Process.Kill() // fails when it has ended, which is what we want
	<-p.exited
}

func (p *proc) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatalf("signal %s: %v", p.name, err)
	}
}

// tell writes a line to its standard input.
func (p *proc) tell(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
		p.t.Fatalf("tell %s %q: %v", p.name, line, err)
	}
}

// await returns the match of pattern in what it has written.
func (p *proc) await(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(patience)
	for {
		if m := re.FindStringSubmatch(p.out.String()); m != nil {
			return m
		}
		select {
		case <-p.out.more:
		case <-p.exited:
			if m := re.FindStringSubmatch(p.out.String()); m != nil {
				return m
			}
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

// freePort returns a port of loopback that nobody listens on, below those that the
// kernel gives to outgoing connections: a process that is killed and started again
// finds its own free.
func freePort(t *testing.T) string {
	t.Helper()
	const low, high = 10_000, 20_000
	for range 1000 {
		port := strconv.Itoa(low + rand.N(high-low))
		if ln, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = ln.Close() // nothing was served
			return port
		}
	}
	t.Fatal("no free port")
	return ""
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

// admin is the HTTP client of admin addresses. It keeps no connection, so that no
// goroutine outlives a call.
var admin = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
