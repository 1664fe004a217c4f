package dispatcher

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestReloadRoutes: what is under way ends by the old routes, what comes goes by the
// new ones, and services come and go.
func TestReloadRoutes(t *testing.T) {
	cfg := testConfig()
	inWorld(t, cfg, 1, func(t *testing.T, w *world) {
		heal := w.backend(0).hang()
		l, sink := w.open("alice")
		submit(l, 1)
		synctest.Wait()

		next := cfg
		next.Services = append(slices.Clone(cfg.Services), ServiceConfig{Name: "contacts"})
		next.Routes = append(slices.Clone(cfg.Routes), RouteConfig{Prefix: "contact.", Service: "contacts"})
		l.Submit(2, []byte("contact.list"), nil)
		if got := sink.of(2); got.reason != "no_route" {
			t.Errorf("before: %+v, want no_route", got)
		}
		if err := w.d.Reload(next); err != nil {
			t.Fatalf("Reload = %v", err)
		}
		contacts := w.join("contacts", 0)
		l.Submit(3, []byte("contact.list"), nil)
		synctest.Wait()
		if got := sink.of(3); got.reason != "" || len(contacts.packets()) != 1 {
			t.Errorf("after: %+v, want the new service's answer", got)
		}
		heal()
		synctest.Wait()
		if got := sink.of(1); got.reason != "" {
			t.Errorf("what was under way: %+v, want its answer", got)
		}

		if err := w.d.Reload(cfg); err != nil {
			t.Fatalf("Reload back = %v", err)
		}
		l.Submit(4, []byte("contact.list"), nil)
		if got := sink.of(4); got.reason != "no_route" {
			t.Errorf("with the service gone: %+v, want no_route", got)
		}
		if got := len(w.d.Instances()); got != 1 {
			t.Errorf("%d instances are left, want 1", got)
		}
		if err := w.d.Reload(next); err != nil {
			t.Fatalf("Reload again = %v", err)
		}
		time.Sleep(time.Second)
		l.Submit(5, []byte("contact.list"), nil)
		synctest.Wait()
		if got := sink.of(5); got.reason != "" || contacts.packets()[1].Seq != 2 {
			t.Errorf("with the service back: %+v, want an answer, and seq to go on", got)
		}
	})
}

// TestReloadRefuses: what is wrong, or needs a restart, is named and changes nothing.
func TestReloadRefuses(t *testing.T) {
	cfg := testConfig()
	inWorld(t, cfg, 1, func(t *testing.T, w *world) {
		tests := []struct {
			key    string
			change func(*Config)
		}{
			{"routes[0].service", func(c *Config) { c.Routes = []RouteConfig{{Service: "nobody"}} }},
			{"routes[0].outage", func(c *Config) { c.Routes = []RouteConfig{{Service: testService, Outage: "panic"}} }},
			{"services[0].timeout", func(c *Config) {
				c.Services = []ServiceConfig{{Name: testService, CallsInFlight: 1, Timeout: time.Hour}}
			}},
			{"services[0].hash", func(c *Config) { c.Services = []ServiceConfig{{Name: testService, CallsInFlight: 1, Hash: 1}} }},
			{"login", func(c *Config) { c.Login.Queue++ }},
			{"breaker", func(c *Config) { c.Breaker.OpenFor++ }},
		}
		was := w.d.routes.Load()
		for _, tt := range tests {
			next := cfg
			next.Routes = append(slices.Clone(cfg.Routes), RouteConfig{Prefix: "new.", Service: testService})
			tt.change(&next)
			for name, try := range map[string]func(Config) error{"Reload": w.d.Reload, "Reloadable": w.d.Reloadable} {
				if err := try(next); err == nil || !strings.Contains(err.Error(), tt.key+": ") {
					t.Errorf("%s: %s = %v, want an error that names it", tt.key, name, err)
				}
			}
			if w.d.routes.Load() != was {
				t.Fatalf("%s: the routes have changed", tt.key)
			}
		}
		next := cfg
		next.Routes = append(slices.Clone(cfg.Routes), RouteConfig{Prefix: "new.", Service: testService})
		if err := w.d.Reloadable(next); err != nil || w.d.routes.Load() != was {
			t.Errorf("Reloadable of what works = %v, or it changed the routes", err)
		}
	})
}

// TestReloadLimits: bounds change for instances that run.
func TestReloadLimits(t *testing.T) {
	cfg := testConfig()
	cfg.Services[0].MaxQueued = 1
	inWorld(t, cfg, 1, func(t *testing.T, w *world) {
		heal := w.backend(0).hang()
		l, sink := w.open("alice")
		submit(l, 1)
		synctest.Wait()
		submit(l, 2, 3)
		if got := sink.of(3); got.reason != "queue_full" {
			t.Errorf("before: %+v, want queue_full", got)
		}
		next := cfg
		next.Services = slices.Clone(cfg.Services)
		next.Services[0].MaxQueued = 10
		if err := w.d.Reload(next); err != nil {
			t.Fatal(err)
		}
		submit(l, 4)
		sink.waits(4)
		heal()
		synctest.Wait()
	})
}

// TestExplain: what is shown is what happens.
func TestExplain(t *testing.T) {
	inWorld(t, failoverConfig(), 4, func(t *testing.T, w *world) {
		uid := uidOn(2, 4)
		e := w.d.Explain(uid, "msg.send")
		if e.Service != testService || e.Route != "msg." || e.Slots != 4 || e.Slot != 2 || e.Holder.Instance != "i2" ||
			!e.Holder.Usable || e.Holder.Breaker != "closed" || e.Picked != "i2" || len(e.Substitutes) != 3 || e.Outage != OutageReject {
			t.Errorf("Explain = %+v", e)
		}
		w.disc.Deregister(testService, "i2")
		synctest.Wait()
		e = w.d.Explain(uid, "msg.send")
		l, sink := w.open(uid)
		submit(l, 1)
		synctest.Wait()
		if e.Holder.Instance != "" || e.Picked != e.Substitutes[0].Instance || len(w.backend(e.Substitutes[0].Slot).packets()) != 1 {
			t.Errorf("with the slot vacant: %+v; the request was answered %+v", e, sink.of(1))
		}
		if e = w.d.Explain(uid, "x"); e.Refusal != "no_route" {
			t.Errorf("without a route: %+v, want no_route", e)
		}
		if e = w.d.Explain(uid, ""); e.Service != testService || e.Slot != 2 {
			t.Errorf("without a command: %+v, want the login service", e)
		}
		views := w.d.Instances()
		if len(views) != 3 || views[0].Slot != 0 || !views[0].Up || views[0].Incarnation != 1000 || views[0].Limiter != "off" {
			t.Errorf("Instances = %+v", views)
		}
		if _, err := json.Marshal(views); err != nil {
			t.Error(err)
		}
	})
}

// TestSubstituteOutlivesTheHolder: the slot stays, with who held it last, so a user
// keeps its substitute when the failed instance also leaves the membership.
func TestSubstituteOutlivesTheHolder(t *testing.T) {
	inWorld(t, failoverConfig(), 5, func(t *testing.T, w *world) {
		for i := range 20 {
			uid := uidOn(3, 5)
			before := w.order(uid, 5)
			if i == 10 {
				w.disc.Deregister(testService, "i3")
				synctest.Wait()
			}
			if after := w.order(uid, 5); !slices.Equal(before, after) {
				t.Fatalf("%s: substitutes were %v and are %v", uid, before, after)
			}
		}
		if got := w.d.service(testService).table.Load().holders[3]; got != 4000 {
			t.Errorf("the vacant slot was held by incarnation %d, want 4000", got)
		}
	})
}
