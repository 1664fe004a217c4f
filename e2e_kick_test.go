package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/gateway/client"
	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// kicker is a backend that remembers where its users are.
type kicker struct {
	*kit.Server
	mu sync.Mutex
	at map[string]map[string]bool // uid -> gateways
}

func startKicker(t *testing.T) *kicker {
	t.Helper()
	k := &kicker{at: make(map[string]map[string]bool)}
	k.Server = startBackend(t, kit.Backend{Connect: k.connect})
	return k
}

func (k *kicker) connect(_ context.Context, l kit.Login) (kit.Identity, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.at[l.Token] == nil {
		k.at[l.Token] = make(map[string]bool)
	}
	k.at[l.Token][l.Session.Gateway] = true
	return kit.Identity{UID: l.Token}, nil
}

func (k *kicker) gateways(uid string) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Collect(maps.Keys(k.at[uid]))
}

// TestKickAcrossGateways: a user is thrown out everywhere, on any transport.
func TestKickAcrossGateways(t *testing.T) {
	k := startKicker(t)
	var endpoints []string
	for _, name := range []string{"gw-a", "gw-b"} {
		gw := start(t, nil, "gateway", "--name", name, "--admin=", "--set", "listeners[0].address=127.0.0.1:0",
			"--set", "listeners[0].transports=tcp,ws,poll", "--set", "rpc.listen=127.0.0.1:0", "--set", "drain.window=0s",
			"--set", "drain.deregister_delay=0s", "--set", "dispatcher.services[0].instances[0].address="+k.Addr().String())
		endpoints = append(endpoints, gw.await(gw.errs, `(?m)msg=listening .* address=(\S+)$`)[1])
		gw.await(gw.errs, `msg="instance answers"`)
	}
	type guest struct {
		*client.Client
		url string
	}
	var guests []guest
	for _, at := range endpoints {
		for _, scheme := range []string{"tcp", "ws", "poll"} {
			url := scheme + "://" + at
			c, err := client.Dial(t.Context(), client.Config{Endpoints: []string{url}, Token: "u1", RequestTimeout: patience})
			if err != nil {
				t.Fatalf("%s: %v", url, err)
			}
			t.Cleanup(func() { c.Close() })
			guests = append(guests, guest{c, url})
		}
	}
	other, err := client.Dial(t.Context(), client.Config{Endpoints: endpoints, Token: "u2", RequestTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if n := len(k.gateways("u1")); n != 2 {
		t.Fatalf("the user is on %d gateways, want 2", n)
	}

	began := time.Now()
	total := 0
	for _, at := range k.gateways("u1") {
		n, err := k.Pusher().Kick(t.Context(), at, kit.KickItem{To: kit.ToUID("u1"), Code: kit.CloseKicked, Reason: "enough"})
		if err != nil {
			t.Fatal(err)
		}
		total += n[0]
	}
	if total != len(guests) {
		t.Errorf("%d sessions were kicked, want %d", total, len(guests))
	}
	var slowest time.Duration
	for _, g := range guests {
		select {
		case <-g.Done():
			slowest = max(slowest, time.Since(began))
		case <-time.After(patience):
			t.Fatalf("%s does not hear of it", g.url)
		}
		var closed *client.CloseError
		if err := g.Err(); !errors.As(err, &closed) || closed.Code != wire.CloseKicked {
			t.Errorf("%s ended with %v, want 4504", g.url, err)
		}
	}
	if err := other.Err(); err != nil {
		t.Errorf("another user ended with %v", err)
	}
	testenv.Figure(t, "kick", "%d sessions on two gateways and three transports heard of it within %v; the promise is 1s",
		len(guests), slowest.Round(time.Millisecond))
}
