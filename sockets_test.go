package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSocketsHaveOneOwner(t *testing.T) {
	data := t.TempDir()
	left := filepath.Join(data, "run", "echo.sock")
	if err := os.Mkdir(filepath.Dir(left), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	first, err := newSockets(data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("what a killed process left is still there: %v", err)
	}
	if got, want := first.address("echo"), "unix:"+left; got != want {
		t.Errorf("address = %s, want %s", got, want)
	}
	if _, err := newSockets(data); err == nil || !strings.Contains(err.Error(), "in use by another") {
		t.Errorf("a second owner: %v, want a refusal", err)
	}
	endPart(t, first.part())
	second, err := newSockets(data)
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	endPart(t, second.part())
	if _, err := os.Stat(filepath.Dir(left)); !os.IsNotExist(err) {
		t.Errorf("the folder outlives its owner: %v", err)
	}
}

// TestLongDataFolder checks that a path which no socket can have falls back to a
// temporary folder.
func TestLongDataFolder(t *testing.T) {
	data := filepath.Join(t.TempDir(), strings.Repeat("x", 100))
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := newSockets(data)
	if err != nil {
		t.Fatal(err)
	}
	defer endPart(t, s.part())
	if path := strings.TrimPrefix(s.address("gateway"), "unix:"); len(path) > socketPathMax || strings.HasPrefix(path, data) {
		t.Errorf("address = %s, want a short path elsewhere", path)
	}
}

// endPart runs a part with a context that is done.
func endPart(t *testing.T, p part) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.run(ctx); err != nil {
		t.Errorf("%s: %v", p.name, err)
	}
}
