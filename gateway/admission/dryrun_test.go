package admission

import "testing"

// TestDryRun has every check refuse, first for real and then dry: the same is
// counted, under the other label, and everybody is let in.
func TestDryRun(t *testing.T) {
	const a, uid = "10.0.0.1", "u"
	one := func(dry bool) Rate { return Rate{PerSecond: 1, Burst: 1, DryRun: dry} }
	var buckets [2]int64
	accept := func(g *Gate) bool { _, ok := g.Accept(); return ok }
	enter := func(g *Gate) bool { _, ok := g.EnterForwarded(addr(a)); return ok }
	handshake := func(g *Gate) bool { _, ok := g.Handshake(addr(a)); return ok }
	user := func(g *Gate) bool { _, ok := g.User(uid); return ok }
	request := func(g *Gate) bool { reason, _ := g.Request(uid, &buckets, []byte("msg.send"), 1); return reason == "" }
	class := func(c Class) []Class { c.Name, c.Commands = "c", []string{"msg."}; return []Class{c} }
	for _, c := range []struct {
		reason Reason
		set    func(c *Config, dry bool)
		call   func(*Gate) bool
	}{
		{ReasonMemory, func(c *Config, dry bool) { c.Memory.DryRun = dry }, accept},
		{ReasonConnections, func(c *Config, dry bool) { c.Connections = Count{1, dry} }, accept},
		{ReasonAccepts, func(c *Config, dry bool) { c.Accepts = one(dry) }, accept},
		{ReasonDenied, func(c *Config, dry bool) { c.Deny, c.ListsDryRun = []string{a}, dry }, enter},
		{ReasonAddressConnections, func(c *Config, dry bool) { c.ConnectionsPerAddress = Count{1, dry} }, enter},
		{ReasonAddressAccepts, func(c *Config, dry bool) { c.AcceptsPerAddress = one(dry) }, enter},
		{ReasonHandshakes, func(c *Config, dry bool) { c.Handshakes = one(dry) }, handshake},
		{ReasonAddressHandshakes, func(c *Config, dry bool) { c.HandshakesPerAddress = one(dry) }, handshake},
		{ReasonUserConnections, func(c *Config, dry bool) { c.ConnectionsPerUser = Count{1, dry} }, user},
		{ReasonSessionRequests, func(c *Config, dry bool) { c.SessionRequests = one(dry) }, request},
		{ReasonSessionBytes, func(c *Config, dry bool) { c.SessionBytes = one(dry) }, request},
		{ReasonUserRequests, func(c *Config, dry bool) { c.UserRequests = one(dry) }, request},
		{ReasonUserBytes, func(c *Config, dry bool) { c.UserBytes = one(dry) }, request},
		{ReasonClassRequests, func(c *Config, dry bool) { c.Classes = class(Class{Requests: one(dry)}) }, request},
		{ReasonClassBytes, func(c *Config, dry bool) { c.Classes = class(Class{Bytes: one(dry)}) }, request},
	} {
		for _, dry := range []bool{false, true} {
			w := newWorld()
			cfg := Unlimited()
			c.set(&cfg, dry)
			g := w.gate(t, cfg)
			if c.reason == ReasonMemory {
				g.level.Store(int32(LevelDropQueues))
			}
			buckets = [2]int64{}
			let := 0
			const calls = 5
			for range calls {
				if c.call(g) {
					let++
				}
			}
			real, dryly := w.refusals(t, c.reason, "false"), w.refusals(t, c.reason, "true")
			if dry && (let != calls || real != 0 || dryly < calls-1) || !dry && (let > 1 || real < calls-1 || dryly != 0) {
				t.Errorf("%v, dry run %t: %d of %d let in, %v refused, %v dryly", c.reason, dry, let, calls, real, dryly)
			}
		}
	}
}
