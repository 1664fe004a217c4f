package keys

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return fi.Mode().Perm()
}

func TestOpenFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	f, err := OpenFolder(path, quiet)
	if err != nil {
		t.Fatalf("OpenFolder = %v", err)
	}
	for name, want := range map[string]os.FileMode{path: 0o700, filepath.Join(path, folderKeyName): 0o600} {
		if got := mode(t, name); got != want {
			t.Errorf("mode of %s = %v, want %v", name, got, want)
		}
	}
	if entries, err := os.ReadDir(path); err != nil || len(entries) != 1 {
		t.Errorf("folder holds %v, %v, want the key only", entries, err)
	}
	signed, err := f.Sign("1001", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenFolder(path, quiet)
	if err != nil {
		t.Fatalf("OpenFolder again = %v", err)
	}
	ring, err := NewRing(DefaultPolicy(), time.Now, again.Key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := ring.Verify(signed); err != nil || c.UID != "1001" {
		t.Errorf("Verify after reopening = %+v, %v", c, err)
	}
	if f.Database() != filepath.Join(path, "im.db") {
		t.Errorf("Database = %s", f.Database())
	}
}

// TestConcurrentFirstStarts opens a new folder many times at once: one key wins.
func TestConcurrentFirstStarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	folders := make([]Folder, 8)
	var wg sync.WaitGroup
	for i := range folders {
		wg.Go(func() {
			var err error
			if folders[i], err = OpenFolder(path, quiet); err != nil {
				t.Errorf("OpenFolder = %v", err)
			}
		})
	}
	wg.Wait()
	for _, f := range folders {
		if !bytes.Equal(f.Key.verify.([]byte), folders[0].Key.verify.([]byte)) {
			t.Fatal("two starts have two keys")
		}
	}
	if entries, _ := os.ReadDir(path); len(entries) != 1 {
		t.Errorf("folder holds %v, want the key only", entries)
	}
}

func TestFolderModes(t *testing.T) {
	tests := []struct {
		name   string
		mode   os.FileMode
		holds  bool
		want   os.FileMode // 0: refused
		warned bool
	}{
		{"private", 0o700, true, 0o700, false},
		{"open and empty", 0o777, false, 0o700, false},
		{"readable and in use", 0o755, true, 0o755, true},
		{"sticky and in use", 0o777 | os.ModeSticky, true, 0o777, true},
		{"writable by all and in use", 0o777, true, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
			if tt.holds {
				if err := os.WriteFile(filepath.Join(path, "x"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			_, err := OpenFolder(path, slog.New(slog.NewTextHandler(&out, nil)))
			if (err == nil) != (tt.want != 0) {
				t.Fatalf("OpenFolder = %v", err)
			}
			if tt.want != 0 && mode(t, path) != tt.want {
				t.Errorf("mode = %v, want %v", mode(t, path), tt.want)
			}
			if strings.Contains(out.String(), "WARN") != tt.warned {
				t.Errorf("log = %q, want a warning: %v", out.String(), tt.warned)
			}
		})
	}
}

func TestKeyIsNarrowed(t *testing.T) {
	path := t.TempDir()
	if _, err := OpenFolder(path, quiet); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(path, folderKeyName)
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := OpenFolder(path, slog.New(slog.NewTextHandler(&out, nil))); err != nil {
		t.Fatalf("OpenFolder = %v", err)
	}
	if got := mode(t, key); got != 0o600 {
		t.Errorf("mode of the key = %v, want 0600", got)
	}
	if !strings.Contains(out.String(), "key file was open") {
		t.Errorf("log = %q, want a warning", out.String())
	}
}

// TestOpenFolderErrors wants one line that names the folder.
func TestOpenFolderErrors(t *testing.T) {
	plain := file(t, "x")
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, folderKeyName), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	unwritable := t.TempDir()
	if err := os.Chmod(unwritable, 0o500); err != nil {
		t.Fatal(err)
	}
	paths := []string{plain, filepath.Join(plain, "below"), broken, "/proc/none"}
	if os.Getuid() != 0 { // nothing is unwritable for root
		paths = append(paths, unwritable)
	}
	for _, path := range append(paths, "") {
		_, err := OpenFolder(path, quiet)
		if err == nil {
			t.Errorf("OpenFolder(%q) succeeded", path)
			continue
		}
		if msg := err.Error(); strings.Contains(msg, "\n") || !strings.Contains(msg, path) {
			t.Errorf("OpenFolder(%q) = %q, want one line with the folder", path, msg)
		}
	}
}
