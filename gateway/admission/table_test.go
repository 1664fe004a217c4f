package admission

import (
	"net/netip"
	"testing"
)

// v6 is the i-th of very many addresses, each in a /64 of its own.
func v6(i int) netip.Addr {
	return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i), 15: 1})
}

// TestFloodFromNewAddresses: connections that come and go, each from another
// /64, leave behind at most idleMax entries.
func TestFloodFromNewAddresses(t *testing.T) {
	w := newWorld()
	w.idleMax = 4 * tableShards
	cfg := DefaultConfig()
	cfg.Accepts = Rate{}
	g := w.gate(t, cfg)
	// Someone who is connected keeps what is known of him.
	stays := addr("10.0.0.1")
	g.Enter(stays)
	let := 0
	for i := range 100_000 {
		if _, ok := g.Enter(v6(i)); ok {
			let++
			g.Leave(v6(i))
		}
	}
	if n := g.addresses.entries.Load(); n > int64(w.idleMax)+1 {
		t.Errorf("%d entries, want at most %d", n, w.idleMax+1)
	}
	// Those without room share a bucket in each shard.
	if most := w.idleMax + tableShards*cfg.AcceptsPerAddress.Burst; let > most {
		t.Errorf("%d let in at one moment, want at most %d", let, most)
	}
	check(t, g.addresses)
	r, ok := g.Enter(stays)
	want(t, "Enter of one who was here before", r, ok, Admitted)
	g.Leave(stays)
	// What is open is never forgotten, however full it is.
	if n := countOpen(g.addresses); n != 1 {
		t.Errorf("%d open, want 1", n)
	}
	w.advance(60_000)
	r, ok = g.Enter(v6(200_000))
	want(t, "Enter of a newcomer a minute later", r, ok, Admitted)
	g.everySecond(LevelNormal)
	if n := g.addresses.entries.Load(); n != 2 {
		t.Errorf("%d entries after the flood, want the 2 that are open", n)
	}
}

// TestLeftWithDebt: an address that has used up its rate does not get a new one
// by leaving.
func TestLeftWithDebt(t *testing.T) {
	w := newWorld()
	cfg := Unlimited()
	cfg.AcceptsPerAddress = Rate{PerSecond: 1, Burst: 3}
	g := w.gate(t, cfg)
	a := addr("10.0.0.1")
	for range 3 {
		r, ok := g.Enter(a)
		want(t, "Enter", r, ok, Admitted)
		g.Leave(a)
	}
	for range 3 {
		g.everySecond(LevelNormal)
		r, ok := g.Enter(a)
		want(t, "Enter beyond the burst", r, ok, ReasonAddressAccepts)
	}
	w.advance(3000)
	g.everySecond(LevelNormal)
	if n := g.addresses.entries.Load(); n != 0 {
		t.Errorf("%d entries once the bucket is full, want 0", n)
	}
}
