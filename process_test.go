package main

import (
	"bytes"
	"errors"
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

// patience bounds every wait of these tests. It is long because a loaded machine
// is slow and not because anything here takes long; a test that fails waits it out.
const patience = 90 * time.Second

// proc is a real holdfast process.
type proc struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	out    *text
	errs   *text
	exited chan struct{} // closed when code is set
	code   int           // after exited; 128 + signal when a signal ended it
}

// text collects what a process writes; it may be read meanwhile.
type text struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	more chan struct{} // gets a token after each write
}

func (x *text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.buf.Write(p)
	select {
	case x.more <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.buf.String()
}

// start starts holdfast with args and additional environment. The process is
// killed when the test ends.
func start(t *testing.T, env []string, args ...string) *proc {
	t.Helper()
	return startIn(t, t.TempDir(), env, args...)
}

// startHere is start in the folder of this package, for files of the project.
func startHere(t *testing.T, args ...string) *proc {
	t.Helper()
	return startIn(t, "", nil, args...)
}

func startIn(t *testing.T, dir string, env []string, args ...string) *proc {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &proc{t: t, cmd: exec.Command(exe, args...), exited: make(chan struct{}),
		out: &text{more: make(chan struct{}, 1)}, errs: &text{more: make(chan struct{}, 1)}}
	p.cmd.Env = append(append(os.Environ(), asBinary+"=1"), env...)
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.errs
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		err := p.cmd.Wait()
		var ee *exec.ExitError
		switch {
		case err == nil:
		case errors.As(err, &ee) && ee.Sys().(syscall.WaitStatus).Signaled():
			p.code = 128 + int(ee.Sys().(syscall.WaitStatus).Signal())
		case errors.As(err, &ee):
			p.code = ee.ExitCode()
		default:
			p.code = -1
		}
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended already
		<-p.exited
		if t.Failed() {
			t.Logf("holdfast %s\nout: %s\nerr: %s", strings.Join(args, " "), p.out, p.errs)
		}
	})
	return p
}

// holdfastProcess runs a command to its end and returns what it said.
func holdfastProcess(t *testing.T, env []string, args ...string) (code int, out, errs string) {
	t.Helper()
	p := start(t, env, args...)
	code = p.wait()
	return code, p.out.String(), p.errs.String()
}

// await returns the match of pattern in x, as soon as there is one.
func (p *proc) await(x *text, pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(patience)
	for {
		if m := re.FindStringSubmatch(x.String()); m != nil {
			return m
		}
		select {
		case <-x.more:
		case <-p.exited:
			if m := re.FindStringSubmatch(x.String()); m != nil {
				return m
			}
			p.t.Fatalf("exited with %d before %q", p.code, pattern)
		case <-deadline:
			p.t.Fatalf("no %q", pattern)
		}
	}
}

// wait returns the exit code.
func (p *proc) wait() int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.code
	case <-time.After(patience):
		p.t.Fatalf("still running after %v", patience)
		return -1
	}
}

func (p *proc) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}
