package gateway_test

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-io/holdfast/gateway"
	"github.com/holdfast-io/holdfast/gateway/admission"
	"github.com/holdfast-io/holdfast/gateway/transport"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// reload puts e's configuration with a change into force.
func (e *edge) reload(t *testing.T, change func(*gateway.Config)) {
	t.Helper()
	cfg := e.changed(change)
	if restart, err := e.srv.Reload(cfg); err != nil || len(restart) > 0 {
		t.Fatalf("Reload = %v, %v", restart, err)
	}
	e.cfg = cfg
}

// changed is a copy of e's configuration with a change.
func (e *edge) changed(change func(*gateway.Config)) gateway.Config {
	cfg := e.cfg
	cfg.Listeners = slices.Clone(cfg.Listeners)
	change(&cfg)
	return cfg
}

// verdictOf is the code with which a client of addr and a page of origin is
// refused by w, 0 for WELCOME.
func (e *edge) verdictOf(t *testing.T, w way, addr, origin string) wire.CloseCode {
	t.Helper()
	a := from(addr)
	if origin != "" {
		a.header = map[string]string{"Origin": origin}
	}
	c := e.come(t, w, a)
	defer c.cut()
	if refused, how := endedAlready(c); refused {
		return how.code
	}
	c.say(hello("u"))
	if f, ok := c.hear(); ok && f.Type == wire.TypeWelcome {
		return 0
	}
	_, how := rest(c)
	return how.code
}

// TestReloadLive: admission, origins and whose word is believed change under
// clients on every transport; those that are in stay.
func TestReloadLive(t *testing.T) {
	e := startEdge(t)
	here := e.guests(t, "u ")
	want := func(addr, origin string, code wire.CloseCode) {
		t.Helper()
		for _, w := range onOnePort() {
			if origin != "" && w.kind == kindStream {
				continue
			}
			if got := e.verdictOf(t, w, addr, origin); got != code {
				t.Errorf("%s from %s of %q = %d, want %d", w.name, addr, origin, got, code)
			}
		}
	}
	const page = "https://app.test"
	want("198.51.100.1", "", 0)
	want("198.51.100.1", page, 4503)
	e.reload(t, func(c *gateway.Config) {
		c.Origins = []string{page}
		c.Admission.Deny = []string{"198.51.100.0/24"}
	})
	want("198.51.100.1", "", 4503)
	want("203.0.113.1", page, 0)
	e.reload(t, func(c *gateway.Config) {
		c.Origins = nil
		c.Admission.Deny = nil
		c.Admission.HandshakesPerAddress = admission.Rate{PerSecond: 0.001, Burst: 1}
	})
	want("203.0.113.1", page, 4503)
	for i, w := range onOnePort() {
		addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}).String()
		if first, second := e.verdictOf(t, w, addr, ""), e.verdictOf(t, w, addr, ""); first != 0 || second != 4011 {
			t.Errorf("%s: two logins with one allowed = %d, %d", w.name, first, second)
		}
	}
	e.reload(t, func(c *gateway.Config) {
		c.Admission = admission.Unlimited()
		c.Listeners[proxiedDoor].Proxy.Trusted = []string{"192.0.2.0/24"}
	})
	c := e.come(t, ways[0], from("203.0.113.1"))
	c.say(hello("u"))
	if f, ok := c.hear(); ok {
		t.Errorf("a balancer that is not trusted any more brought %s", describe(f))
	}
	for _, c := range here {
		wantReply(t, c, 1, "echo.say", `1`, `1`)
	}
	if n := e.srv.Sessions(); n < int64(len(here)) {
		t.Errorf("%d sessions are left of %d", n, len(here))
	}
}

// TestReloadAllOrNothing: a configuration with one mistake changes nothing, and
// neither does one whose certificate cannot be read.
func TestReloadAllOrNothing(t *testing.T) {
	e := startEdge(t)
	const page = "https://app.test"
	opens := func(c *gateway.Config) {
		c.Origins = []string{page, "https://other.test"}
		c.Admission.Deny = []string{"203.0.113.0/24"}
	}
	unchanged := func(what string) {
		t.Helper()
		if a, b := e.verdictOf(t, ways[8], "198.51.100.1", page), e.verdictOf(t, ways[1], "203.0.113.1", ""); a != 4503 || b != 0 {
			t.Errorf("%s: the page gets %d and the address %d, want what was in force: 4503 and 0", what, a, b)
		}
	}
	for key, mistake := range map[string]func(*gateway.Config){
		"origins.1":                 func(c *gateway.Config) { c.Origins[1] = "not an origin" },
		"admission":                 func(c *gateway.Config) { c.Admission.Deny = append(c.Admission.Deny, "nonsense") },
		"session.window":            func(c *gateway.Config) { c.Session.Window = -1 },
		"listeners.1.proxy.trusted": func(c *gateway.Config) { c.Listeners[proxiedDoor].Proxy.Trusted = []string{"everybody"} },
		"listeners.1.forwarded_for": func(c *gateway.Config) { c.Listeners[proxiedDoor].ForwardedFor = []string{"x/8"} },
		"admission.memory":          func(c *gateway.Config) { c.Admission.Memory.ShortenIdle = 2 },
	} {
		_, err := e.srv.Reload(e.changed(func(c *gateway.Config) { opens(c); mistake(c) }))
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("Reload with a mistake in %s = %v", key, err)
		}
		unchanged(key)
	}

	file := e.cfg.Listeners[openDoor].TLS.Certificates[0].Cert
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("-----BEGIN CERTIFICATE-----\nbad\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := e.srv.Reload(e.changed(opens)); err == nil || !strings.Contains(err.Error(), "certificates") {
		t.Errorf("Reload with a broken certificate = %v", err)
	}
	unchanged("a broken certificate")
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	e.reload(t, opens)
	if a, b := e.verdictOf(t, ways[8], "198.51.100.1", page), e.verdictOf(t, ways[1], "203.0.113.1", ""); a != 0 || b != 4503 {
		t.Errorf("afterwards the page gets %d and the address %d, want 0 and 4503", a, b)
	}

	// What is bound is named, and the rest is taken.
	cfg := e.changed(func(c *gateway.Config) {
		c.Origins = nil
		c.Name = "another"
		c.Listeners[unixDoor].Transports = []transport.Name{transport.TCP}
	})
	restart, err := e.srv.Reload(cfg)
	if err != nil || !slices.Equal(restart, []string{"name", "listeners.2"}) {
		t.Errorf("Reload of what is bound = %v, %v, want name and listeners.2", restart, err)
	}
	if got := e.verdictOf(t, ways[8], "198.51.100.1", page); got != 4503 {
		t.Errorf("the page gets %d after it was taken off the list", got)
	}
}

// TestDryRun: a limit that only counts refuses nobody, on no transport.
func TestDryRun(t *testing.T) {
	e := startEdge(t, func(c *gateway.Config) {
		c.Admission.Connections = admission.Count{Max: 1, DryRun: true}
		c.Admission.ConnectionsPerAddress = admission.Count{Max: 1, DryRun: true}
		c.Admission.ConnectionsPerUser = admission.Count{Max: 1, DryRun: true}
		c.Admission.Accepts = admission.Rate{PerSecond: 0.001, Burst: 1, DryRun: true}
		c.Admission.AcceptsPerAddress = admission.Rate{PerSecond: 0.001, Burst: 1, DryRun: true}
		c.Admission.Handshakes = admission.Rate{PerSecond: 0.001, Burst: 1, DryRun: true}
		c.Admission.HandshakesPerAddress = admission.Rate{PerSecond: 0.001, Burst: 1, DryRun: true}
		c.Admission.SessionRequests = admission.Rate{PerSecond: 0.001, Burst: 1, DryRun: true}
		c.Admission.Deny, c.Admission.ListsDryRun = []string{"0.0.0.0/0"}, true
	})
	for _, w := range ways {
		a := from("198.51.100.1")
		if w.unix {
			a = approach{}
		}
		c, _ := e.loginBy(t, w, a, "u")
		for id := uint32(1); id <= 4; id++ {
			wantReply(t, c, id, "echo.say", `1`, `1`)
		}
	}
	for _, reason := range []string{"connections", "address_connections", "user_connections", "accepts", "address_accepts", "handshakes", "address_handshakes", "session_requests", "denied"} {
		if e.dryRuns(reason) == 0 {
			t.Errorf("%s: nothing was counted", reason)
		}
	}
}

// dryRuns is how often a limit would have refused.
func (e *edge) dryRuns(reason string) (n float64) {
	families, err := e.reg.Gather()
	if err != nil {
		e.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "holdfast_admission_refusals_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := make(map[string]string)
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["reason"] == reason && labels["dry_run"] == "true" {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

// TestBelievedLater: a connection that was counted before its proxy was believed
// gives its place back where it took it.
func TestBelievedLater(t *testing.T) {
	e := startEdge(t, func(c *gateway.Config) { c.Admission.ConnectionsPerAddress = admission.Count{Max: 1} })
	proxy := from("10.8.0.1")
	conn, err := e.dialDoor(proxy)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	eventually(t, "it has come", func() bool { return e.metric("holdfast_gateway_proxy_headers_total", "taken") == 1 })
	e.reload(t, func(c *gateway.Config) { c.Listeners[proxiedDoor].ForwardedFor = []string{"10.8.0.0/16"} })
	c := newWSClient(t, conn, false, approach{header: map[string]string{"X-Forwarded-For": "198.51.100.1"}})
	c.say(hello("u"))
	wantWelcome(t, c)
	c.cut()
	eventually(t, "it is gone", func() bool { return openConnections(t, e.reg) == 0 })
	e.reload(t, func(c *gateway.Config) { c.Listeners[proxiedDoor].ForwardedFor = nil })
	for _, addr := range []string{"10.8.0.1", "198.51.100.1"} {
		if got := e.verdictOf(t, ways[0], addr, ""); got != 0 {
			t.Errorf("%s has no place any more: %d", addr, got)
		}
	}
}
