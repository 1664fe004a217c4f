package admission

import (
	"fmt"
	"testing"
	"time"
)

func TestRequestLimits(t *testing.T) {
	w := newWorld()
	cfg := Unlimited()
	cfg.SessionRequests, cfg.SessionBytes = Rate{PerSecond: 10, Burst: 3}, Rate{PerSecond: 1000, Burst: 1000}
	cfg.UserRequests, cfg.UserBytes = Rate{PerSecond: 10, Burst: 5}, Rate{PerSecond: 1000, Burst: 1500}
	g := w.gate(t, cfg)
	var one, two [2]int64
	for i, c := range []struct {
		buckets *[2]int64
		bytes   int
		reason  string
		retry   time.Duration
	}{
		{&one, 500, "", 0},
		{&one, 501, "session_bytes", time.Millisecond},
		{&one, 500, "", 0},
		{&one, 0, "", 0},
		{&one, 0, "session_requests", 100 * time.Millisecond},
		{&two, 501, "user_bytes", time.Millisecond},
		{&two, 500, "", 0},
		{&two, 0, "", 0},
		{&two, 0, "user_requests", 100 * time.Millisecond},
	} {
		reason, retry := g.Request("u", c.buckets, []byte("a.b"), c.bytes)
		if reason != c.reason || retry != c.retry {
			t.Fatalf("request %d: %q, %v, want %q, %v", i, reason, retry, c.reason, c.retry)
		}
	}
	if reason, _ := g.Request("v", new([2]int64), []byte("a.b"), 500); reason != "" {
		t.Errorf("another user's request: %q, want admitted", reason)
	}
	w.advance(100)
	if reason, _ := g.Request("u", &two, []byte("a.b"), 100); reason != "" {
		t.Errorf("100 ms later: %q, want admitted", reason)
	}
}

func TestRequestClasses(t *testing.T) {
	w := newWorld()
	cfg := Unlimited()
	cfg.Classes = []Class{
		{Name: "files", Commands: []string{"file."}, Bytes: Rate{PerSecond: 1000, Burst: 1000}},
		{Name: "typing", Commands: []string{"typing"}, Requests: Rate{PerSecond: 1, Burst: 2}},
	}
	g := w.gate(t, cfg)
	ask := func(command string, bytes int, want string) {
		t.Helper()
		if reason, _ := g.Request("u", new([2]int64), []byte(command), bytes); reason != want {
			t.Errorf("%s of %d bytes: %q, want %q", command, bytes, reason, want)
		}
	}
	ask("typing", 1, "")
	ask("typing", 1, "")
	ask("typing", 1, "class_requests")
	ask("file.put", 800, "")
	ask("file.put", 800, "class_bytes")
	ask("msg.send", 1<<20, "")
	// The order of classes changes, one goes, one comes: what typing has used stays.
	cfg.Classes = []Class{
		{Name: "new", Commands: []string{"msg."}, Requests: Rate{PerSecond: 1, Burst: 1}}, cfg.Classes[1],
	}
	if err := g.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	ask("typing", 1, "class_requests")
	ask("file.put", 800, "")
	w.advance(1000)
	ask("msg.send", 1, "")
	ask("msg.send", 1, "class_requests")
	ask("typing", 1, "")
}

// TestRequestOfCrowd: without room for more entries users share one, and are
// bounded all the same.
func TestRequestOfCrowd(t *testing.T) {
	w := newWorld()
	w.idleMax = tableShards // one idle entry in each shard
	cfg := Unlimited()
	cfg.UserRequests = Rate{PerSecond: 1, Burst: 10}
	g := w.gate(t, cfg)
	admitted := 0
	for i := range 10_000 {
		if reason, _ := g.Request(fmt.Sprint("user-", i), new([2]int64), []byte("a"), 0); reason == "" {
			admitted++
		}
	}
	if most := tableShards + 10*tableShards; admitted > most || admitted < tableShards {
		t.Errorf("%d requests of users without an entry admitted, want at most %d", admitted, most)
	}
	if n := g.users.entries.Load(); n > tableShards {
		t.Errorf("%d entries, want at most %d", n, tableShards)
	}
	w.advance(10_000)
	g.everySecond(LevelNormal)
	if n := g.users.entries.Load(); n != 0 {
		t.Errorf("%d entries after their buckets are full, want 0", n)
	}
}

func TestNoAllocations(t *testing.T) {
	w := newWorld()
	cfg := DefaultConfig()
	cfg.UserRequests = Rate{PerSecond: 1e6}
	cfg.Classes = []Class{{Name: "m", Commands: []string{"msg.", "a*"}, Requests: Rate{PerSecond: 1e6}}}
	g := w.gate(t, cfg)
	a, command := addr("2001:db8::1"), []byte("msg.send")
	g.Enter(a)
	g.User("u")
	var buckets [2]int64
	g.Request("u", &buckets, command, 64)
	for name, f := range map[string]func(){
		"Request":   func() { w.advance(100); g.Request("u", &buckets, command, 64) },
		"Accept":    func() { w.advance(100); g.Accept(); g.Released() },
		"Enter":     func() { w.advance(100); g.Enter(a); g.Leave(a) },
		"Handshake": func() { w.advance(100); g.Handshake(a) },
		"User":      func() { g.User("u"); g.UserLeft("u") },
		"refused":   func() { g.Request("u", &buckets, command, 1<<30) },
	} {
		if n := testing.AllocsPerRun(200, f); n != 0 {
			t.Errorf("%s allocates %v times, want 0", name, n)
		}
	}
}
