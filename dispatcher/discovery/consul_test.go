package discovery_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
	"github.com/holdfast-io/holdfast/dispatcher/discovery/discoverytest"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// patience bounds waits that only a fault uses up.
const patience = time.Minute

// logger drops what tests provoke, unless somebody looks into one.
func logger() *slog.Logger {
	if os.Getenv("HOLDFAST_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

func consulConfig(addr, prefix string) discovery.ConsulConfig {
	cfg := discovery.DefaultConsulConfig()
	cfg.Address, cfg.Prefix = addr, "holdfast-test/"+prefix
	return cfg
}

func dial(t testing.TB, addr string) *api.Client {
	t.Helper()
	transport := &http.Transport{}
	client, err := api.NewClient(&api.Config{Address: addr, HttpClient: &http.Client{Transport: transport, Timeout: 5 * time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return client
}

// background runs run until the test ends, or the function that it returns is
// called; that returns what run returned.
func background(t testing.TB, run func(context.Context) error) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var err error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err = run(ctx)
	}()
	stop = func() error { cancel(); <-ended; return err }
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("ended with %v", err)
		}
	})
	return stop
}

// watch follows services until the test ends.
func watch(t testing.TB, cfg discovery.ConsulConfig, w discovery.Watch) *discovery.Consul {
	t.Helper()
	c, err := discovery.NewConsul(cfg, w, logger(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	background(t, c.Run)
	return c
}

// until waits for a snapshot of service that ok accepts.
func until(t testing.TB, d discovery.Discovery, service string, ok func(discovery.Service) bool) *discovery.Snapshot {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var last *discovery.Snapshot
	for version := uint64(0); ; version = last.Version {
		got, err := d.Next(ctx, version)
		if err != nil {
			t.Fatalf("no such snapshot of %s; the last is %+v", service, last)
		}
		if last = got; ok(got.Services[service]) {
			return got
		}
	}
}

// poll calls ok until it is true.
func poll(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestConsul runs the suite against services that are registered without any
// registrar of ours, as a team may do whose instances are not written in Go.
func TestConsul(t *testing.T) {
	server := testenv.StartConsul(t, testenv.ConsulOptions{})
	client := dial(t, server.Addr)
	round := 0
	discoverytest.Run(t, func(t *testing.T) discoverytest.Subject {
		round++
		cfg := consulConfig(server.Addr, fmt.Sprintf("suite-%d-%d", os.Getpid(), round))
		set := &foreign{client: client, prefix: cfg.Prefix, ids: map[string]bool{}}
		t.Cleanup(func() { set.clear(t) })
		return discoverytest.Subject{
			Discovery: watch(t, cfg, discovery.Watch{Services: []string{"logic", "echo"}}),
			Set:       set.set,
		}
	})
}

// foreign registers instances by Consul's own means.
type foreign struct {
	client *api.Client
	prefix string
	ids    map[string]bool
}

func (f *foreign) set(t *testing.T, is []discovery.Instance) {
	t.Helper()
	for _, i := range is {
		s := &api.AgentServiceRegistration{ID: i.Service + "/" + i.ID, Name: i.Service, Meta: map[string]string{"id": i.ID, "zone": i.Zone}}
		maps.Copy(s.Meta, i.Meta)
		s.Meta["slot"] = strconv.Itoa(i.Slot)
		if i.Incarnation != 0 {
			s.Meta["incarnation"] = strconv.FormatInt(i.Incarnation, 10)
		}
		if network, target, err := discovery.SplitAddress(i.Address); err == nil && network == "tcp" {
			host, port, _ := net.SplitHostPort(target)
			s.Address = host
			s.Port, _ = strconv.Atoi(port)
		} else {
			s.Meta["address"] = i.Address
		}
		if err := f.client.Agent().ServiceRegister(s); err != nil {
			t.Fatal(err)
		}
		f.ids[s.ID] = true
	}
}

func (f *foreign) clear(t *testing.T) {
	for id := range f.ids {
		if err := f.client.Agent().ServiceDeregister(id); err != nil {
			t.Error(err)
		}
	}
	if _, err := f.client.KV().DeleteTree(f.prefix, nil); err != nil {
		t.Error(err)
	}
}

// standings keeps what a registrar told.
type standings struct {
	mu   sync.Mutex
	last discovery.Standing
	all  []discovery.Standing
}

func (s *standings) tell(now discovery.Standing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.all = now, append(s.all, now)
}

func (s *standings) now() discovery.Standing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// awaitSlot waits until the slot is served and confirmed.
func (s *standings) awaitSlot(t testing.TB, slot int) {
	t.Helper()
	want := discovery.Standing{Serving: true, Slot: slot, Confirmed: true}
	poll(t, fmt.Sprintf("standing %+v, now %+v", want, s.now()), func() bool { return s.now() == want })
}

// announce registers until the test ends, or stop is called.
func announce(t testing.TB, cfg discovery.ConsulConfig, r discovery.Registration) (*standings, func() error) {
	t.Helper()
	c, err := discovery.NewConsulRegistrar(cfg, logger(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	told := &standings{}
	r.Tell = told.tell
	return told, background(t, func(ctx context.Context) error { return c.Register(ctx, r) })
}

func echoAt(id string, slot int) discovery.Registration {
	return discovery.Registration{
		ID: id, Service: "echo", Address: "127.0.0.1:7091", Slot: slot, Incarnation: time.Now().UnixNano(),
		Zone: "z1", Meta: map[string]string{"version": "3", "track": "blue"},
	}
}
