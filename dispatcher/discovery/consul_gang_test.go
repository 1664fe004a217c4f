package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
)

// gang is the instances of TestChurn with those who watch them, and the judge.
type gang struct {
	t       *testing.T
	cfg     discovery.ConsulConfig
	service string
	client  *api.Client
	random  *rand.Rand // of the test's goroutine
	members []*member

	mu       sync.Mutex // guards the following, and the members' state
	serving  map[int]*member
	tables   [churnWatchers]discovery.Service
	starts   int
	ended    map[ending]int
	versions int
	slots    int
}

// member is an instance. All but cfg and number belongs to the gang's lock.
type member struct {
	number int
	cfg    discovery.ConsulConfig
	id     string
	life   int64 // incarnation; 0: it does not run
	slot   int   // confirmed in this life; NoSlot: none yet
	stop   func(ending)
}

// ending is how a life ends.
type ending string

const (
	leaves ending = "left"
	killed ending = "killed"
)

func newGang(t *testing.T, cfg discovery.ConsulConfig, random *rand.Rand) *gang {
	g := &gang{t: t, cfg: cfg, service: "churn", client: dial(t, cfg.Address), random: random,
		serving: map[int]*member{}, ended: map[ending]int{}}
	for i := range churnInstances {
		m := &member{number: i, cfg: cfg, id: fmt.Sprintf("i%02d", i), slot: discovery.NoSlot}
		if i%2 == 0 { // the others remember nothing, and leave for good
			m.cfg.Folder = t.TempDir()
		}
		g.members = append(g.members, m)
	}
	t.Cleanup(func() {
		for _, m := range g.members {
			g.stop(m, leaves)
		}
	})
	return g
}

func (g *gang) member(i int) *member { return g.members[i] }

func (g *gang) running(m *member) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return m.life != 0
}

// rename makes m another instance that nobody knows.
func (g *gang) rename(m *member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m.id = fmt.Sprintf("i%02d-%d", m.number, g.starts)
}

func (g *gang) start(m *member) {
	registrar, err := discovery.NewConsulRegistrar(m.cfg, logger(), prometheus.NewRegistry())
	if err != nil {
		g.t.Fatal(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.starts++
	life := time.Now().UnixNano()
	m.life, m.slot = life, discovery.NoSlot
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan struct{})
	m.stop = func(how ending) { cancel(errors.New(string(how))); <-ended }
	r := discovery.Registration{
		ID: m.id, Service: g.service, Address: fmt.Sprintf("127.0.0.1:%d", 7100+m.number), Incarnation: life,
		Slot: discovery.ClaimSlot, Tell: func(s discovery.Standing) { g.told(m, life, s) },
	}
	go func() {
		defer close(ended)
		err := registrar.RegisterThen(ctx, r, func() bool { return context.Cause(ctx).Error() == string(leaves) })
		if err != nil {
			g.t.Errorf("%s ended with %v", r.ID, err)
		}
	}()
}

// stop ends m's life, if it has one.
func (g *gang) stop(m *member, how ending) {
	g.mu.Lock()
	if m.life == 0 {
		g.mu.Unlock()
		return
	}
	m.life = 0
	g.ended[how]++
	if g.serving[m.slot] == m {
		delete(g.serving, m.slot)
	}
	stop := m.stop
	g.mu.Unlock()
	stop(how)
}

// told is the judge of the instances' side: it is called as they are told whether
// they may serve.
func (g *gang) told(m *member, life int64, s discovery.Standing) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m.life != life || s.Serving && !s.Confirmed {
		return // it is ending; or it serves what it remembers, while no table changes
	}
	if m.slot != discovery.NoSlot && s.Slot != m.slot {
		g.t.Errorf("%s, which lives and serves slot %d, is told %+v", m.id, m.slot, s)
	}
	if !s.Serving {
		return
	}
	if other := g.serving[s.Slot]; other != nil && other != m {
		g.t.Errorf("%s and %s serve slot %d", m.id, other.id, s.Slot)
	}
	g.serving[s.Slot], m.slot = m, s.Slot
}

// watch follows the service as a gateway does, until the test ends.
func (g *gang) watch(t *testing.T, n int) {
	d := watch(t, g.cfg, discovery.Watch{Services: []string{g.service}, Alive: func(_, id string) bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, m := range g.members {
			if m.id == id {
				return m.life != 0
			}
		}
		return false
	}})
	background(t, func(ctx context.Context) error {
		for version := uint64(0); ; {
			s, err := d.Next(ctx, version)
			if err != nil {
				return nil
			}
			version = s.Version
			g.saw(n, s.Services[g.service])
		}
	})
}

// saw is the judge of the watchers' side: the users of an instance that lives stay
// with it.
func (g *gang) saw(n int, now discovery.Service) {
	g.mu.Lock()
	defer g.mu.Unlock()
	was := g.tables[n]
	g.tables[n] = now
	g.versions++
	if now.Slots < was.Slots {
		g.t.Errorf("watcher %d: %d slots, and there were %d", n, now.Slots, was.Slots)
	}
	g.slots = max(g.slots, now.Slots)
	holds := map[int]string{}
	for _, i := range now.Instances {
		holds[i.Slot] = i.ID
	}
	for _, i := range was.Instances {
		m := g.byLife(i.ID, i.Incarnation)
		if m != nil && i.Slot != discovery.NoSlot && i.Slot == m.slot && holds[i.Slot] != i.ID {
			g.t.Errorf("watcher %d: slot %d was with %s, which lives, and now is with %q", n, i.Slot, i.ID, holds[i.Slot])
		}
	}
}

// byLife returns the member of that id if it still is in that life.
func (g *gang) byLife(id string, life int64) *member {
	for _, m := range g.members {
		if m.id == id && m.life == life && life != 0 {
			return m
		}
	}
	return nil
}

// allServe tells whether everybody who runs serves a slot.
func (g *gang) allServe() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range g.members {
		if m.life != 0 && m.slot == discovery.NoSlot {
			return false
		}
	}
	return true
}

// agree tells whether every watcher's table is truth.
func (g *gang) agree(truth string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, table := range g.tables {
		if seen(table) != truth {
			return false
		}
	}
	return true
}

// registrySettled asks Consul whether instances still have time to come back.
func (g *gang) registrySettled() bool {
	pair, _, err := g.client.KV().Get(g.cfg.Prefix+"/"+g.service+"/registry", nil)
	return err == nil && pair != nil && strings.Contains(string(pair.Value), `"settled":true`)
}

func (g *gang) summary() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return fmt.Sprintf("%d serve %d slots", len(g.serving), g.tables[0].Slots)
}

func (g *gang) report(t *testing.T) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t.Logf("%d starts, %d left, %d killed, %d tables seen by %d watchers; at most %d slots",
		g.starts, g.ended[leaves], g.ended[killed], g.versions, churnWatchers, g.slots)
}
