package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/backend/kit/kittest"
	"github.com/holdfast-io/holdfast/gateway/client"
)

// slowWork is how long the flooded service takes for a request. A request to
// another service that had to wait behind one would take longer than that.
const slowWork = 500 * time.Millisecond

// duties are the backends of configs/gateway.split.yaml, and a gateway with them.
type duties struct {
	t        *testing.T
	slow     atomic.Pointer[string] // the service that works slowly
	endpoint string
}

// startDuties starts the sample configuration with every address replaced by one
// that is free.
func startDuties(t *testing.T) *duties {
	t.Helper()
	d := &duties{t: t}
	d.slow.Store(new(string))
	args := []string{"gateway", "--config", "configs/gateway.split.yaml", "--admin", "127.0.0.1:0",
		"--set", "listeners[0].address=127.0.0.1:0", "--set", "rpc.listen=127.0.0.1:0", "--set", "drain.window=0s"}
	for i, service := range []string{"login", "msg", "contact"} {
		for k := range map[string]int{"login": 1, "msg": 2, "contact": 1}[service] {
			srv, _ := kittest.Start(t, kittest.Config(service), kit.Backend{
				Connect: func(_ context.Context, l kit.Login) (kit.Identity, error) { return kit.Identity{UID: l.Token}, nil },
				Handle:  func(ctx context.Context, p kit.Packet) ([]byte, error) { return d.work(ctx, service, p) },
			})
			args = append(args, "--set", fmt.Sprintf("dispatcher.services[%d].instances[%d].address=%s", i, k, srv.Addr()))
		}
	}
	gateway := startHere(t, args...)
	d.endpoint = gateway.await(gateway.errs, `(?m)msg=listening .* address=(\S+)$`)[1]
	gateway.await(gateway.errs, `(?s)(msg="instance answers".*){4}`)
	return d
}

func (d *duties) work(ctx context.Context, service string, p kit.Packet) ([]byte, error) {
	if service == *d.slow.Load() {
		select {
		case <-time.After(slowWork):
		case <-ctx.Done():
		}
	}
	return p.Payload, nil
}

func (d *duties) connect(uid string) *client.Client {
	d.t.Helper()
	c, err := client.Dial(d.t.Context(), client.Config{Endpoints: []string{d.endpoint}, Token: uid, RequestTimeout: patience})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { c.Close() })
	return c
}

// flood sends to service from many sessions, each with all that its window holds,
// until ctx ends. It returns how many were answered and how many were not run.
func (d *duties) flood(ctx context.Context, service string) (answered, refused *atomic.Int64, wait func()) {
	const sessions, atOnce = 32, 60
	answered, refused = new(atomic.Int64), new(atomic.Int64)
	var wg sync.WaitGroup
	for i := range sessions {
		c := d.connect(fmt.Sprintf("flood-%s-%d", service, i))
		for range atOnce {
			wg.Go(func() {
				for ctx.Err() == nil {
					if _, err := c.Request(ctx, service+".flood", []byte("1")); err == nil {
						answered.Add(1)
						continue
					}
					refused.Add(1)
					select { // what it is told to wait is longer: this is a rude client
					case <-time.After(50 * time.Millisecond):
					case <-ctx.Done():
					}
				}
			})
		}
	}
	return answered, refused, wg.Wait
}

// latency is the median and the worst of what n requests take, five milliseconds
// apart.
func (d *duties) latency(c *client.Client, service string, n int) (median, worst time.Duration) {
	d.t.Helper()
	took := make([]time.Duration, n)
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	for i := range took {
		<-pace.C
		began := time.Now()
		if _, err := c.Request(d.t.Context(), service+".ask", []byte("1")); err != nil {
			d.t.Fatalf("%s.ask: %v", service, err)
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took[n/2], took[n-1]
}

// TestFloodStaysWithItsService floods one service of the sample that splits logic
// by duty, while it is slow as well, and looks at the others: every request to them
// is answered, none waits behind the flood, and new sessions get in.
func TestFloodStaysWithItsService(t *testing.T) {
	for flooded, other := range map[string]string{"contact": "msg", "msg": "contact"} {
		t.Run(flooded, func(t *testing.T) {
			d := startDuties(t)
			quiet := d.connect("quiet")
			before, _ := d.latency(quiet, other, 50)
			d.slow.Store(&flooded)
			ctx, stop := context.WithCancel(t.Context())
			answered, refused, wait := d.flood(ctx, flooded)
			reach(t, "requests refused", refused, 100) // it is full
			during, worst := d.latency(quiet, other, 200)
			began := time.Now()
			d.connect("newcomer-" + flooded).Close()
			login := time.Since(began)
			stop()
			wait()
			t.Logf("%s flooded (%d answered, %d refused): %s median %v, before %v, worst %v; a login %v",
				flooded, answered.Load(), refused.Load(), other, during, before, worst, login)
			if during > slowWork/2 {
				t.Errorf("%s takes %v while %s is flooded, and %v before", other, during, flooded, before)
			}
		})
	}
}
