package dispatcher

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
)

// runReal runs a dispatcher for one instance at address until the test ends. It
// returns once the instance has answered a heartbeat, unless nobody is there yet.
func runReal(t testing.TB, cfg Config, address string) *Dispatcher {
	t.Helper()
	disc, err := discovery.NewStatic([]discovery.Instance{{ID: "a", Service: testService, Address: address}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(cfg, Self{Gateway: "gw:1", Epoch: 1}, disc, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the dispatcher knows the instance", func() bool { return d.theInstance() != nil })
	return d
}

// theInstance returns the one in slot 0.
func (d *Dispatcher) theInstance() *instance {
	if t := d.service(testService).table.Load(); len(t.slots) > 0 {
		return t.slots[0]
	}
	return nil
}

func realConfig() Config {
	cfg := testConfig()
	cfg.Services[0].CallsInFlight = 2
	cfg.Services[0].Timeout = patience // a slow machine must not time out by itself
	cfg.RequestTimeout = patience
	return cfg
}

func openReal(t testing.TB, d *Dispatcher, uid string) (*Lanes, *fakeSink) {
	s := &fakeSink{t: t}
	return d.Open(Origin{Session: "s-" + uid, UID: uid}, testService, s), s
}

// answerTo waits for the answer to id.
func (s *fakeSink) answerTo(id uint32) told {
	s.t.Helper()
	var got told
	eventually(s.t, fmt.Sprintf("an answer to request %d", id), func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		n := slices.IndexFunc(s.told, func(x told) bool { return x.id == id })
		if n >= 0 {
			got = s.told[n]
		}
		return n >= 0
	})
	return got
}

func TestRealTraffic(t *testing.T) {
	both(t, func(t *testing.T, kind string) {
		address := freeAddress(t, kind)
		b := &realBackend{incarnation: 1}
		serve(t, address, b)
		d := runReal(t, realConfig(), address)
		const sessions, requests = 50, 40
		var wg sync.WaitGroup
		for i := range sessions {
			l, sink := openReal(t, d, fmt.Sprint("u", i))
			wg.Go(func() {
				for id := range uint32(requests) {
					l.Submit(id+1, []byte("msg.send"), fmt.Append(nil, id+1))
				}
				for id := range uint32(requests) {
					if got := sink.answerTo(id + 1); got.payload != fmt.Sprint(id+1) {
						t.Errorf("answer to %d = %+v", id+1, got)
					}
				}
				l.End("done")
			})
		}
		wg.Wait()
		if n := b.began.Load(); n != sessions*requests {
			t.Errorf("%d packets were run, want %d", n, sessions*requests)
		}
	})
}

// TestRealKill is `kill -9` of a backend under traffic, and its restart.
func TestRealKill(t *testing.T) {
	both(t, func(t *testing.T, kind string) {
		address := freeAddress(t, kind)
		process := spawn(t, address)
		d := runReal(t, realConfig(), address)
		eventually(t, "a first heartbeat", func() bool { return d.theInstance().up.Load() })
		first, _ := d.theInstance().life.latest()
		l, sink := openReal(t, d, "alice")
		l.Submit(1, []byte("msg.send"), []byte("hello"))
		sink.answerTo(1)
		l.Submit(2, []byte("msg.send"), []byte("sleep 1h"))
		eventually(t, "request 2 is sent", func() bool { return d.theInstance().load.open.Load() == 1 })
		l.Submit(3, []byte("msg.send"), []byte("waits"))
		if err := process.Kill(); err != nil {
			t.Fatal(err)
		}
		if got := sink.answerTo(2); got.status != statusUnknown || got.retryAfter != 0 {
			t.Errorf("sent: %+v, want UNKNOWN", got)
		}
		if got := sink.answerTo(3); got.status != statusUnavailable || got.retryAfter == 0 {
			t.Errorf("waiting: %+v, want UNAVAILABLE, without waiting for the time-out", got)
		}
		l.Submit(4, []byte("msg.send"), []byte("new"))
		if got := sink.answerTo(4); got.status != statusUnavailable || got.reason != "instance_down" {
			t.Errorf("new: %+v, want UNAVAILABLE", got)
		}
		spawn(t, address)
		l.Submit(5, []byte("msg.send"), []byte("again"))
		if got := sink.answerTo(5); got.payload != "again" {
			t.Errorf("after the restart: %+v, want the answer", got)
		}
		eventually(t, "the new incarnation is known", func() bool {
			now, _ := d.theInstance().life.latest()
			return now != first
		})
	})
}

// TestRealFreeze: a process that is stopped and goes on.
func TestRealFreeze(t *testing.T) {
	address := freeAddress(t, "tcp")
	process := spawn(t, address)
	cfg := realConfig()
	cfg.Services[0].Timeout = 200 * time.Millisecond
	d := runReal(t, cfg, address)
	l, sink := openReal(t, d, "alice")
	warm := uint32(1)
	for ; ; warm++ { // a loaded machine may be slower than the time-out
		l.Submit(warm, []byte("msg.send"), []byte("hello"))
		if sink.answerTo(warm).reason == "" {
			break
		}
	}
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process is stopped", func() bool { return stopped(t, process) })
	l.Submit(warm+1, []byte("msg.send"), []byte("frozen"))
	if got := sink.answerTo(warm + 1); got.status != statusDeadlineExceeded || got.reason != "timeout" {
		t.Errorf("frozen: %+v, want DEADLINE_EXCEEDED", got)
	}
	if err := process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	id := warm + 2
	eventually(t, "the instance answers again", func() bool {
		l.Submit(id, []byte("msg.send"), []byte("hello"))
		id++
		return sink.answerTo(id-1).reason == ""
	})
}

// stopped tells whether the kernel has stopped every thread of the process, which
// it does some time after the signal.
func stopped(t *testing.T, p *os.Process) bool {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.Pid))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("no threads of process %d (%v)", p.Pid, err)
	}
	for _, task := range tasks {
		stat, err := os.ReadFile(task) // "pid (name) state ..."
		if err != nil {
			return false
		}
		if _, state, ok := strings.Cut(string(stat), ") "); !ok || !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return true
}

func TestRealLogin(t *testing.T) {
	both(t, func(t *testing.T, kind string) {
		address := freeAddress(t, kind)
		serve(t, address, &realBackend{incarnation: 1})
		cfg := realConfig()
		cfg.Login.Timeout = patience
		d := runReal(t, cfg, address)
		verdicts := make(chan Verdict, 100)
		for i := range 100 {
			d.Connect(Login{Session: fmt.Sprint("s", i), Token: fmt.Sprint("t", i)}, func(v Verdict) { verdicts <- v })
		}
		seen := map[string]bool{}
		for range 100 {
			v := <-verdicts
			if v.CloseCode != 0 || seen[v.UID] {
				t.Errorf("verdict = %+v", v)
			}
			seen[v.UID] = true
		}
	})
}
