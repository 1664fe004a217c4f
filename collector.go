package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// roomBytesMin is what the heap of a gateway may grow by, at least, between
	// two collections. Go alone would let it double: a small heap under load is
	// then collected several times a second, which took 8 % of the CPU time of an
	// echo (100 connections x 10 in flight), and the memory of a large one stays
	// at up to twice of what is used.
	roomBytesMin = 32 << 20
	// roomShare is the same as a share of what is in use. Go's own is 1; half of it
	// means twice as many collections of a heap that is seldom collected, since
	// thousands of sessions that do little fill it.
	roomShare = 0.5
	// roomPercentMax keeps a heap that is almost empty from being forgotten.
	roomPercentMax = 400
	// roomEvery is how often it is looked at: a gateway takes its sessions within
	// seconds.
	roomEvery = time.Second
)

// paceCollector keeps Go's collector to that room until ctx is done. Whoever set
// GOGC knows better.
func paceCollector(ctx context.Context) error {
	if os.Getenv("GOGC") != "" {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(roomEvery)
	defer ticker.Stop()
	first, now := -1, 0
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for {
		metrics.Read(sample)
		if next := collectorPercent(sample[0].Value.Uint64()); farFrom(now, next) {
			was := debug.SetGCPercent(next) // stops the world for some microseconds
			now = next
			if first < 0 {
				first = was
			}
		}
		select {
		case <-ctx.Done():
			debug.SetGCPercent(first)
			return nil
		case <-ticker.C:
		}
	}
}

// collectorPercent is GOGC for a heap of which so many bytes are in use.
func collectorPercent(liveBytes uint64) int {
	room := max(roomBytesMin, roomShare*float64(liveBytes))
	return min(int(100*room/float64(max(liveBytes, 1))), roomPercentMax)
}

// farFrom keeps what would change little from being changed.
func farFrom(now, next int) bool { return 10*max(now-next, next-now) > now }
