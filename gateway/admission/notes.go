package admission

import (
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
)

// notes counts refusals and remembers one example of each kind for the log. It
// does no I/O: whoever refuses may be a poller.
type notes struct {
	metrics *metrics
	kinds   [reasons][2]note // by dry run
}

type note struct {
	count atomic.Int64 // since the last line

	mu   sync.Mutex // guards the example, which belongs to the first of count
	addr netip.Addr
	uid  string
}

func index(dryRun bool) int {
	if dryRun {
		return 1
	}
	return 0
}

// add counts a refusal. addr and uid are who was refused, as far as known.
func (n *notes) add(r Reason, dryRun bool, addr netip.Addr, uid string) {
	i := index(dryRun)
	n.metrics.refusals[r][i].Inc()
	k := &n.kinds[r][i]
	if k.count.Add(1) > 1 {
		return
	}
	k.mu.Lock()
	k.addr, k.uid = addr, uid
	k.mu.Unlock()
}

// log writes a line for each kind of refusal that there was since the last call.
func (n *notes) log(log *slog.Logger) {
	for r := range n.kinds {
		for i := range n.kinds[r] {
			k := &n.kinds[r][i]
			if k.count.Load() == 0 {
				continue
			}
			k.mu.Lock()
			addr, uid := k.addr, k.uid
			k.addr, k.uid = netip.Addr{}, ""
			k.mu.Unlock()
			args := []any{"reason", Reason(r).String(), "count", k.count.Swap(0), "dry_run", i == 1}
			if addr.IsValid() {
				args = append(args, "address", addr.String())
			}
			if uid != "" {
				args = append(args, "uid", uid)
			}
			log.Info("refused", args...)
		}
	}
}
