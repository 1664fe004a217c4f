package testenv

import (
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// haproxyPatience bounds the waits for what HAProxy does by itself.
const haproxyPatience = 60 * time.Second

// HAProxyOptions say what one HAProxy runs.
type HAProxyOptions struct {
	// Config is its configuration, without a stats socket.
	Config string
	// Replace turns texts of Config, such as the addresses of a sample, into the
	// test's. Each must occur.
	Replace map[string]string
}

// HAProxy is a balancer of a test's own.
type HAProxy struct {
	t      testing.TB
	server *server
	socket string // of its stats
}

// StartHAProxy starts a HAProxy, which ends with the test, and waits until it
// serves. Without the means to, it skips the test.
func StartHAProxy(t testing.TB, opts HAProxyOptions) *HAProxy {
	t.Helper()
	binary := HAProxyTool(t)
	config := opts.Config
	for from, to := range opts.Replace {
		if !strings.Contains(config, from) {
			t.Fatalf("testenv: the configuration of HAProxy has no %q", from)
		}
		config = strings.ReplaceAll(config, from, to)
	}
	// Not t.TempDir, whose path is too long for a socket where a test's name is.
	dir, err := os.MkdirTemp("", "haproxy")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // a leftover of a test harms nobody
	h := &HAProxy{t: t, socket: filepath.Join(dir, "stats.sock")}
	config += "\nglobal\n    stats socket " + h.socket + " mode 600 level admin\n"
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if h.server, err = startServer([]string{binary, "-db", "-f", file}); err != nil {
		t.Fatalf("start HAProxy: %v", err)
	}
	t.Cleanup(h.server.kill)
	h.await("it to serve", func() bool {
		_, err := h.ask("show info")
		return err == nil
	})
	return h
}

// Status is what HAProxy thinks of a server of a backend: "UP", "DOWN", "DRAIN",
// "no check", or with a count such as "UP 1/2" when that is about to change.
func (h *HAProxy) Status(backend, server string) string {
	h.t.Helper()
	status, err := h.stat(backend, server, "status")
	if err != nil {
		h.t.Fatalf("HAProxy: %v", err)
	}
	return status
}

// Count is a counter that HAProxy keeps of a server, by its name in `show stat`:
// econ (connections that failed), wretr (retries), stot (connections in all).
func (h *HAProxy) Count(backend, server, column string) int {
	h.t.Helper()
	text, err := h.stat(backend, server, column)
	if err != nil {
		h.t.Fatalf("HAProxy: %v", err)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		h.t.Fatalf("HAProxy: %s: %v", column, err)
	}
	return n
}

// AwaitStatus waits until HAProxy thinks so of a server.
func (h *HAProxy) AwaitStatus(backend, server, want string) {
	h.t.Helper()
	h.await(backend+"/"+server+" "+want, func() bool {
		status, err := h.stat(backend, server, "status")
		return err == nil && status == want
	})
}

func (h *HAProxy) await(what string, done func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(haproxyPatience); !done(); time.Sleep(20 * time.Millisecond) {
		if err := h.server.err(); err != nil {
			h.t.Fatalf("HAProxy: %v", err)
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("HAProxy: waited %v for %s%s", haproxyPatience, what, h.server.output)
		}
	}
}

func (h *HAProxy) stat(backend, server, name string) (string, error) {
	text, err := h.ask("show stat")
	if err != nil {
		return "", err
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "# "))).ReadAll()
	if err != nil {
		return "", err
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for _, row := range rows[1:] {
		if row[column["pxname"]] == backend && row[column["svname"]] == server {
			if at, ok := column[name]; ok {
				return row[at], nil
			}
			return "", fmt.Errorf("no column %s", name)
		}
	}
	return "", fmt.Errorf("no server %s in backend %s", server, backend)
}

// ask gives one command to the stats socket.
func (h *HAProxy) ask(command string) (string, error) {
	conn, err := net.DialTimeout("unix", h.socket, 2*time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(conn, 1<<20))
	return strings.TrimSpace(string(text)), err
}
