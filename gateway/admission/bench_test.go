package admission

import (
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func benchGate(b *testing.B, change func(*Config)) *Gate {
	cfg := DefaultConfig()
	cfg.Accepts, cfg.AcceptsPerAddress = Rate{PerSecond: 1e9}, Rate{PerSecond: 1e9}
	cfg.SessionRequests, cfg.SessionBytes = Rate{PerSecond: 1e9}, Rate{PerSecond: 1e9}
	if change != nil {
		change(&cfg)
	}
	w := newWorld()
	// Time flies, so that buckets fill and requests are admitted.
	done := make(chan struct{})
	var clock sync.WaitGroup
	clock.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
				w.advance(10_000)
			}
		}
	})
	b.Cleanup(func() { close(done); clock.Wait() })
	b.ReportAllocs()
	return w.gate(b, cfg)
}

var nextWorker atomic.Int64

// BenchmarkRequest: what each request pays, with the default limits, and where
// users and classes have some too.
func BenchmarkRequest(b *testing.B) {
	for name, change := range map[string]func(*Config){
		"session": nil,
		"user":    func(c *Config) { c.UserRequests, c.UserBytes = Rate{PerSecond: 1e9}, Rate{PerSecond: 1e9} },
		"class": func(c *Config) {
			c.Classes = []Class{{Name: "m", Commands: []string{"msg."}, Requests: Rate{PerSecond: 1e9}, Bytes: Rate{PerSecond: 1e9}}}
		},
	} {
		b.Run(name, func(b *testing.B) {
			g := benchGate(b, change)
			b.RunParallel(func(pb *testing.PB) {
				uid := "user-" + strconv.FormatInt(nextWorker.Add(1), 10)
				g.User(uid)
				var buckets [2]int64
				command := []byte("msg.send")
				for pb.Next() {
					if reason, _ := g.Request(uid, &buckets, command, 64); reason != "" {
						b.Error("refused: ", reason)
						return
					}
				}
			})
		})
	}
}

// BenchmarkEnter: an address that is known already comes once more and leaves.
func BenchmarkEnter(b *testing.B) {
	for name, addresses := range map[string]int{"one address": 1, "4096 addresses": 4096} {
		b.Run(name, func(b *testing.B) {
			g := benchGate(b, func(c *Config) { c.ConnectionsPerAddress = Count{} })
			addrs := make([]netip.Addr, addresses)
			for i := range addrs {
				addrs[i] = v6(i)
				g.Enter(addrs[i])
			}
			b.RunParallel(func(pb *testing.PB) {
				for i := int(nextWorker.Add(1) * 1000); pb.Next(); i++ {
					a := addrs[i%addresses]
					g.Enter(a)
					g.Leave(a)
				}
			})
		})
	}
}

func BenchmarkAccept(b *testing.B) {
	g := benchGate(b, nil)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			g.Accept()
			g.Released()
		}
	})
}
