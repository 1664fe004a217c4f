package endpoint

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func mustListen(t *testing.T, setting string) *Listener {
	t.Helper()
	ln, err := Listen(setting)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func TestParseListen(t *testing.T) {
	tests := []struct {
		in, network, address, err string
	}{
		{"127.0.0.1:7081", "tcp", "127.0.0.1:7081", ""},
		{"[::1]:0", "tcp", "[::1]:0", ""},
		{"0.0.0.0:7081", "tcp", "0.0.0.0:7081", ""},
		{"unix:/run/echo.sock", "unix", "/run/echo.sock", ""},
		{"", "", "", "empty"},
		{":7081", "", "", "names no host"},
		{"unix:", "", "", "without a path"},
		{"7081", "", "", "want host:port"},
		{"/run/echo.sock", "", "", "want host:port"},
	}
	for _, tt := range tests {
		network, address, err := ParseListen(tt.in)
		if network != tt.network || address != tt.address || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("ParseListen(%q) = %q, %q, %v; want %q, %q, %q", tt.in, network, address, err, tt.network, tt.address, tt.err)
		}
	}
}

func TestAddressInUse(t *testing.T) {
	for _, setting := range []string{"127.0.0.1:0", "unix:" + filepath.Join(t.TempDir(), "s")} {
		ln := mustListen(t, setting)
		again := ln.Addr().String()
		if ln.Addr().Network() == "unix" {
			again = setting
		}
		_, err := Listen(again)
		if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), ln.Addr().String()) {
			t.Errorf("Listen(%q) = %v, want address in use, with the address", again, err)
		}
		if err := ln.Release(); err != nil {
			t.Error(err)
		}
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln := mustListen(t, "unix:"+path)
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("socket mode = %v, %v; want 0600", st.Mode(), err)
	}
	if err := ln.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// TestUnixSocketOfADeadProcess: what a killed process left is replaced.
func TestUnixSocketOfADeadProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	dead, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false) // as a kill leaves it
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	if err := mustListen(t, "unix:"+path).Release(); err != nil {
		t.Error(err)
	}
}

func TestOtherFilesAreNotReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen("unix:" + path); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Listen() = %v, want address in use", err)
	}
	if b, err := os.ReadFile(path); string(b) != "precious" {
		t.Errorf("the file is %q, %v", b, err)
	}
}
