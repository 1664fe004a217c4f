package admission

import (
	"math"
	"syscall"
)

// descriptorsForClients is how many connections the process's limit on
// descriptors leaves room for. Go raises the soft limit to the hard one as it
// starts, so this is what the kernel enforces.
func descriptorsForClients() int64 {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return math.MaxInt64 // no such limit here
	}
	return afterReserve(r.Cur)
}

// afterReserve leaves 5 % of the descriptors to connections with backends, to
// admin, listeners, pollers and files: at least 128, which is what a gateway
// with 30 backend instances has open, and at most half.
func afterReserve(limit uint64) int64 {
	if limit >= math.MaxInt64 { // RLIM_INFINITY
		return math.MaxInt64
	}
	n := int64(limit)
	return n - min(max(n/20, 128), n/2)
}
