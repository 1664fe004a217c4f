package secure

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// newSet is a set that runs within a bubble until stop is called.
func newSet(t *testing.T, max int, timeout time.Duration) (set *Handshakes, reg *prometheus.Registry, stop func()) {
	reg = prometheus.NewRegistry()
	set = NewHandshakes(max, timeout, NewMetrics(reg))
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := set.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return set, reg, func() { cancel(); wg.Wait() }
}

// TestHalfHellos opens connections that send the half of a ClientHello: none of
// them costs a goroutine.
func TestHalfHellos(t *testing.T) {
	s := newServer(t, nil)
	hello := clientHello(t, s.config(nil))
	before := runtime.NumGoroutine()
	for range 5000 {
		w := s.wire()
		if err := w.conn.Feed(hello[:len(hello)/2], nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := runtime.NumGoroutine(); got > before {
		t.Errorf("%d goroutines with 5,000 half ClientHellos, %d before", got, before)
	}
	if got := value(t, s.reg, "holdfast_gateway_tls_handshakes_running", ""); got != 0 {
		t.Errorf("%v handshakes run", got)
	}
}

// TestSilence lets clients fall silent after their ClientHello: max of them have
// a goroutine, and all have ended when their time is over.
func TestSilence(t *testing.T) {
	const conns, max = 1000, 16
	s := newServer(t, nil)
	hello := clientHello(t, s.config(nil))
	synctest.Test(t, func(t *testing.T) {
		set, reg, stop := newSet(t, max, 5*time.Second)
		defer stop()
		before, began := runtime.NumGoroutine(), time.Now()
		var wires []*wire
		for range conns {
			w := newWire(s.store.TLS(), set)
			if err := w.conn.Feed(hello, nil); err != nil {
				t.Fatal(err)
			}
			wires = append(wires, w)
		}
		synctest.Wait()
		if got := runtime.NumGoroutine() - before; got > max {
			t.Errorf("%d goroutines, want at most %d", got, max)
		}
		if got := value(t, reg, "holdfast_gateway_tls_handshakes_waiting", ""); got != conns-max {
			t.Errorf("%v wait, want %d", got, conns-max)
		}
		for _, w := range wires {
			if err := <-w.over; !errors.Is(err, ErrTimeout) && !errors.Is(err, ErrYielded) && !errors.Is(err, ErrUnserved) {
				t.Fatalf("Established(%v), want that its time was over", err)
			}
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("ended after %v, want 5s", took)
		}
		synctest.Wait()
		if got := value(t, reg, "holdfast_gateway_tls_handshakes_running", ""); got != 0 {
			t.Errorf("%v goroutines are left", got)
		}
		var sum float64
		for _, o := range []outcome{outcomeTimeout, outcomeYielded, outcomeUnserved} {
			sum += value(t, reg, "holdfast_gateway_tls_handshakes_total", o.String())
		}
		if sum != conns {
			t.Errorf("%v handshakes counted, want %d", sum, conns)
		}
	})
}

// TestOrder gives places in the order in which ClientHellos came.
func TestOrder(t *testing.T) {
	s := newServer(t, nil)
	hello := clientHello(t, s.config(nil))
	synctest.Test(t, func(t *testing.T) {
		set, _, stop := newSet(t, 1, 5*time.Second)
		defer stop()
		var mu sync.Mutex
		var order []int
		wires := make([]*wire, 4)
		for i := range wires {
			wires[i] = newWire(s.store.TLS(), set)
			wires[i].conn.out = outputFunc(func(error) { mu.Lock(); order = append(order, i); mu.Unlock() })
			if err := wires[i].conn.Feed(hello, nil); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		for i := range wires {
			if len(order) != len(wires) || order[i] != i {
				t.Fatalf("ended in the order %v, want that of arrival", order)
			}
		}
	})
}

// outputFunc is an Output that only hears how it ended.
type outputFunc func(error)

func (f outputFunc) Pending()              {}
func (f outputFunc) Established(err error) { f(err) }

// TestPatience lets a silent client keep its place for handshake_timeout while
// nobody waits, and for a second otherwise, also when it drips.
func TestPatience(t *testing.T) {
	s := newServer(t, nil)
	hello := clientHello(t, s.config(nil))
	synctest.Test(t, func(t *testing.T) {
		set, _, stop := newSet(t, 1, 5*time.Second)
		defer stop()
		ended := func(w *wire) (time.Duration, error) {
			began := time.Now()
			err := <-w.over
			return time.Since(began), err
		}
		alone := newWire(s.store.TLS(), set)
		alone.feed(hello)
		if took, err := ended(alone); took != 5*time.Second || !errors.Is(err, ErrTimeout) {
			t.Errorf("alone: ended after %v with %v, want 5s and ErrTimeout", took, err)
		}
		silent, next, third := newWire(s.store.TLS(), set), newWire(s.store.TLS(), set), newWire(s.store.TLS(), set)
		silent.feed(hello)
		next.feed(hello)
		third.feed(hello)
		go func() {
			for _, b := range clientHello(t, s.config(nil))[:4] { // the start of any record
				time.Sleep(300 * time.Millisecond)
				_ = silent.conn.Feed([]byte{b}, nil) // it drips
			}
		}()
		if took, err := ended(silent); took > patience+patienceTick || !errors.Is(err, ErrYielded) {
			t.Errorf("silent: ended after %v with %v, want a second and ErrYielded", took, err)
		}
		if _, err := ended(next); !errors.Is(err, ErrYielded) {
			t.Errorf("the next, while one waits, ended with %v, want ErrYielded", err)
		}
		if _, err := ended(third); !errors.Is(err, ErrTimeout) {
			t.Errorf("the last, while none waits, ended with %v, want ErrTimeout", err)
		}
	})
}

// TestYieldOne takes one place for each that waits, and no more until somebody
// has taken it.
func TestYieldOne(t *testing.T) {
	set := NewHandshakes(3, time.Minute, NewMetrics(prometheus.NewRegistry()))
	fresh := func() *handshake { return newHandshake(newWire(nil, set).conn) }
	a, b, c := fresh(), fresh(), fresh()
	if set.yield(a) {
		t.Error("a place is given up for nobody")
	}
	waits := []*handshake{fresh(), fresh()}
	for _, h := range waits {
		if err := set.begin(h); err != nil {
			t.Fatal(err)
		}
	}
	if !set.yield(a) || !set.yield(b) || set.yield(c) {
		t.Error("two wait, but not the first two of three give up their place")
	}
	if got := set.next(a); got != waits[0] || set.yield(c) {
		t.Error("one wait is over, and a third gives up its place")
	}
	if got := set.next(b); got != waits[1] || set.yield(c) {
		t.Error("nobody waits, and a third gives up its place")
	}
}

// TestUnserved lets clients wait whose place never comes free.
func TestUnserved(t *testing.T) {
	s := newServer(t, nil)
	hello := clientHello(t, s.config(nil))
	synctest.Test(t, func(t *testing.T) {
		set, _, stop := newSet(t, 0, 5*time.Second)
		defer stop()
		first, second := newWire(s.store.TLS(), set), newWire(s.store.TLS(), set)
		began := time.Now()
		first.feed(hello)
		time.Sleep(time.Second)
		second.feed(hello)
		for i, w := range []*wire{first, second} {
			err := <-w.over
			if took, want := time.Since(began), time.Duration(5+i)*time.Second; !errors.Is(err, ErrUnserved) || took != want {
				t.Errorf("%d: ended after %v with %v, want %v and ErrUnserved", i, took, err, want)
			}
		}
	})
}

// TestClose closes connections that wait for a place, and that shake hands.
func TestClose(t *testing.T) {
	s := newServer(t, nil)
	hello := clientHello(t, s.config(nil))
	synctest.Test(t, func(t *testing.T) {
		set, reg, stop := newSet(t, 1, 5*time.Second)
		defer stop()
		running, queued := newWire(s.store.TLS(), set), newWire(s.store.TLS(), set)
		running.feed(hello)
		queued.feed(hello)
		synctest.Wait()
		queued.conn.Close()
		running.conn.Close()
		running.conn.Close()
		synctest.Wait()
		if got := value(t, reg, "holdfast_gateway_tls_handshakes_running", ""); got != 0 {
			t.Errorf("%v goroutines are left", got)
		}
		if got := value(t, reg, "holdfast_gateway_tls_handshakes_total", "aborted"); got != 2 {
			t.Errorf("%v aborted handshakes counted, want 2", got)
		}
		if len(running.over)+len(queued.over) > 0 {
			t.Error("Established was called after Close")
		}
		if len(running.conn.Take(nil)) > 0 {
			t.Error("something is said after Close")
		}
	})
}

// TestStop ends Run with handshakes under way, waiting, and yet to come; those
// that come before Run wait for it.
func TestStop(t *testing.T) {
	s := newServer(t, nil)
	hello := clientHello(t, s.config(nil))
	synctest.Test(t, func(t *testing.T) {
		set := NewHandshakes(1, 5*time.Second, NewMetrics(prometheus.NewRegistry()))
		running, queued, late := newWire(s.store.TLS(), set), newWire(s.store.TLS(), set), newWire(s.store.TLS(), set)
		running.feed(hello)
		queued.feed(hello)
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { _ = set.Run(ctx) })
		synctest.Wait()
		cancel()
		wg.Wait()
		for _, w := range []*wire{running, queued} {
			if err := <-w.over; !errors.Is(err, ErrStopped) {
				t.Errorf("Established(%v), want ErrStopped", err)
			}
		}
		if late.feed(hello); !errors.Is(late.err(), ErrStopped) {
			t.Errorf("Feed = %v, want ErrStopped", late.err())
		}
	})
}
