package testenv

import (
	"fmt"
	"os"
	"testing"
)

// Figure reports what a test of a promise has measured: in the test's log, and in
// the file that HOLDFAST_TEST_FIGURES names, since `go test` shows no log of a
// test that passes. `make test` prints that file at its end. promise is the row of
// the promise, such as P13.
func Figure(t testing.TB, promise, format string, a ...any) {
	t.Helper()
	line := promise + ": " + fmt.Sprintf(format, a...)
	t.Log(line)
	path := os.Getenv("HOLDFAST_TEST_FIGURES")
	if path == "" {
		return
	}
	// Packages are tested side by side: one short write at the end of the file
	// is not torn.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		t.Errorf("HOLDFAST_TEST_FIGURES: %v", err)
		return
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%s  (%s)\n", line, t.Name()); err != nil {
		t.Errorf("HOLDFAST_TEST_FIGURES: %v", err)
	}
}
