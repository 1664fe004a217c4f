package faults

import (
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/tools/testenv"
)

const patience = testenv.Patience

// built is the binary that the tests of this process share.
var built = testenv.Binary{Package: "../.."}

func holdfast(t *testing.T) string { return built.Path(t) }

type proc = testenv.Process

// start starts a process; attr may be nil.
func start(t *testing.T, name string, attr *syscall.SysProcAttr, env []string, path string, args ...string) *proc {
	t.Helper()
	return testenv.StartProcess(t, name, attr, env, path, args...)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	testenv.Eventually(t, what, ok)
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

// admin is the HTTP client of admin addresses. It keeps no connection, so that no
// goroutine outlives a call.
var admin = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
