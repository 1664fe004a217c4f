package admission

import (
	"context"
	"syscall"
	"testing"
	"time"
)

// TestStepsOfThisProcess fills this process's own memory up to the last step and
// gives it back: the gate closes, and opens again within the 10 s that
// docs/edge.md allows. The memory is mapped rather than made, since the race detector
// keeps what it notes of Go's own.
func TestStepsOfThisProcess(t *testing.T) {
	source := procMemory{root: "/"}
	source.Release() // what other tests have left
	before, err := source.Used("")
	if err != nil {
		t.Skip("no /proc here: ", err)
	}
	fill := max(128<<20, before)
	w := newWorld()
	cfg := Unlimited()
	cfg.Memory.LimitBytes = (before + fill) * 100 / 96 // half full before, 96 % when filled
	g := w.gate(t, cfg)
	g.memory = source
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	defer func() { stop(); <-done }()

	b, err := syscall.Mmap(-1, 0, int(fill+fill/50), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Skip("no memory to fill: ", err)
	}
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	await := func(what string, within time.Duration, reached func() bool) {
		t.Helper()
		for begin := time.Now(); !reached(); time.Sleep(10 * time.Millisecond) {
			if time.Since(begin) > within {
				used, _ := source.Used("")
				t.Errorf("not %s after %v: %d of %d bytes in use", what, within, used, cfg.Memory.LimitBytes)
				return
			}
		}
	}
	await("closed", 30*time.Second, func() bool { _, ok := g.Accept(); return !ok && g.Level() == LevelDropQueues })
	if err := syscall.Munmap(b); err != nil {
		t.Fatal(err)
	}
	await("open", 10*time.Second, func() bool { _, ok := g.Handshake(addr("10.0.0.1")); return ok })
}
