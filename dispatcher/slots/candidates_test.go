package slots

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/holdfast-io/holdfast/tools/testenv"
)

// place is what a gateway does: the user's slot, else the first substitute that is up.
func place(hash uint64, up []bool, incarnations []int64) int {
	x := Jump.Pick(hash, len(up))
	if x < 0 || up[x] {
		return x
	}
	c := MakeCandidates(hash, x, len(up), incarnations[x])
	for slot, ok := c.Next(); ok; slot, ok = c.Next() {
		if up[slot] {
			return slot
		}
	}
	return -1
}

// TestCandidatesAreAPermutation: each other slot comes once, x never.
func TestCandidatesAreAPermutation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 1500).Draw(t, "n")
		x := rapid.IntRange(0, n-1).Draw(t, "x")
		hash, life := rapid.Uint64().Draw(t, "hash"), rapid.Int64().Draw(t, "incarnation")
		c, again := MakeCandidates(hash, x, n, life), MakeCandidates(hash, x, n, life)
		seen := make([]bool, n)
		seen[x] = true
		for range n - 1 {
			slot, ok := c.Next()
			if !ok || slot < 0 || slot >= n || seen[slot] {
				t.Fatalf("Next() = %d, %v; seen before: %v", slot, ok, ok && seen[slot])
			}
			seen[slot] = true
			if other, _ := again.Next(); other != slot {
				t.Fatalf("two gateways disagree: %d and %d", slot, other)
			}
		}
		if slot, ok := c.Next(); ok {
			t.Fatalf("after all others came %d", slot)
		}
	})
}

func TestNoCandidates(t *testing.T) {
	for _, tt := range [][2]int{{0, 0}, {0, 1}, {-1, 3}, {3, 3}} {
		c := MakeCandidates(7, tt[0], tt[1], 1)
		if slot, ok := c.Next(); ok {
			t.Errorf("slot %d of %d has substitute %d, want none", tt[0], tt[1], slot)
		}
	}
}

// TestUsersOfLiveSlotsNeverMove on any set of slots that are down (P14).
func TestUsersOfLiveSlotsNeverMove(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		up := rapid.SliceOfN(rapid.Bool(), 1, 60).Draw(t, "up")
		hash := rapid.Uint64().Draw(t, "hash")
		x, at := Jump.Pick(hash, len(up)), place(hash, up, make([]int64, len(up)))
		switch {
		case up[x] && at != x:
			t.Fatalf("user of live slot %d is at %d", x, at)
		case at >= 0 && !up[at]:
			t.Fatalf("user is at %d, which is down", at)
		}
	})
}

// TestUserKeepsItsSubstitute while others fail and come back, unless it is the
// substitute that fails (P14).
func TestUserKeepsItsSubstitute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 60).Draw(t, "n")
		hash, x := rapid.Uint64().Draw(t, "hash"), 0
		x = Jump.Pick(hash, n)
		lives := make([]int64, n)
		lives[x] = rapid.Int64().Draw(t, "incarnation")
		up := make([]bool, n)
		for i := range up {
			up[i] = i != x
		}
		sub := place(hash, up, lives)
		for i := range up {
			up[i] = i == sub || i != x && rapid.Bool().Draw(t, "up")
		}
		if now := place(hash, up, lives); now != sub {
			t.Fatalf("the substitute of slot %d was %d and is %d, though it works", x, sub, now)
		}
	})
}

// TestAddingASlotMovesFew: at most 1/n + e of the users, with and without a slot
// that is down (P14).
func TestAddingASlotMovesFew(t *testing.T) {
	const users, e = 100_000, 0.005
	for _, n := range []int{3, 5, 20, 100} {
		moved := 0
		for i := range users {
			h := Hash(fmt.Sprint("user-", i))
			if Jump.Pick(h, n) != Jump.Pick(h, n+1) {
				moved++
			}
		}
		share := float64(moved) / users
		testenv.Figure(t, "P14", "%3d -> %3d slots moves %.4f of the users; 1/n = %.4f", n, n+1, share, 1/float64(n+1))
		if share > 1/float64(n+1)+e {
			t.Errorf("%d -> %d slots moves %.4f of the users, want at most %.4f", n, n+1, share, 1/float64(n+1)+e)
		}
	}
}

// TestDeadSlotsUsersSpread holds the first and second substitutes of one dead
// slot's users to a chi-square bound, for several outages (P14).
func TestDeadSlotsUsersSpread(t *testing.T) {
	for _, n := range []int{3, 5, 12, 14, 40, 129} {
		for _, life := range []int64{0, 1, 1_700_000_000_000} {
			for _, rank := range []int{0, 1, 13} {
				if rank > n-2 {
					continue
				}
				chi, limit := spread(n, life, rank)
				if life == 0 {
					testenv.Figure(t, "P14", "n = %3d, substitute %d: chi-square %.1f, bound %.1f", n, rank+1, chi, limit)
				}
				if chi > limit {
					t.Errorf("n = %d, incarnation %d, substitute %d: chi-square %.1f, want at most %.1f", n, life, rank+1, chi, limit)
				}
			}
		}
	}
}

// spread returns chi-square of the substitutes of slot 1's users at rank, and a
// bound that a random permutation exceeds once in about 30,000 times.
func spread(n int, life int64, rank int) (chi, limit float64) {
	const each = 200
	counts := make([]int, n)
	total := 0
	for i := 0; total < each*(n-1); i++ {
		h := Hash(fmt.Sprint("user-", i))
		if n < 100 && Jump.Pick(h, n) != 1 { // with many slots finding the users takes seconds
			continue
		}
		c := MakeCandidates(h, 1, n, life)
		var slot int
		for range rank + 1 {
			slot, _ = c.Next()
		}
		counts[slot]++
		total++
	}
	for slot, c := range counts {
		if slot != 1 {
			chi += float64(c-each) * float64(c-each) / each
		}
	}
	free := float64(n - 2)
	z := 4.0 // Wilson and Hilferty's approximation
	return chi, free * math.Pow(1-2/(9*free)+z*math.Sqrt(2/(9*free)), 3)
}

// TestOutagesDiffer: the same user gets other substitutes in another outage.
func TestOutagesDiffer(t *testing.T) {
	const users, n = 10_000, 5
	same := 0
	for i := range users {
		h := Hash(fmt.Sprint("user-", i))
		a, b := MakeCandidates(h, 2, n, 1), MakeCandidates(h, 2, n, 2)
		sa, _ := a.Next()
		sb, _ := b.Next()
		if sa == sb {
			same++
		}
	}
	if same < users/4*9/10 || same > users/4*11/10 {
		t.Errorf("%d of %d users have the same substitute in two outages, want about a quarter", same, users)
	}
}

func TestCandidatesDoNotAllocate(t *testing.T) {
	for _, n := range []int{5, 1000} {
		slot := 0
		if a := testing.AllocsPerRun(100, func() {
			c := MakeCandidates(Hash("some-user"), Jump.Pick(Hash("some-user"), n), n, 7)
			s, _ := c.Next()
			slot += s
		}); a != 0 {
			t.Errorf("n = %d: a substitute allocates %v times, want 0", n, a)
		}
	}
}

// BenchmarkSubstitute is a pick whose slot is down: hash, slot and first substitute.
func BenchmarkSubstitute(b *testing.B) {
	for _, n := range []int{5, 100, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			uid, sum := "user-1234567", 0
			for b.Loop() {
				h := Hash(uid)
				c := MakeCandidates(h, Jump.Pick(h, n), n, 42)
				s, _ := c.Next()
				sum += s
			}
		})
	}
}
