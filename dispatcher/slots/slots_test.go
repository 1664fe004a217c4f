package slots

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestHashIsFixed pins values that all gateways of an installation, old and new
// releases together, must agree on.
func TestHashIsFixed(t *testing.T) {
	tests := []struct {
		uid         string
		hash        uint64
		jump5, mod5 int
	}{
		{"", 0xef46db3751d8e999, 2, 1},
		{"1001", 0x996254041cb8728, 2, 3},
		{"alice", 0x73a3ea485f2e6049, 1, 4},
	}
	for _, tt := range tests {
		h := Hash(tt.uid)
		if h != tt.hash || Jump.Pick(h, 5) != tt.jump5 || Modulo.Pick(h, 5) != tt.mod5 {
			t.Errorf("%q: hash %#x, jump %d, modulo %d; want %#x, %d, %d",
				tt.uid, h, Jump.Pick(h, 5), Modulo.Pick(h, 5), tt.hash, tt.jump5, tt.mod5)
		}
	}
}

// TestJumpKnownValues holds jump to values published with other implementations
// of the paper, so that a program in another language can agree with us.
func TestJumpKnownValues(t *testing.T) {
	tests := []struct {
		hash    uint64
		n, want int
	}{{1, 1, 0}, {42, 57, 43}, {0xDEAD10CC, 1, 0}, {0xDEAD10CC, 666, 361}, {256, 1024, 520}}
	for _, tt := range tests {
		if got := Jump.Pick(tt.hash, tt.n); got != tt.want {
			t.Errorf("Jump.Pick(%#x, %d) = %d, want %d", tt.hash, tt.n, got, tt.want)
		}
	}
}

func TestPickStaysInRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.SampledFrom([]Method{Jump, Modulo}).Draw(t, "method")
		n := rapid.IntRange(1, 2000).Draw(t, "n")
		h := rapid.Uint64().Draw(t, "hash")
		if x := m.Pick(h, n); x < 0 || x >= n {
			t.Fatalf("%v.Pick(%#x, %d) = %d", m, h, n, x)
		}
	})
}

func TestNoSlots(t *testing.T) {
	for _, n := range []int{0, -1} {
		if x := Jump.Pick(7, n); x != -1 {
			t.Errorf("Jump.Pick(7, %d) = %d, want -1", n, x)
		}
	}
}

// TestJumpMovesOnlyToTheNewSlot is the property that jump hashing is chosen for.
func TestJumpMovesOnlyToTheNewSlot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 500).Draw(t, "n")
		h := rapid.Uint64().Draw(t, "hash")
		was, is := Jump.Pick(h, n), Jump.Pick(h, n+1)
		if is != was && is != n {
			t.Fatalf("hash %#x moved from slot %d to %d when slot %d was added", h, was, is, n)
		}
	})
}

// TestSpread holds the shares of the slots to 10 % of even, for 20,000 users a slot.
func TestSpread(t *testing.T) {
	const users, n = 100_000, 5
	for _, m := range []Method{Jump, Modulo} {
		var count [n]int
		for i := range users {
			count[m.Pick(Hash(fmt.Sprintf("user-%d", i)), n)]++
		}
		for x, c := range count {
			if c < users/n*9/10 || c > users/n*11/10 {
				t.Errorf("%v: slot %d has %d of %d users, want about %d", m, x, c, users, users/n)
			}
		}
	}
}

func TestMethodText(t *testing.T) {
	for _, m := range []Method{Jump, Modulo} {
		text, err := m.MarshalText()
		var back Method
		if err != nil || back.UnmarshalText(text) != nil || back != m {
			t.Errorf("%v does not survive its text %q (%v)", m, text, err)
		}
	}
	var m Method
	if err := m.UnmarshalText([]byte("ketama")); err == nil {
		t.Error("UnmarshalText(ketama) = nil, want an error")
	}
	if _, err := Method(9).MarshalText(); err == nil {
		t.Error("Method(9).MarshalText() = nil, want an error")
	}
}

func TestPickDoesNotAllocate(t *testing.T) {
	uid := "some-user"
	slot := 0
	if n := testing.AllocsPerRun(100, func() { slot += Jump.Pick(Hash(uid), 1000) }); n != 0 {
		t.Errorf("a pick allocates %v times, want 0", n)
	}
}

func BenchmarkPick(b *testing.B) {
	b.ReportAllocs()
	uid := "user-1234567"
	slot := 0
	for b.Loop() {
		slot += Jump.Pick(Hash(uid), 100)
	}
}
