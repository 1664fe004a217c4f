package testenv

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// stopTime is what a server gets between SIGTERM and SIGKILL.
const stopTime = 10 * time.Second

// server is a process that this one started.
type server struct {
	cmd    *exec.Cmd
	output *tail
	ended  chan struct{} // closed when the process is gone; end is valid then
	end    error
}

func startServer(args []string) (*server, error) {
	s := &server{cmd: exec.Command(args[0], args[1:]...), output: &tail{}, ended: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	// Should the tests be killed, the kernel ends the server too. (It goes by the
	// thread that started it; Go does not end idle threads.)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { // ends with the process; stop and kill wait for it
		s.end = s.cmd.Wait()
		close(s.ended)
	}()
	return s, nil
}

// err tells why it does not run, or returns nil.
func (s *server) err() error {
	select {
	case <-s.ended:
		return fmt.Errorf("ended: %v%s", s.end, s.output)
	default:
		return nil
	}
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // fails when it has ended, which is what we want
	kill := time.AfterFunc(stopTime, func() { _ = s.cmd.Process.Kill() })
	defer kill.Stop()
	<-s.ended
}

func (s *server) kill() {
	_ = s.cmd.Process.Kill() // as above
	<-s.ended
}

// pause returns when the process stands still: the signal takes effect a little
// after it was sent, on a busy machine quite a while.
func (s *server) pause() error {
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for range 500 {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
		if err != nil {
			return err
		}
		// The state stands behind the name, which is in brackets.
		if _, state, ok := strings.Cut(string(stat), ") "); ok && strings.HasPrefix(state, "T") {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("does not stop")
}

func (s *server) resume() error { return s.cmd.Process.Signal(syscall.SIGCONT) }

// tail keeps the end of what a server writes.
type tail struct {
	mu  sync.Mutex // guards buf
	buf []byte
}

const tailBytesMax = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - tailBytesMax; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

// String is empty, or the text as the end of a message.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.buf) == 0 {
		return ""
	}
	return "; its last words: " + strings.TrimSpace(string(t.buf))
}

// FreeAddress returns host:port on loopback that nothing listens on, for a server
// that cannot pick a port by itself.
func FreeAddress(t testing.TB) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(freePorts(t, 1)[0]))
}

// freePorts returns n ports that nothing listens on, at TCP and UDP. They lie
// below those that the kernel gives to outgoing connections, so a server that is
// stopped finds its own free again.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	const low, high = 20_000, 32_000
	var ports []int
	for range 1000 {
		port := low + rand.N(high-low)
		if slices.Contains(ports, port) || !free(port) {
			continue
		}
		if ports = append(ports, port); len(ports) == n {
			return ports
		}
	}
	t.Fatal("testenv: no free ports")
	return nil
}

func free(port int) bool {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	_ = tcp.Close() // nothing was served
	udp, err := net.ListenPacket("udp", address)
	if err != nil {
		return false
	}
	_ = udp.Close() // as above
	return true
}

// probes keep no connection, so no goroutine outlives one.
var probes = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// get returns the body of a successful answer.
func get(req *http.Request) (string, error) {
	resp, err := probes.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", resp.Status, body)
	}
	return string(body), nil
}
