package admission

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

func TestConnections(t *testing.T) {
	w := newWorld()
	cfg := Unlimited()
	cfg.Connections.Max = 2
	g := w.gate(t, cfg)
	for _, reason := range []Reason{Admitted, Admitted, ReasonConnections} {
		r, ok := g.Accept()
		want(t, "Accept", r, ok, reason)
	}
	g.Released()
	r, ok := g.Accept()
	want(t, "Accept after Released", r, ok, Admitted)
	r, _ = g.Accept()
	if r.Code != wire.CloseOverloaded || r.RetryAfter < 3*time.Second || r.RetryAfter >= 6*time.Second || r.Message == "" {
		t.Errorf("refusal %+v, want 4003 with 3 s to 6 s and a message", r)
	}
	if got := w.count(t, "holdfast_admission_open_connections", nil); got != 2 {
		t.Errorf("open connections %v, want 2", got)
	}
	if got := w.count(t, "holdfast_admission_open_connections_max", nil); got != 2 {
		t.Errorf("open connections max %v, want 2", got)
	}
}

// TestDescriptors: a bound above what the process may open, or its dry run,
// does not lead into EMFILE.
func TestDescriptors(t *testing.T) {
	for _, c := range []Count{{}, {Max: 5}, {Max: 1, DryRun: true}} {
		w := newWorld()
		w.descriptors = 3
		cfg := Unlimited()
		cfg.Connections = c
		g := w.gate(t, cfg)
		for range 3 {
			r, ok := g.Accept()
			want(t, "Accept", r, ok, Admitted)
		}
		r, ok := g.Accept()
		want(t, "Accept beyond the descriptors", r, ok, ReasonDescriptors)
		if got := w.count(t, "holdfast_admission_open_connections_max", nil); got != 3 {
			t.Errorf("%+v: open connections max %v, want 3", c, got)
		}
	}
}

func TestAcceptRate(t *testing.T) {
	w := newWorld()
	cfg := Unlimited()
	cfg.Accepts = Rate{PerSecond: 10, Burst: 3}
	g := w.gate(t, cfg)
	for _, reason := range []Reason{Admitted, Admitted, Admitted, ReasonAccepts} {
		r, ok := g.Accept()
		want(t, "Accept", r, ok, reason)
		g.Released()
	}
	w.advance(100)
	r, ok := g.Accept()
	want(t, "Accept after 100 ms", r, ok, Admitted)
	// Those who are refused are told to come back one after the other.
	var last time.Duration
	for range 500 {
		r, ok = g.Accept()
		want(t, "Accept at once", r, ok, ReasonAccepts)
		last = r.RetryAfter
	}
	if last < retryMax || last > retryMax+time.Second {
		t.Errorf("the 500th is told to wait %v, want at least %v", last, retryMax)
	}
}

func TestPerAddress(t *testing.T) {
	w := newWorld()
	cfg := Unlimited()
	cfg.ConnectionsPerAddress.Max = 2
	g := w.gate(t, cfg)
	for _, c := range []struct {
		addr   string
		reason Reason
	}{
		{"10.0.0.1", Admitted}, {"::ffff:10.0.0.1", Admitted}, {"10.0.0.1", ReasonAddressConnections}, {"10.0.0.2", Admitted},
		{"2001:db8::1", Admitted}, {"2001:db8::2", Admitted}, {"2001:db8::3", ReasonAddressConnections}, {"2001:db8:0:1::1", Admitted},
	} {
		r, ok := g.Enter(addr(c.addr))
		want(t, "Enter "+c.addr, r, ok, c.reason)
	}
	g.Leave(addr("2001:db8::2"))
	r, ok := g.Enter(addr("2001:db8::3"))
	want(t, "Enter after Leave", r, ok, Admitted)
	for range 5 {
		r, ok = g.Enter(netip.Addr{})
		want(t, "Enter without an address", r, ok, Admitted)
		g.Leave(netip.Addr{})
	}
	if got := w.count(t, "holdfast_admission_tracked_addresses", nil); got != 4 {
		t.Errorf("tracked addresses %v, want 4", got)
	}
}

func TestLists(t *testing.T) {
	w := newWorld()
	cfg := Unlimited()
	cfg.ConnectionsPerAddress.Max = 1
	cfg.AcceptsPerAddress, cfg.HandshakesPerAddress = Rate{PerSecond: 1}, Rate{PerSecond: 1}
	cfg.Allow, cfg.Deny = []string{"10.0.0.0/8"}, []string{"0.0.0.0/0", "::/0"}
	g := w.gate(t, cfg)
	for range 5 {
		r, ok := g.Enter(addr("10.0.0.1"))
		want(t, "Enter of an allowed one", r, ok, Admitted)
		r, ok = g.Handshake(addr("10.0.0.1"))
		want(t, "Handshake of an allowed one", r, ok, Admitted)
	}
	for _, a := range []string{"11.0.0.1", "2001:db8::1", "::ffff:11.0.0.1"} {
		r, ok := g.Enter(addr(a))
		want(t, "Enter "+a, r, ok, ReasonDenied)
		if r.Code != wire.ClosePermissionDenied || r.RetryAfter != 0 {
			t.Errorf("refusal %+v, want 4503 without a time", r)
		}
	}
	// An allow list alone excludes nobody.
	cfg.Deny = nil
	if err := g.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	r, ok := g.Enter(addr("11.0.0.1"))
	want(t, "Enter without deny", r, ok, Admitted)
	// Whoever was let in as allowed is counted all the same.
	cfg.Allow = nil
	if err := g.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	r, ok = g.Enter(addr("10.0.0.1"))
	want(t, "Enter without allow", r, ok, ReasonAddressConnections)
}

// TestAddressTakesNothingFromOthers: the floods of one address leave the rate of
// all to the others.
func TestAddressTakesNothingFromOthers(t *testing.T) {
	w := newWorld()
	cfg := Unlimited()
	cfg.Accepts = Rate{PerSecond: 10, Burst: 10}
	cfg.ConnectionsPerAddress.Max = 2
	cfg.Deny = []string{"11.0.0.0/8"}
	g := w.gate(t, cfg)
	enter := func(a string) Reason {
		if r, ok := g.Accept(); !ok {
			return r.Reason
		}
		r, ok := g.Enter(addr(a))
		if !ok {
			g.Released()
		}
		return r.Reason
	}
	for range 1000 {
		enter("10.0.0.1")
		enter("11.0.0.1")
	}
	for i := range 8 {
		if got := enter(netip.AddrFrom4([4]byte{12, 0, 0, byte(i)}).String()); got != Admitted {
			t.Fatalf("connection %d of another address: %v, want admitted", i, got)
		}
	}
	if got := enter("12.0.1.1"); got != ReasonAccepts {
		t.Errorf("the 11th that comes in: %v, want accepts", got)
	}
}

func TestHandshakes(t *testing.T) {
	w := newWorld()
	cfg := Unlimited()
	cfg.Handshakes, cfg.HandshakesPerAddress = Rate{PerSecond: 5}, Rate{PerSecond: 2}
	g := w.gate(t, cfg)
	for _, c := range []struct {
		addr   string
		reason Reason
	}{
		{"10.0.0.1", Admitted}, {"10.0.0.1", Admitted}, {"10.0.0.1", ReasonAddressHandshakes}, {"10.0.0.2", Admitted},
		{"10.0.0.3", Admitted}, {"10.0.0.3", Admitted}, {"10.0.0.4", ReasonHandshakes},
	} {
		r, ok := g.Handshake(addr(c.addr))
		want(t, "Handshake "+c.addr, r, ok, c.reason)
	}
	r, ok := g.Handshake(netip.Addr{})
	want(t, "Handshake without an address", r, ok, ReasonHandshakes)
	w.advance(1000)
	r, ok = g.Handshake(addr("10.0.0.1"))
	want(t, "Handshake a second later", r, ok, Admitted)
}

func TestPerUser(t *testing.T) {
	w := newWorld()
	cfg := Unlimited()
	cfg.ConnectionsPerUser.Max = 2
	g := w.gate(t, cfg)
	for _, c := range []struct {
		uid    string
		reason Reason
	}{{"a", Admitted}, {"a", Admitted}, {"a", ReasonUserConnections}, {"b", Admitted}, {"", Admitted}} {
		r, ok := g.User(c.uid)
		want(t, "User "+c.uid, r, ok, c.reason)
	}
	g.UserLeft("a")
	r, ok := g.User("a")
	want(t, "User after UserLeft", r, ok, Admitted)
	if r, _ = g.User("a"); r.Code != wire.CloseRateLimited || r.RetryAfter == 0 {
		t.Errorf("refusal %+v, want 4011 with a time", r)
	}
	for _, uid := range []string{"a", "a", "b", ""} {
		g.UserLeft(uid)
	}
	if got := w.count(t, "holdfast_admission_tracked_users", nil); got != 0 {
		t.Errorf("tracked users %v when all have left, want 0", got)
	}
}

// TestReloadKeepsCounts lowers and raises a limit over connections that stay.
func TestReloadKeepsCounts(t *testing.T) {
	w := newWorld()
	cfg := Unlimited()
	g := w.gate(t, cfg)
	a := addr("10.0.0.1")
	for range 5 {
		g.Accept()
		g.Enter(a)
		g.User("u")
	}
	cfg.Connections.Max, cfg.ConnectionsPerAddress.Max, cfg.ConnectionsPerUser.Max = 3, 3, 3
	if err := g.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	judge := func(connections, address, user Reason) {
		t.Helper()
		r, ok := g.Accept()
		want(t, "Accept", r, ok, connections)
		r, ok = g.Enter(a)
		want(t, "Enter", r, ok, address)
		r, ok = g.User("u")
		want(t, "User", r, ok, user)
	}
	leave := func() { g.Released(); g.Leave(a); g.UserLeft("u") }
	judge(ReasonConnections, ReasonAddressConnections, ReasonUserConnections)
	leave()
	leave()
	judge(ReasonConnections, ReasonAddressConnections, ReasonUserConnections) // 3 of 3
	leave()
	judge(Admitted, Admitted, Admitted)
	if err := g.Reload(Config{Memory: cfg.Memory, Connections: Count{Max: -1}}); err == nil {
		t.Error("Reload of a bad configuration = nil")
	}
	judge(ReasonConnections, ReasonAddressConnections, ReasonUserConnections) // as before
	for range 3 {
		leave()
	}
	if open, addrs, users := g.open.Load(), g.addresses.entries.Load(), g.users.entries.Load(); open+addrs+users != 0 {
		t.Errorf("when all have left: %d open, %d addresses, %d users, want none", open, addrs, users)
	}
	if s := w.logs.String(); s != "" {
		t.Errorf("log: %s", s)
	}
}

// TestReloadKeepsBuckets: a reload is no way around a limit.
func TestReloadKeepsBuckets(t *testing.T) {
	w := newWorld()
	cfg := Unlimited()
	cfg.Accepts, cfg.AcceptsPerAddress = Rate{PerSecond: 1, Burst: 2}, Rate{PerSecond: 1, Burst: 2}
	g := w.gate(t, cfg)
	for range 3 {
		g.Accept()
		g.EnterForwarded(addr("10.0.0.1"))
	}
	if err := g.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	r, ok := g.Accept()
	want(t, "Accept", r, ok, ReasonAccepts)
	r, ok = g.Enter(addr("10.0.0.1"))
	want(t, "Enter", r, ok, ReasonAddressAccepts)
}

func TestUnpaired(t *testing.T) {
	w := newWorld()
	g := w.gate(t, Unlimited())
	g.Released()
	g.Leave(addr("10.0.0.1"))
	g.UserLeft("u")
	for _, call := range []string{"Released", "Leave", "UserLeft"} {
		if !strings.Contains(w.logs.String(), "call="+call) {
			t.Errorf("log %q does not say that %s came alone", w.logs.String(), call)
		}
	}
	if n := g.open.Load(); n != 0 {
		t.Errorf("open = %d, want 0", n)
	}
}

func TestCutSessions(t *testing.T) {
	w := newWorld()
	cfg := Unlimited()
	g := w.gate(t, cfg)
	if got := g.CutSessionsMax(); got < 1<<31 {
		t.Errorf("CutSessionsMax without a bound = %d", got)
	}
	for _, dryRun := range []bool{false, true} {
		cfg.CutSessions = Count{Max: 3, DryRun: dryRun}
		if err := g.Reload(cfg); err != nil {
			t.Fatal(err)
		}
		if bound := g.CutSessionsMax() == 3; bound == dryRun {
			t.Errorf("dry run %t: CutSessionsMax = %d", dryRun, g.CutSessionsMax())
		}
		if g.CutSession(3) || g.CutSession(4) == dryRun {
			t.Errorf("dry run %t: CutSession ends the wrong ones", dryRun)
		}
	}
}
