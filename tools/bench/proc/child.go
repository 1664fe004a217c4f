package proc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// startTime bounds the wait for a server to say that it listens. A cold
	// start on a busy machine takes a second.
	startTime = 20 * time.Second
	// stopTime is what a server gets between SIGTERM and SIGKILL.
	stopTime = 8 * time.Second
	// readyPrefix begins the line by which a bare server tells its address.
	readyPrefix = "listening "
	// outputBytesMax is how much of the end of a server's output is kept for
	// an error message.
	outputBytesMax = 4 << 10
)

// Child is a server process that a benchmark has started. Stop it.
type Child struct {
	PID int
	// Addr is what the server said it listens on; empty for a Spawn.
	Addr string

	cmd    *exec.Cmd
	stdin  io.Closer
	output *tail
	ended  chan struct{} // closed when the process is gone; err is valid then
	err    error
}

// Announce tells the parent where a bare server listens. StartBare waits for
// it.
func Announce(w io.Writer, addr string) error {
	_, err := fmt.Fprintf(w, "%s%s\n", readyPrefix, addr)
	return err
}

// StartBare starts this very program again with args and waits until it has
// announced its address. The child ends when this process does: its standard
// input is a pipe that it reads to the end (see UntilParentEnds).
func StartBare(ctx context.Context, args ...string) (*Child, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pipe: %w", err)
	}
	defer r.Close()
	c, err := start(args, nil, w)
	if err != nil {
		w.Close()
		return nil, err
	}
	w.Close() // the child has its own
	if c.Addr, err = awaitAddr(ctx, r); err != nil {
		c.Stop()
		return nil, fmt.Errorf("start %s: %w%s", args, err, c.output)
	}
	return c, nil
}

// awaitAddr reads the announcement.
func awaitAddr(ctx context.Context, r *os.File) (string, error) {
	if err := r.SetReadDeadline(time.Now().Add(startTime)); err != nil {
		return "", err
	}
	stop := context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Now()) }) // ends the read below
	defer stop()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		return "", errors.Join(ctx.Err(), err)
	}
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), readyPrefix)
	if !ok {
		return "", fmt.Errorf("unexpected first line %q", line)
	}
	return addr, nil
}

// Spawn starts this very program again with args and more environment, and
// does not wait for anything.
func Spawn(env []string, args ...string) (*Child, error) { return start(args, env, nil) }

func start(args, env []string, stdout *os.File) (*Child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("own program: %w", err)
	}
	c := &Child{cmd: exec.Command(self, args...), output: &tail{}, ended: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), env...)
	c.cmd.Stderr = c.output
	c.cmd.Stdout = c.output
	if stdout != nil {
		c.cmd.Stdout = stdout
	}
	// Should this process be killed, the kernel ends the child too. (It goes by
	// the thread that started the child; Go does not end idle threads.)
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", args, err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", args, err)
	}
	c.PID = c.cmd.Process.Pid
	go func() { // ends with the process; Stop waits for it
		c.err = c.cmd.Wait()
		close(c.ended)
	}()
	return c, nil
}

// Err tells, without waiting, whether the process has ended by itself, and
// what it said last.
func (c *Child) Err() error {
	select {
	case <-c.ended:
		return fmt.Errorf("process %d ended: %v%s", c.PID, c.err, c.output)
	default:
		return nil
	}
}

// Freeze stops it where it stands; it keeps its connections and answers nothing.
func (c *Child) Freeze() error { return c.cmd.Process.Signal(syscall.SIGSTOP) }

// Thaw lets a frozen process go on.
func (c *Child) Thaw() error { return c.cmd.Process.Signal(syscall.SIGCONT) }

// Stop ends the process, by force if it does not follow in time, and waits
// until it is gone.
func (c *Child) Stop() {
	_ = c.stdin.Close()                                                   // a bare server ends by this alone
	_ = c.cmd.Process.Signal(syscall.SIGTERM)                             // fails when it has ended, which is what we want
	kill := time.AfterFunc(stopTime, func() { _ = c.cmd.Process.Kill() }) // as above
	defer kill.Stop()
	<-c.ended
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex // guards buf
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - outputBytesMax; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

// String is empty, or the text as the end of an error message.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.buf) == 0 {
		return ""
	}
	return "; its last words: " + strings.TrimSpace(string(t.buf))
}
