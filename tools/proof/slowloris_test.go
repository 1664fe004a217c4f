package proof

import (
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/tools/testenv"
)

// The promise about slowloris (P20).
const (
	dripEvery         = 4 * time.Second
	dripGoroutines    = 200
	dripShare         = 0.05
	helloTimeout      = 8 * time.Second
	proxyTimeout      = 3 * time.Second
	deadlineTolerance = 3 * time.Second // of closing thousands on a loaded machine
)

// drip is a way to say something right that never ends.
type drip struct {
	name  string
	text  []byte
	proxy bool
}

func drips(t *testing.T, g *target) []drip {
	head := "GET /v1/poll HTTP/1.1\r\nHost: localhost\r\nX-Filler: "
	return []drip{
		{"tcp", hello("somebody with a long name"), false},
		{"tls", clientHello(t, g.tls), false},
		{"ws", upgrade(""), false},
		{"http", []byte(head), false},
		{"proxy", []byte("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"), true},
	}
}

// TestSlowloris has 5,000 clients send a byte every four seconds, of HELLO, of a
// ClientHello, of two kinds of HTTP head and of a PROXY header. All are closed by
// their deadline, and cost next to nothing. In the long form there are 5,000 of each.
func TestSlowloris(t *testing.T) {
	const all = 5000
	g := deploy(t, options{})
	kinds := drips(t, g)
	attack := func(t *testing.T, what string, kinds ...drip) {
		spent := g.slowloris(t, what, kinds, all/len(kinds))
		if spent > dripShare { // the same work takes longer on a machine that does other things as well
			spent = min(spent, g.slowloris(t, what+" again", kinds, all/len(kinds)))
		}
		if spent > dripShare {
			t.Errorf("%.1f %% of a core, want at most %.0f %%", 100*spent, 100*dripShare)
		}
	}
	if !testenv.Soak() {
		attack(t, "five kinds together", kinds...)
		return
	}
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) { attack(t, kind.name, kind) })
	}
}

// slowloris attacks, and returns the part of a core that it took until all were
// closed.
func (g *target) slowloris(t *testing.T, what string, kinds []drip, each int) float64 {
	t.Helper()
	before := g.usage()
	crowds := make([]crowd, len(kinds))
	var all crowd
	for i, kind := range kinds {
		address := g.edge
		if kind.proxy {
			address = g.proxied
		}
		crowds[i] = gather(t, each, address, nil)
		all = append(all, crowds[i]...)
	}
	began := g.usage()
	goroutines, dripped := 0, 0
	for ; all.left() > 0; dripped++ {
		if time.Since(began.at) > patience {
			t.Fatalf("%d of %d drips are still open after %v", all.left(), len(all), patience)
		}
		for i, kind := range kinds {
			if dripped < len(kind.text) {
				crowds[i].say(kind.text[dripped : dripped+1])
			}
		}
		goroutines = max(goroutines, int(g.metrics().value("go_goroutines"))) // seldom: it costs the gateway more than the drips
		for next := time.Now().Add(dripEvery); all.left() > 0 && time.Now().Before(next); {
			time.Sleep(50 * time.Millisecond)
		}
	}
	eventually(t, "every connection is forgotten", func() bool { return g.usage().open == 0 })
	after := g.usage()
	longest := map[string]time.Duration{}
	for i, kind := range kinds {
		longest[kind.name] = crowds[i].longest().Round(100 * time.Millisecond)
	}
	testenv.Figure(t, "P20", "%s, %d connections: longest open %v; %d goroutines more; %.1f %% of a core until all were closed, %.1f %% with the %v in which they came; %+.1f MB resident",
		what, len(all), longest, goroutines-before.goroutines, 100*share(began, after), 100*share(before, after), began.at.Sub(before.at).Round(10*time.Millisecond), float64(after.peak-before.rss)/1e6)
	for i, kind := range kinds {
		limit := helloTimeout
		if kind.proxy {
			limit = proxyTimeout
		}
		if d := crowds[i].longest(); d > limit+deadlineTolerance {
			t.Errorf("%s: a drip was open for %v, want %v at most", kind.name, d, limit)
		}
	}
	if more := goroutines - before.goroutines; more > dripGoroutines {
		t.Errorf("%d goroutines more, want at most %d", more, dripGoroutines)
	}
	if err := visit(g.edge); err != nil {
		t.Errorf("a client afterwards: %v", err)
	}
	return share(began, after)
}
