package proc

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"
)

// Resident returns the resident memory of a process in bytes. What the kernel
// holds for its sockets is not in it.
func Resident(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("resident memory of %d: %w", pid, err)
	}
	n, err := parseStatus(b)
	if err != nil {
		return 0, fmt.Errorf("resident memory of %d: %w", pid, err)
	}
	return n, nil
}

func parseStatus(b []byte) (int64, error) {
	for line := range bytes.Lines(b) {
		rest, ok := bytes.CutPrefix(line, []byte("VmRSS:"))
		if !ok {
			continue
		}
		kb, ok := bytes.CutSuffix(bytes.TrimSpace(rest), []byte(" kB"))
		if !ok {
			return 0, fmt.Errorf("unexpected form %q", line)
		}
		n, err := strconv.ParseInt(string(kb), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("VmRSS %q: %w", kb, err)
		}
		return n << 10, nil
	}
	return 0, fmt.Errorf("no VmRSS: the process has ended")
}

// Calm says when a series of readings counts as settled: Readings in a row,
// one every Every, differ by at most Band of the last. After Longest the last
// reading counts as it is.
type Calm struct {
	Every    time.Duration
	Readings int
	Band     float64
	Longest  time.Duration
}

// DefaultCalm waits for 3 s within 0.5 %. A server that has just taken
// thousands of connections needs a few seconds to collect its garbage; the
// collector's own two-minute rhythm is not waited for.
func DefaultCalm() Calm {
	return Calm{Every: 500 * time.Millisecond, Readings: 6, Band: 0.005, Longest: 30 * time.Second}
}

// Settle reads the resident memory of a process until it is calm and returns
// the last reading, and whether it was calm.
func (c Calm) Settle(ctx context.Context, pid int) (bytes int64, calm bool, err error) {
	ticker := time.NewTicker(c.Every)
	defer ticker.Stop()
	deadline := time.Now().Add(c.Longest)
	var seen []int64
	for {
		n, err := Resident(pid)
		if err != nil {
			return 0, false, err
		}
		seen = append(seen, n)
		if c.settled(seen) {
			return n, true, nil
		}
		if time.Now().After(deadline) {
			return n, false, nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return 0, false, ctx.Err()
		}
	}
}

func (c Calm) settled(seen []int64) bool {
	if len(seen) < c.Readings {
		return false
	}
	last := seen[len(seen)-1]
	for _, n := range seen[len(seen)-c.Readings:] {
		if d := float64(n - last); d > c.Band*float64(last) || -d > c.Band*float64(last) {
			return false
		}
	}
	return true
}
