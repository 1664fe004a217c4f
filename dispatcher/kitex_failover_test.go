package dispatcher

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// fleet is a dispatcher and n real processes.
type fleet struct {
	d         *Dispatcher
	processes []*os.Process
}

func runFleet(t *testing.T, n int, cfg Config) *fleet {
	f := &fleet{}
	var instances []discovery.Instance
	for slot := range n {
		address := freeAddress(t, "unix")
		f.processes = append(f.processes, spawn(t, address))
		instances = append(instances, discovery.Instance{ID: fmt.Sprint("i", slot), Service: testService, Slot: slot, Address: address})
	}
	disc, err := discovery.NewStatic(instances)
	if err != nil {
		t.Fatal(err)
	}
	f.d, err = New(cfg, Self{Gateway: "gw:1", Epoch: 1}, disc, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- f.d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	eventually(t, "all instances answer", func() bool {
		up := 0
		for _, i := range f.d.Instances() {
			if i.Up {
				up++
			}
		}
		return up == n
	})
	return f
}

// TestRealInstanceFails is P13 for one gateway: of five processes one is killed, or
// frozen. Three seconds later everybody is served by the others.
func TestRealInstanceFails(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
		t.Run(signal.String(), func(t *testing.T) {
			cfg := failoverConfig()
			cfg.Services[0].CallsInFlight = 2
			f := runFleet(t, 5, cfg)
			victim := f.processes[2]
			if signal == syscall.SIGSTOP {
				t.Cleanup(func() { _ = victim.Signal(syscall.SIGCONT) }) // so that it can be ended
			}
			const users = 200
			var late, bad atomic.Int64
			var failedAt atomic.Int64
			stop := make(chan struct{})
			var clients sync.WaitGroup
			for i := range users {
				l, sink := openReal(t, f.d, fmt.Sprint("u", i))
				clients.Go(func() {
					for id := uint32(1); ; id++ {
						select {
						case <-stop:
							return
						case <-time.After(50 * time.Millisecond):
						}
						l.Submit(id, benchCommand, []byte("hello"))
						got := sink.answerTo(id)
						since := failedAt.Load()
						if since == 0 || time.Since(f.d.start) < time.Duration(since)+3*time.Second {
							continue
						}
						late.Add(1)
						if got.reason != "" {
							bad.Add(1)
						}
					}
				})
			}
			time.Sleep(300 * time.Millisecond)
			failedAt.Store(f.d.now())
			if err := victim.Signal(signal); err != nil {
				t.Fatal(err)
			}
			eventually(t, "1500 requests after 3 s", func() bool { return late.Load() >= 1500 })
			close(stop)
			clients.Wait()
			var shares []float64
			for _, i := range f.d.Instances() {
				if i.Slot != 2 {
					shares = append(shares, i.PerSecond)
				}
			}
			mean := (shares[0] + shares[1] + shares[2] + shares[3]) / 4
			testenv.Figure(t, "P13", "%v: 3 s later %d of %d requests failed; the busiest survivor has %.2f of the mean",
				signal, bad.Load(), late.Load(), slices.Max(shares)/mean)
			if bad.Load()*1000 > late.Load() {
				t.Errorf("%d of %d requests failed, want at most 0.1 %%", bad.Load(), late.Load())
			}
		})
	}
}
