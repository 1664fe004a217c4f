package admission

import (
	"testing"

	"pgregory.net/rapid"
)

func newStepper() stepper {
	var s stepper
	s.configure(DefaultConfig().Memory)
	return s
}

func TestSteps(t *testing.T) {
	s := newStepper()
	for i, c := range []struct {
		used int64
		want Level
	}{
		{0, LevelNormal}, {699, LevelNormal}, {700, LevelShortenIdle}, {650, LevelShortenIdle}, {649, LevelNormal},
		{850, LevelRefuseAccepts}, {800, LevelRefuseAccepts}, {799, LevelRefuseHandshakes}, {750, LevelRefuseHandshakes},
		{749, LevelShortenIdle}, {900, LevelDropQueues}, {750, LevelDropQueues}, // until clients may log in
		{749, LevelShortenIdle}, {790, LevelShortenIdle}, {800, LevelRefuseHandshakes},
		{100, LevelNormal}, {5000, LevelDropQueues}, {0, LevelNormal},
	} {
		if got := s.step(c.used, 1000); got != c.want {
			t.Fatalf("step %d: %d of 1000 = %v, want %v", i, c.used, got, c.want)
		}
	}
	s.step(1000, 1000)
	if got := s.step(1000, 0); got != LevelNormal {
		t.Errorf("level without a limit = %v, want normal", got)
	}
}

// TestStepsHold: whatever came before, a level is never lower than what its
// shares say, and never held by more than release says.
func TestStepsHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newStepper()
		for range 50 {
			used := rapid.Int64Range(0, 1200).Draw(t, "used")
			level, share := s.step(used, 1000), float64(used)/1000
			for l := LevelShortenIdle; l < levels; l++ {
				if share >= s.shares[l] && level < l {
					t.Fatalf("%d: level %v, want at least %v", used, level, l)
				}
			}
			if level > LevelNormal && share < s.release(level) {
				t.Fatalf("%d: level %v, want a lower one", used, level)
			}
		}
	})
}
