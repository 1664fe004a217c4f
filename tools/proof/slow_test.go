package proof

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// The promise about slow consumers (P10).
const (
	slowAll     = 2000
	slowOnes    = 50
	slowRate    = 500 // requests a second of all others together
	slowRatio   = 1.5
	slowCut     = 10 * time.Second
	slowRounds  = 3
	slowWindow  = 4 * time.Second
	feedEvery   = 100 * time.Millisecond
	feedCommand = `{"n":4,"size":8192}` // 320 KiB a second for each
)

// TestSlowConsumers has 50 of 2,000 clients read a byte a second of what is pushed
// to them. They are cut, and the others do not notice: their latency is compared
// with that at a second gateway at the same time, where the same 50 read all of it,
// so that whatever else the machine does tells on both.
func TestSlowConsumers(t *testing.T) {
	var gateways [2]*target
	var others [2]*chorus
	for i := range gateways {
		gateways[i] = deploy(t, options{})
		others[i] = newChorus(t, gateways[i].edge, slowAll-slowOnes)
	}
	var ratios []float64
	var cut time.Duration
	var report string
	for round := range slowRounds {
		slow := round % 2 // they change places
		var wg sync.WaitGroup
		var with, without, took time.Duration
		wg.Go(func() { with, took = gateways[slow].round(t, others[slow], true) })
		wg.Go(func() { without, _ = gateways[1-slow].round(t, others[1-slow], false) })
		wg.Wait()
		ratios = append(ratios, float64(with)/float64(without))
		cut = max(cut, took)
		report += fmt.Sprintf("; p99 %v, without %v", with.Round(10*time.Microsecond), without.Round(10*time.Microsecond))
	}
	slices.Sort(ratios)
	median := ratios[slowRounds/2]
	testenv.Figure(t, "P10", "%d of %d clients read 1 byte/s: cut after %v at most; the others' p99 %.2f times (median of %d%s)",
		slowOnes, slowAll, cut.Round(10*time.Millisecond), median, slowRounds, report)
	if median > slowRatio {
		t.Errorf("the others' p99 is %.2f times that without slow ones, want at most %v", median, slowRatio)
	}
	if cut > slowCut+2*time.Second {
		t.Errorf("the last was cut after %v, want %v at most", cut, slowCut)
	}
	for _, c := range others {
		c.quiet(t)
	}
}

// round feeds slowOnes clients for a while, and returns the others' p99 meanwhile
// and, when the fed are slow, how long it took until all were cut.
func (g *target) round(t *testing.T, others *chorus, slow bool) (p99, took time.Duration) {
	const cuts = `holdfast_gateway_closes_total{code="SLOW_CONSUMER"}`
	before := g.metrics().value(cuts)
	stop := g.feed(t, slow)
	began := time.Now()
	var wg sync.WaitGroup
	if slow {
		wg.Go(func() {
			for g.metrics().value(cuts) < before+slowOnes && time.Since(began) < patience {
				time.Sleep(250 * time.Millisecond) // seldom: it costs the gateway more than many requests
			}
			took = time.Since(began)
		})
	}
	p99 = others.p99(slowRate, slowWindow)
	wg.Wait()
	if n := g.metrics().value(cuts) - before; (n == slowOnes) != slow {
		t.Errorf("%v clients were cut as slow, of %d that are slow: %t", n, slowOnes, slow)
	}
	stop()
	return p99, took
}

// feed has slowOnes clients ask for pushes all the time, until stop.
func (g *target) feed(t *testing.T, slow bool) (stop func()) {
	over := make(chan struct{})
	var wg sync.WaitGroup
	for i := range slowOnes {
		conn, err := net.Dial("tcp", g.edge)
		if err != nil {
			t.Error(err)
			continue
		}
		if slow {
			_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10) // the kernel reads ahead of the slowest program
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		c, err := login(conn, fmt.Sprintf("fed-%t-%d", slow, i))
		if err != nil {
			t.Error(err)
			continue
		}
		wg.Go(func() { c.ask(over) })
		wg.Go(func() { c.take(slow) })
	}
	var once sync.Once
	stop = func() { once.Do(func() { close(over); wg.Wait() }) }
	t.Cleanup(stop)
	return stop
}

// ask asks for pushes until over or cut.
func (c *client) ask(over <-chan struct{}) {
	tick := time.NewTicker(feedEvery)
	defer tick.Stop()
	for id := uint32(1); ; id++ {
		select {
		case <-tick.C:
		case <-over:
			_ = c.Close()
			return
		}
		if _, err := c.Write(stream(request(id, "echo.push", []byte(feedCommand)))); err != nil {
			_ = c.Close()
			return
		}
	}
}

// take reads what comes, a byte a second, or all of it as cheaply as it can, with
// an acknowledgement for each answer.
func (c *client) take(slow bool) {
	for one := make([]byte, 1); slow; time.Sleep(time.Second) {
		if _, err := c.Read(one); err != nil {
			return
		}
	}
	// All runs of pushes and their answer have as many bytes as the first.
	run, pushes := 0, uint64(0)
	for answered := false; !answered; {
		f, err := c.next()
		if err != nil {
			return
		}
		run += len(stream(&f))
		if answered = f.Type == wire.TypeReply; !answered {
			pushes++
		}
	}
	acked := pushes
	for b, n := make([]byte, 64<<10), 0; ; {
		more, err := c.in.Read(b)
		if err != nil {
			return
		}
		if n += more; n >= run {
			acked, n = acked+uint64(n/run)*pushes, n%run
			_, _ = c.Write(stream(&wire.Frame{Type: wire.TypeAck, Seq: acked})) // the next read shows a failure
		}
	}
}

// chorus is clients that have requests answered at a rate of all together.
type chorus struct {
	members []*member
	wg      sync.WaitGroup

	mu      sync.Mutex // guards the following
	took    []time.Duration
	failure error
}

// member is one of them. Its requests are answered in order.
type member struct {
	*client
	id  uint32
	mu  sync.Mutex // guards due
	due []time.Time
}

func newChorus(t *testing.T, address string, n int) *chorus {
	t.Helper()
	c := &chorus{}
	for i := range n {
		conn, err := net.DialTimeout("tcp", address, patience)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(patience))
		one, err := login(conn, fmt.Sprintf("chorus-%d", i))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Time{}) // from here on the test's end is the bound
		m := &member{client: one}
		c.members = append(c.members, m)
		c.wg.Go(func() { c.hear(m) })
	}
	t.Cleanup(func() {
		for _, m := range c.members {
			_ = m.Close()
		}
		c.wg.Wait()
	})
	return c
}

// hear notes how long each answer of m took since it was due.
func (c *chorus) hear(m *member) {
	for {
		f, err := m.next()
		now := time.Now()
		if err == nil && f.Type == wire.TypeReply && f.Status != wire.StatusOK {
			err = fmt.Errorf("%s %q", f.Status, f.Payload)
		}
		if err == nil && f.Type == wire.TypeClose {
			err = fmt.Errorf("CLOSE %d %q", f.Code, f.Reason)
		}
		c.mu.Lock()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) && c.failure == nil {
				c.failure = err
			}
			c.mu.Unlock()
			return
		}
		if f.Type == wire.TypeReply {
			m.mu.Lock()
			c.took = append(c.took, now.Sub(m.due[0]))
			m.due = m.due[1:]
			m.mu.Unlock()
		}
		c.mu.Unlock()
	}
}

// p99 sends at a fixed rate for a time, whatever the answers do, and returns the
// latency that one in a hundred exceeds. A request counts from when it was due.
func (c *chorus) p99(rate int, within time.Duration) time.Duration {
	c.mu.Lock()
	c.took = nil
	c.mu.Unlock()
	n := int(within.Seconds() * float64(rate))
	began := time.Now()
	for i := range n {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		m := c.members[i%len(c.members)]
		m.id++
		m.mu.Lock()
		m.due = append(m.due, due)
		m.mu.Unlock()
		_, _ = m.Write(stream(request(m.id, "echo.say", []byte("1")))) // hear notes what becomes of it
	}
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		c.mu.Lock()
		all := len(c.took) >= n
		c.mu.Unlock()
		if all {
			break
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.took) < n { // those that were not answered at all
		c.took = append(c.took, 5*time.Second)
	}
	slices.Sort(c.took)
	return c.took[n*99/100]
}

// quiet fails the test when something went wrong for any of them.
func (c *chorus) quiet(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure != nil {
		t.Errorf("another client: %v", c.failure)
	}
}
