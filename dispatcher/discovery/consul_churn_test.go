package discovery_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

const (
	churnInstances = 20
	churnWatchers  = 3
	// agreeWithin is promised: after a change of Consul's all tables agree.
	agreeWithin = 2 * time.Second
)

// TestChurn lets 20 instances start, leave, restart and be killed at random, while
// Consul is restarted and loses everything. No slot is served twice, nobody who
// lives loses its slot or its users, and all who watch agree.
func TestChurn(t *testing.T) {
	t.Parallel()
	server := testenv.StartConsul(t, testenv.ConsulOptions{})
	server.MustBeOurs()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	length, rounds := 14*time.Second, 1
	if testenv.Soak() {
		length, rounds = time.Minute, 5
	}
	cfg := consulConfig(server.Addr, t.Name())
	// A third of the time a killed one has to be gone for; the machine may be slow.
	cfg.CheckTTL, cfg.SlotHold, cfg.Settle = 6*time.Second, 4*time.Second, 4*time.Second
	g := newGang(t, cfg, rand.New(rand.NewPCG(seed, 1)))
	for i := range churnWatchers {
		g.watch(t, i)
	}
	for i := range churnInstances {
		g.start(g.member(i))
	}
	g.settle(t, "after the first start")
	for range rounds {
		g.churn(length / 3)
		server.Kill()
		g.churn(time.Second)
		server.Launch()
		g.churn(length / 3)
		g.settle(t, "after a restart")
		server.Kill()
		g.churn(time.Second)
		server.Forget()
		server.Launch()
		g.churn(length / 3)
		g.settle(t, "after losing everything")
	}
	for range 5 {
		g.disturb()
		g.settle(t, "after one change")
	}
	g.report(t)
}

// churn does something to somebody every now and then.
func (g *gang) churn(length time.Duration) {
	for end := time.Now().Add(length); time.Now().Before(end); {
		time.Sleep(time.Duration(50+g.random.IntN(300)) * time.Millisecond)
		g.disturb()
	}
}

// disturb starts somebody, or ends somebody's life, or both.
func (g *gang) disturb() {
	m := g.member(g.random.IntN(churnInstances))
	if !g.running(m) {
		if g.random.IntN(3) == 0 && m.cfg.Folder == "" {
			g.rename(m)
		}
		g.start(m)
		return
	}
	g.stop(m, []ending{leaves, killed}[g.random.IntN(2)])
	if g.random.IntN(2) == 0 {
		g.start(m)
	}
}

// settle waits until everybody who runs serves, and everybody who watches sees it.
func (g *gang) settle(t *testing.T, when string) {
	t.Helper()
	poll(t, when+" everybody serves", g.allServe)
	var changed time.Time
	truth := ""
	poll(t, when+" all tables agree", func() bool {
		now, ok := g.truth(t)
		if !ok || now != truth {
			truth, changed = now, time.Now()
		}
		return ok && g.agree(truth)
	})
	lag := time.Since(changed)
	t.Logf("%s: %s; tables agree %v after Consul's last change", when, g.summary(), lag.Round(time.Millisecond))
	if lag > agreeWithin {
		t.Errorf("%s the tables agreed after %v, want %v", when, lag, agreeWithin)
	}
}

// truth is what Consul itself says, as text; not while it is settling.
func (g *gang) truth(t *testing.T) (string, bool) {
	ctx := t.Context()
	states, err := discovery.ListSlots(ctx, g.cfg, g.service)
	if err != nil || !g.registrySettled() {
		return "", false
	}
	text := ""
	for _, s := range states {
		passing := "vacant"
		if s.Passing {
			passing = "there"
		}
		text += fmt.Sprintf("%d %s %d %s\n", s.Slot, s.Holder.ID, s.Holder.Incarnation, passing)
	}
	return text, true
}

// seen is the same text, from a table.
func seen(s discovery.Service) string {
	there := map[int]bool{}
	for _, i := range s.Instances {
		there[i.Slot] = true
	}
	text := ""
	for slot, h := range s.Holders {
		passing := "vacant"
		if there[slot] {
			passing = "there"
		}
		text += fmt.Sprintf("%d %s %d %s\n", slot, h.ID, h.Incarnation, passing)
	}
	return text
}
