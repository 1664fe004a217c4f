package store

import (
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestNextID moves the clock at will: ids of one worker only grow and keep
// naming the worker.
func TestNextID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		worker := rapid.Int64Range(0, idStep-1).Draw(t, "worker")
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		last := int64(0)
		for range rapid.IntRange(1, 50).Draw(t, "ids") {
			now = now.Add(time.Duration(rapid.Int64Range(-10_000, 10_000).Draw(t, "step")) * time.Millisecond)
			id := nextID(last, now, worker)
			if id <= last || id&(idStep-1) != worker {
				t.Fatalf("nextID(%d, %v, %d) = %d", last, now, worker, id)
			}
			last = id
		}
	})
}

func TestIDsHave19Digits(t *testing.T) {
	for _, y := range []int{2025, 2050, 2079} {
		id := idFloor(time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC), 0)
		if s := strconv.FormatInt(id, 10); len(s) != 19 || id <= 0 {
			t.Errorf("id of %d = %s, want 19 digits", y, s)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("default configuration: %v", err)
	}
	err := Config{}.Validate()
	if want := "write_queue: 0, want at least 1\nwrite_wait: 0s, want at least 1ms\nreaders: 0, want at least 1"; err == nil || err.Error() != want {
		t.Errorf("Validate of a zero configuration = %v, want %s", err, want)
	}
}
