package gateway

import (
	"fmt"
	"testing"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// TestFarewellsAreBounded: the newest are remembered, the oldest forgotten, and
// nobody learns anything with another's secret.
func TestFarewellsAreBounded(t *testing.T) {
	var f farewells
	const extra = 10
	for i := range farewellsMax + extra {
		f.add(fmt.Sprint("s", i), farewell{fmt.Sprint("secret", i), wire.CloseKicked})
	}
	if len(f.by) != farewellsMax || len(f.order) != farewellsMax {
		t.Errorf("%d and %d are remembered, want %d", len(f.by), len(f.order), farewellsMax)
	}
	for i, want := range map[int]bool{0: false, extra - 1: false, extra: true, farewellsMax + extra - 1: true} {
		if _, ok := f.find(fmt.Sprint("s", i), fmt.Sprint("secret", i)); ok != want {
			t.Errorf("session %d is remembered: %v, want %v", i, ok, want)
		}
	}
	if _, ok := f.find(fmt.Sprint("s", extra), "secret"); ok {
		t.Error("a wrong secret learns how a session ended")
	}
	if code := codeNamed("KICKED"); code != wire.CloseKicked {
		t.Errorf("codeNamed(KICKED) = %v", code)
	}
	if code := codeNamed("resume_ttl"); code != wire.CloseNormal {
		t.Errorf("codeNamed(resume_ttl) = %v", code)
	}
}
