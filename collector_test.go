package main

import (
	"context"
	"runtime/debug"
	"testing"
	"testing/synctest"
)

func TestCollectorPercent(t *testing.T) {
	tests := []struct {
		liveMB uint64
		want   int
	}{{0, 400}, {4, 400}, {16, 200}, {32, 100}, {64, 50}, {1 << 10, 50}, {1 << 20, 50}}
	for _, tt := range tests {
		if got := collectorPercent(tt.liveMB << 20); got != tt.want {
			t.Errorf("collectorPercent(%d MB) = %d, want %d", tt.liveMB, got, tt.want)
		}
	}
}

func TestPaceCollector(t *testing.T) {
	before := debug.SetGCPercent(77)
	defer debug.SetGCPercent(before)
	for _, tt := range []struct {
		env    string
		paced  bool
		reason string
	}{{"", true, "it says nothing"}, {"60", false, "it knows better"}} {
		t.Setenv("GOGC", tt.env)
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- paceCollector(ctx) }()
			synctest.Wait()
			now := debug.SetGCPercent(77)
			debug.SetGCPercent(now)
			if paced := now != 77; paced != tt.paced {
				t.Errorf("GOGC=%q: percent %d, want it paced: %v, since %s", tt.env, now, tt.paced, tt.reason)
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		if now := debug.SetGCPercent(77); now != 77 {
			t.Errorf("GOGC=%q: percent afterwards %d, want what it was", tt.env, now)
		}
	}
}
