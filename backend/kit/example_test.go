package kit_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/backend/kit/kittest"
)

const (
	minimal = "testdata/minimal/main.go"
	guide   = "../../docs/backend.md"
)

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestGuideShowsTheMinimalBackend: what the guide prints is what compiles and
// runs, and it stays small.
func TestGuideShowsTheMinimalBackend(t *testing.T) {
	code := readFile(t, minimal)
	if !strings.Contains(readFile(t, guide), "```go\n"+code+"```\n") {
		t.Errorf("%s does not contain %s word for word", guide, minimal)
	}
	if n := strings.Count(code, "\n"); n >= 40 {
		t.Errorf("%s has %d lines: a complete backend should take less than 40", minimal, n)
	}
}

// TestMinimalBackend runs the guide's backend as its reader would.
func TestMinimalBackend(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "minimal")
	if out, err := exec.Command("go", "build", "-o", binary, "./"+filepath.Dir(minimal)).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	socket := filepath.Join(dir, "votes.sock")
	cmd := exec.Command(binary, "unix:"+socket)
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() {
		_ = cmd.Process.Signal(os.Interrupt) // it may have ended: then Wait tells
		if err := <-ended; err != nil {
			t.Errorf("the backend ended with %v\n%s", err, log.String())
		}
	}()
	eventually(t, "the backend listens", func() bool {
		c, err := net.DialTimeout("unix", socket, time.Second)
		if err == nil {
			err = c.Close()
		}
		return err == nil
	})
	gw := kittest.NewGateway(t, &net.UnixAddr{Name: socket, Net: "unix"}, kittest.Options{Service: "votes"})
	s := gw.Login(t, "", kit.Device{})
	if s.UID != "user-"+s.ID {
		t.Errorf("uid = %q", s.UID)
	}
	for _, want := range []string{`{"votes":1}`, `{"votes":2}`} {
		if r := s.Request(t, "votes.cast", ""); string(r.Payload) != want {
			t.Errorf("votes.cast = %+v, want %s", r, want)
		}
	}
	if r := s.Request(t, "votes.rig", ""); r.Status != kit.Unimplemented {
		t.Errorf("votes.rig = %+v", r)
	}
}

// ExampleFail shows how a handler chooses what the client is told.
func ExampleFail() {
	handle := func(_ context.Context, p kit.Packet) ([]byte, error) {
		if len(p.Payload) == 0 {
			return nil, kit.Fail(kit.InvalidArgument, "payload: empty")
		}
		return p.Payload, nil
	}
	_, err := handle(context.Background(), kit.Packet{})
	var f *kit.Failure
	if errors.As(err, &f) {
		os.Stdout.WriteString(f.Status.String() + " " + string(f.Payload))
	}
	// Output: INVALID_ARGUMENT {"message":"payload: empty"}
}
