package discovery

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestKeptFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "kept")
	var got slotMemory
	if found, err := loadKept(path, kindSlot, &got); found || err != nil {
		t.Fatalf("loadKept without a file = %v, %v, want false", found, err)
	}
	for _, want := range []slotMemory{{3, 7}, {4, 8}} {
		if err := saveKept(path, kindSlot, want); err != nil {
			t.Fatal(err)
		}
		if found, err := loadKept(path, kindSlot, &got); !found || err != nil || got != want {
			t.Errorf("loadKept = %v, %v, %+v, want %+v", found, err, got, want)
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("the folder has %v (%v), want the file alone", entries, err)
	}
	if found, err := loadKept(path, kindLastGood, &got); found || !errors.Is(err, errCorrupt) {
		t.Errorf("loadKept as another kind = %v, %v, want errCorrupt", found, err)
	}
}

// TestKeptFileDamaged changes and cuts the file at each byte.
func TestKeptFileDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kept")
	if err := saveKept(path, kindSlot, slotMemory{3, 7}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(what string, at int, text []byte) {
		t.Helper()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		var got slotMemory
		if found, err := loadKept(path, kindSlot, &got); found || !errors.Is(err, errCorrupt) {
			t.Errorf("loadKept of a file %s at byte %d = %v, %v, want errCorrupt", what, at, found, err)
		}
	}
	for i := range whole {
		changed := append([]byte{}, whole...)
		changed[i] ^= 1
		try("changed", i, changed)
		try("cut", i, whole[:i])
	}
}
