package client

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestBackoffBounds: never zero, never above the ceiling, and the ceiling grows
// up to Max and stays there.
func TestBackoffBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Backoff{
			Base:   time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "base")),
			Factor: rapid.Float64Range(0, 10).Draw(t, "factor"),
			Max:    time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "max")),
		}.withDefaults()
		failures := rapid.IntRange(0, 100_000).Draw(t, "failures")
		dice := rapid.Float64Range(0, 0.9999999).Draw(t, "dice")
		got := b.rest(failures, func() float64 { return dice })
		if ceiling := b.ceiling(failures); got <= 0 || got > ceiling || ceiling > b.Max || b.ceiling(failures+1) < ceiling {
			t.Fatalf("%+v.rest(%d) with %v = %v, ceiling %v", b, failures, dice, got, ceiling)
		}
	})
}

func TestBackoffDefaults(t *testing.T) {
	b := Backoff{}.withDefaults()
	for failures, want := range map[int]time.Duration{0: time.Second, 1: 1800 * time.Millisecond, 2: 3240 * time.Millisecond, 10: 300 * time.Second} {
		if got := b.ceiling(failures); got != want {
			t.Errorf("ceiling(%d) = %v, want %v", failures, got, want)
		}
	}
}
