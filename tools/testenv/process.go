package testenv

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience bounds waits for what should happen at once. It is long because a
// loaded machine is slow; only a test that fails waits it out.
const Patience = 60 * time.Second

// Process is a process that a test has started. It ends with the test.
type Process struct {
	t      testing.TB
	name   string
	Cmd    *exec.Cmd
	stdin  io.WriteCloser
	Out    *Output       // of both streams
	Exited chan struct{} // closed when it has ended
}

// StartProcess starts a process; attr may be nil.
func StartProcess(t testing.TB, name string, attr *syscall.SysProcAttr, env []string, path string, args ...string) *Process {
	t.Helper()
	p := &Process{t: t, name: name, Cmd: exec.Command(path, args...), Out: &Output{more: make(chan struct{}, 1)}, Exited: make(chan struct{})}
	p.Cmd.Env = append(os.Environ(), env...)
	p.Cmd.Stdout, p.Cmd.Stderr = p.Out, p.Out
	if attr == nil {
		attr = &syscall.SysProcAttr{}
	}
	attr.Pdeathsig = syscall.SIGKILL // should the tests be killed, nothing is left behind
	p.Cmd.SysProcAttr = attr
	var err error
	if p.stdin, err = p.Cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.Cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() { // ends with the process, which the cleanup below awaits
		defer close(p.Exited)
		_ = p.Cmd.Wait() // how it ended is in the log, if anywhere
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, p.Out.Tail())
		}
	})
	return p
}

// Alive fails the test when the process has ended.
func (p *Process) Alive() {
	p.t.Helper()
	select {
	case <-p.Exited:
		p.t.Fatalf("%s has ended: %v", p.name, p.Cmd.ProcessState)
	default:
	}
}

// Kill ends it at once, also when it is frozen.
func (p *Process) Kill() {
	_ = p.Cmd.Process.Kill() // fails when it has ended, which is what we want
	<-p.Exited
}

// Signal sends it a signal, which takes effect a little later.
func (p *Process) Signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.Cmd.Process.Signal(sig); err != nil {
		p.t.Fatalf("signal %s: %v", p.name, err)
	}
}

// Tell writes a line to its standard input.
func (p *Process) Tell(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
		p.t.Fatalf("tell %s %q: %v", p.name, line, err)
	}
}

// Await returns the match of pattern in what it has written.
func (p *Process) Await(pattern string) []string { return p.AwaitAll(pattern, 1)[0] }

// AwaitAll returns the first n matches of pattern in what it has written.
func (p *Process) AwaitAll(pattern string, n int) [][]string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(Patience)
	for {
		if m := re.FindAllStringSubmatch(p.Out.String(), n); len(m) == n {
			return m
		}
		select {
		case <-p.Out.more:
		case <-p.Exited:
			if m := re.FindAllStringSubmatch(p.Out.String(), n); len(m) == n {
				return m
			}
			p.t.Fatalf("%s ended before it said %q", p.name, pattern)
		case <-deadline:
			p.t.Fatalf("%s has not said %q within %v", p.name, pattern, Patience)
		}
	}
}

// Output collects what a process writes; it may be read meanwhile.
type Output struct {
	mu   sync.Mutex // guards buf
	buf  bytes.Buffer
	more chan struct{} // gets a token after each write
}

// Write implements io.Writer.
func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(b)
	select {
	case o.more <- struct{}{}:
	default:
	}
	return len(b), nil
}

// String is all that was written.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// Tail is the end, for messages.
func (o *Output) Tail() string {
	const linesMax = 60
	lines := strings.Split(strings.TrimSpace(o.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-linesMax):], "\n")
}

// Eventually polls until ok.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, Patience)
		}
	}
}
