package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// BinaryEnv names a holdfast binary; without it one is b.
const BinaryEnv = "HOLDFAST_TEST_BIN"

// Binary builds the program once for all tests of a process.
type Binary struct {
	// Package is the folder of package main, as the tests see it.
	Package string

	once   sync.Once
	folder string
	path   string
	err    error
}

// Path returns the path of the binary, and builds it the first time. It is
// built without the race detector: the figures are about what users run, and the
// packages' own tests look for races.
func (b *Binary) Path(t testing.TB) string {
	t.Helper()
	b.once.Do(func() {
		if b.path = os.Getenv(BinaryEnv); b.path != "" {
			return
		}
		if b.folder, b.err = os.MkdirTemp("", "holdfast-test-"); b.err != nil {
			return
		}
		b.path = filepath.Join(b.folder, "holdfast")
		if out, err := exec.Command("go", "build", "-o", b.path, b.Package).CombinedOutput(); err != nil {
			b.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if b.err != nil {
		t.Fatal(b.err)
	}
	return b.path
}

// Remove removes what was built.
func (b *Binary) Remove() {
	if b.folder != "" {
		_ = os.RemoveAll(b.folder) // of no use any more either way
	}
}
