package admission

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

// TestModel lets connections come and go while limits are reloaded, and
// compares each verdict with a model that counts in plain maps.
func TestModel(t *testing.T) {
	addrs := []netip.Addr{addr("10.0.0.1"), addr("10.0.0.2"), addr("2001:db8::1"), addr("2001:db8::2")}
	groups := []int{0, 1, 2, 2} // the last two are one /64
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld()
		cfg := Unlimited()
		g := w.gate(t, cfg)
		open, byGroup, byUser := 0, map[int]int{}, map[string]int{}
		count := rapid.Custom(func(t *rapid.T) Count {
			return Count{rapid.IntRange(0, 4).Draw(t, "max"), rapid.IntRange(0, 3).Draw(t, "dry") == 0}
		})
		admits := func(c Count, n int) bool { return c.Max == 0 || c.DryRun || n < c.Max }
		judge := func(what string, got, want bool) {
			if got != want {
				rt.Fatalf("%s = %t, want %t", what, got, want)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"accept": func(t *rapid.T) {
				_, ok := g.Accept()
				judge("Accept", ok, admits(cfg.Connections, open))
				if ok {
					open++
				}
			},
			"released": func(t *rapid.T) {
				if open > 0 {
					g.Released()
					open--
				}
			},
			"enter": func(t *rapid.T) {
				i := rapid.IntRange(0, len(addrs)-1).Draw(t, "addr")
				_, ok := g.Enter(addrs[i])
				judge("Enter", ok, admits(cfg.ConnectionsPerAddress, byGroup[groups[i]]))
				if ok {
					byGroup[groups[i]]++
				}
			},
			"leave": func(t *rapid.T) {
				i := rapid.IntRange(0, len(addrs)-1).Draw(t, "addr")
				if byGroup[groups[i]] > 0 {
					g.Leave(addrs[i])
					byGroup[groups[i]]--
				}
			},
			"user": func(t *rapid.T) {
				uid := rapid.SampledFrom([]string{"a", "b", ""}).Draw(t, "uid")
				_, ok := g.User(uid)
				judge("User", ok, admits(cfg.ConnectionsPerUser, byUser[uid]))
				if ok {
					byUser[uid]++
				}
			},
			"user left": func(t *rapid.T) {
				uid := rapid.SampledFrom([]string{"a", "b", ""}).Draw(t, "uid")
				if byUser[uid] > 0 {
					g.UserLeft(uid)
					byUser[uid]--
				}
			},
			"request": func(t *rapid.T) { // makes idle entries of users
				uid := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "uid")
				g.Request(uid, new([2]int64), []byte("x"), 1)
			},
			"second": func(t *rapid.T) { w.advance(1000); g.everySecond(LevelNormal) },
			"reload": func(t *rapid.T) {
				cfg.Connections, cfg.ConnectionsPerAddress = count.Draw(t, "connections"), count.Draw(t, "address")
				cfg.ConnectionsPerUser = count.Draw(t, "user")
				cfg.UserRequests = Rate{PerSecond: float64(rapid.IntRange(0, 2).Draw(t, "rate"))}
				if err := g.Reload(cfg); err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				counted, want := countOpen(g.addresses), 0
				for n := range maps.Values(byGroup) {
					want += n
				}
				if counted != want || g.open.Load() != int64(open) {
					t.Fatalf("counted %d addresses' and %d connections, want %d and %d", counted, g.open.Load(), want, open)
				}
				check(t, g.addresses)
				check(t, g.users)
			},
		})
	})
}

func countOpen[K comparable](t *table[K]) int {
	n := 0
	for i := range t.shards {
		for _, e := range t.shards[i].byKey {
			n += int(e.open)
		}
	}
	return n
}

// check holds a table to what its comments say of rings and numbers.
func check[K comparable](tb interface{ Fatalf(string, ...any) }, t *table[K]) {
	total := 0
	for i := range t.shards {
		s := &t.shards[i]
		total += len(s.byKey)
		ring := 0
		for e := s.idle.next; e != &s.idle; e = e.next {
			ring++
			if e.open != 0 || s.byKey[e.key] != e || e.next.prev != e {
				tb.Fatalf("shard %d: entry %v in the ring has %d connections", i, e.key, e.open)
			}
		}
		idle := 0
		for _, e := range s.byKey {
			if e.open == 0 {
				idle++
			}
		}
		if ring != s.idles || ring != idle || ring > t.idleMax {
			tb.Fatalf("shard %d: %d in the ring, %d counted, %d without connections, at most %d", i, ring, s.idles, idle, t.idleMax)
		}
	}
	if int64(total) != t.entries.Load() {
		tb.Fatalf("%d entries, %d counted", total, t.entries.Load())
	}
}

// TestNeverMoreThanTheLimit has many come and go at once while limits are
// reloaded, and looks at any moment whether more are in than the highest limit.
func TestNeverMoreThanTheLimit(t *testing.T) {
	w := newWorld()
	cfg := Unlimited()
	cfg.Connections.Max, cfg.ConnectionsPerAddress.Max, cfg.ConnectionsPerUser.Max = 20, 3, 2
	g := w.gate(t, cfg)
	const addresses = 16
	var in atomic.Int64
	var byAddr, byUser [addresses]atomic.Int64
	hold := func(n *atomic.Int64, most int64, what string) {
		if now := n.Add(1); now > most {
			t.Errorf("%d %s in, want at most %d", now, what, most)
		}
	}
	come := func(i int) {
		if _, ok := g.Accept(); !ok {
			return
		}
		hold(&in, 20, "connections")
		a, uid := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), string(rune('a'+i))
		if _, ok := g.Enter(a); ok {
			hold(&byAddr[i], 3, "of an address")
			if _, ok := g.User(uid); ok {
				hold(&byUser[i], 2, "of a user")
				byUser[i].Add(-1)
				g.UserLeft(uid)
			}
			byAddr[i].Add(-1)
			g.Leave(a)
		}
		in.Add(-1)
		g.Released()
	}
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 500 {
				come(rand.IntN(addresses))
			}
		})
	}
	wg.Go(func() {
		for i := range 100 {
			lower := cfg
			lower.Connections.Max, lower.ConnectionsPerAddress.Max = 20-i%2*10, 3-i%2
			if err := g.Reload(lower); err != nil {
				t.Error(err)
			}
			g.everySecond(LevelNormal)
		}
	})
	wg.Wait()
	if open, addrs, users := g.open.Load(), g.addresses.entries.Load(), g.users.entries.Load(); open+addrs+users != 0 {
		t.Errorf("at the end %d open, %d addresses, %d users, want none", open, addrs, users)
	}
}
