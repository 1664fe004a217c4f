package admission

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// memorySource is the process's memory as the system sees it.
type memorySource interface {
	// Limit is the lowest limit of the control groups that the process is in, and
	// the folder of that group; 0 where there is none.
	Limit() (limitBytes int64, group string)
	// Used is what the group uses, or without one the process alone.
	Used(group string) (int64, error)
	// KeepTo tells Go's garbage collector to keep to so many bytes; 0 takes it back.
	KeepTo(limitBytes int64)
	// Release gives garbage back to the system. It takes as long as a collection.
	Release()
}

// procMemory reads /proc and /sys below root.
//
// What the kernel kills for is pages that it cannot get back. Of the process
// these are the anonymous ones: resident less shared in /proc/self/statm. Pages of
// the binary and of files do not count, and Go's own sum (mapped less released,
// runtime/metrics) is not used, since it counts pages that were never touched and
// none of C or mmap. A control group is charged for more than that: for its sockets' buffers,
// which slow readers fill, for page tables, and for other processes. So
// where the limit is a group's, all that the group uses counts, except the page cache.
type procMemory struct{ root string }

// Limit implements memorySource.
func (m procMemory) Limit() (limitBytes int64, group string) {
	b, err := os.ReadFile(filepath.Join(m.root, "proc/self/cgroup"))
	if err != nil {
		return 0, ""
	}
	limitBytes = math.MaxInt64
	for line := range strings.Lines(string(b)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		base, file := "", ""
		switch {
		case parts[0] == "0" && parts[1] == "": // version 2
			base, file = "sys/fs/cgroup", "memory.max"
		case strings.Contains(","+parts[1]+",", ",memory,"):
			base, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		// Each group above may have a limit too. In a container the path may be the
		// host's, which is not to be seen: then the top is the container's own.
		for path := filepath.Join("/", parts[2]); ; path = filepath.Dir(path) {
			dir := filepath.Join(m.root, base, path)
			if n, ok := readNumber(filepath.Join(dir, file)); ok && n < limitBytes {
				limitBytes, group = n, dir
			}
			if path == "/" {
				break
			}
		}
	}
	if limitBytes >= 1<<60 { // version 1 writes "none" as a number close to 2^63
		return 0, ""
	}
	return limitBytes, group
}

// readNumber reads a file with one number; "max" is none.
func readNumber(path string) (int64, bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 64)
	return n, err == nil && n > 0
}

// Used implements memorySource.
func (m procMemory) Used(group string) (int64, error) {
	own, err := m.anonymous()
	if err != nil || group == "" {
		return own, err
	}
	usage, ok := readNumber(filepath.Join(group, "memory.current"))
	cache := []string{"active_file", "inactive_file"}
	if !ok {
		usage, ok = readNumber(filepath.Join(group, "memory.usage_in_bytes"))
		cache = []string{"total_active_file", "total_inactive_file"}
	}
	stat, err := os.ReadFile(filepath.Join(group, "memory.stat"))
	if !ok || err != nil {
		return own, nil // the top group of version 2 has no such files
	}
	for line := range strings.Lines(string(stat)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if key != cache[0] && key != cache[1] {
			continue
		}
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			usage -= n
		}
	}
	return max(usage, own), nil
}

// anonymous is the process's own memory that no file stands behind.
func (m procMemory) anonymous() (int64, error) {
	path := filepath.Join(m.root, "proc/self/statm")
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	var size, resident, shared int64
	if _, err := fmt.Sscan(string(b), &size, &resident, &shared); err != nil {
		return 0, fmt.Errorf("read %s: %w", path, err)
	}
	return max(resident-shared, 0) * int64(os.Getpagesize()), nil
}

// KeepTo implements memorySource. Whoever set GOMEMLIMIT knows better.
func (procMemory) KeepTo(limitBytes int64) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if limitBytes == 0 {
		limitBytes = math.MaxInt64
	}
	debug.SetMemoryLimit(limitBytes)
}

// Release implements memorySource.
func (procMemory) Release() { debug.FreeOSMemory() }
