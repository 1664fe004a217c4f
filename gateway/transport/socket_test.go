package transport

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSocketMode: a unix socket is for our own user unless the configuration says
// otherwise.
func TestSocketMode(t *testing.T) {
	for mode, want := range map[string]fs.FileMode{"": 0o600, "0660": 0o660, "666": 0o666} {
		path := filepath.Join(t.TempDir(), "edge.sock")
		cfg := ListenerConfig{Transports: []Name{TCP}, Address: "unix:" + path, SocketMode: mode}
		if err := cfg.Validate(); err != nil {
			t.Errorf("%q: Validate = %v", mode, err)
		}
		l, err := Listen(cfg, Deps{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: the socket is %v (%v), want %v", mode, info.Mode().Perm(), err, want)
		}
		l.Close()
	}
	for _, mode := range []string{"0", "0400", "rw", "1777", "0880", "-1"} {
		err := ListenerConfig{Transports: []Name{TCP}, Address: "unix:/tmp/x.sock", SocketMode: mode}.Validate()
		if err == nil || !strings.Contains(err.Error(), "socket_mode: ") {
			t.Errorf("%q: Validate = %v, want a word of socket_mode", mode, err)
		}
	}
	if err := (ListenerConfig{Transports: []Name{TCP}, Address: "127.0.0.1:0", SocketMode: "0660"}).Validate(); err == nil {
		t.Error("a mode for what is no socket is accepted")
	}
}
