package client_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/client"
)

// cutter is a network that breaks: it passes bytes on to a gateway, and cuts each
// connection after as many as its dice say, in the middle of whatever that is.
type cutter struct {
	listener net.Listener
	to       string
	least    int // bytes that most connections live for, for a handshake to fit
	wg       sync.WaitGroup

	mu    sync.Mutex
	dice  *rand.Rand
	calm  bool   // nothing is cut any more
	only  string // when not empty: the only transport that gets through
	conns map[net.Conn]bool
	cuts  int
}

func startCutter(t *testing.T, to string, least int, seed uint64) *cutter {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &cutter{
		listener: listener, to: to, least: least, conns: map[net.Conn]bool{},
		dice: rand.New(rand.NewPCG(seed, 1)), // repeatable, as far as scheduling is
	}
	n.wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			n.wg.Go(func() { n.pass(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		n.mu.Lock()
		for c := range n.conns {
			c.Close()
		}
		n.mu.Unlock()
		n.wg.Wait()
	})
	return n
}

func (n *cutter) addr() string { return n.listener.Addr().String() }

// lifetime draws how many bytes a connection lives for, up and down together:
// one in four dies young, before or after HELLO.
func (n *cutter) lifetime() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dice.IntN(4) == 0 {
		return n.dice.IntN(n.least)
	}
	return n.least + n.dice.IntN(20_000)
}

// passes says whether what begins so gets through.
func (n *cutter) passes(first []byte) bool {
	kind := "poll"
	switch {
	case first[0] == 0:
		kind = "tcp"
	case bytes.HasPrefix(first, []byte("GET /v1/ws")):
		kind = "ws"
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.only == "" || n.only == kind
}

// let lets one transport through, or all, and cuts what there is.
func (n *cutter) let(only string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.only = only
	for c := range n.conns {
		c.Close()
	}
}

// open lets everything through and cuts nothing.
func (n *cutter) open() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.only = ""
}

func (n *cutter) relax() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calm, n.only = true, ""
}

func (n *cutter) pass(near net.Conn) {
	defer near.Close()
	first := make([]byte, 4096)
	near.SetReadDeadline(time.Now().Add(patience))
	k, err := io.ReadAtLeast(near, first, 11)
	if err != nil || !n.passes(first) {
		return
	}
	near.SetReadDeadline(time.Time{})
	far, err := net.Dial("tcp", n.to)
	if err != nil {
		return
	}
	defer far.Close()
	n.mu.Lock()
	n.conns[near] = true
	n.mu.Unlock()
	left := n.lifetime()
	var mu sync.Mutex
	spend := func(dst net.Conn, b []byte) error {
		mu.Lock()
		defer mu.Unlock()
		n.mu.Lock()
		calm := n.calm
		n.mu.Unlock()
		if len(b) > left && !calm {
			dst.Write(b[:left])
			left = 0
			return os.ErrDeadlineExceeded
		}
		left -= len(b)
		_, err := dst.Write(b)
		return err
	}
	end := func() { near.Close(); far.Close() }
	var both sync.WaitGroup
	flow := func(dst, src net.Conn, err error) {
		defer end()
		for b := make([]byte, 4096); err == nil; {
			var k int
			if k, err = src.Read(b); err == nil {
				err = spend(dst, b[:k])
			}
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			n.mu.Lock()
			n.cuts++
			n.mu.Unlock()
		}
	}
	both.Go(func() { flow(far, near, spend(far, first[:k])) })
	both.Go(func() { flow(near, far, nil) })
	both.Wait()
	n.mu.Lock()
	delete(n.conns, near)
	n.mu.Unlock()
}

// TestChaos: random cuts while requests and reliable pushes flow: nothing runs
// twice, nothing gets lost, over each transport and across them.
func TestChaos(t *testing.T) {
	s, plain, secure := serveTinies(t)
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			runChaos(t, s, transport, func() []string {
				return append(ranTwice(plain), ranTwice(secure)...)
			})
		})
	}
	t.Run("across", func(t *testing.T) {
		runChaosAcross(t, s, func() []string { return ranTwice(plain) })
	})
}

func ranTwice(g *tiny) (all []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for id, one := range g.sessions {
		for _, request := range one.twice() {
			all = append(all, fmt.Sprint(id, " ", request))
		}
	}
	return all
}

// runChaos is one transport through a cutter.
func runChaos(t *testing.T, s served, transport string, twice func() []string) {
	cfg := s.config(transport)
	to, least := s.plain, 1500
	switch transport {
	case "tls", "wss", "polls":
		to, least = s.secure, 5000
	}
	n := startCutter(t, to, least, 7)
	for i, e := range cfg.Endpoints {
		scheme, _, _ := bytes.Cut([]byte(e), []byte("://"))
		cfg.Endpoints[i] = string(scheme) + "://" + n.addr()
	}
	chaos(t, n, cfg, nil)
	if again := twice(); len(again) > 0 {
		t.Errorf("ran twice: %v", again)
	}
}

// runChaosAcross lets only one transport through at a time, to a client that
// wants to climb all the time.
func runChaosAcross(t *testing.T, s served, twice func() []string) {
	cfg := s.config("tcp")
	n := startCutter(t, s.plain, 1500, 8)
	cfg.Endpoints = []string{"auto://" + n.addr()}
	cfg.ClimbAfter(20 * time.Millisecond)
	order := []string{"ws", "poll", "tcp", "poll", "ws", "tcp"}
	used := chaos(t, n, cfg, func(round int) { n.let(order[round%len(order)]) })
	for _, want := range []string{"tcp", "ws", "poll"} {
		if used[want] == 0 {
			t.Errorf("never resumed over %s: %v", want, used)
		}
	}
	if again := twice(); len(again) > 0 {
		t.Errorf("ran twice: %v", again)
	}
}

// chaos sends requests that also push, in several rounds with turn before each,
// and wants every reply and every push. It returns how often each transport
// carried the session.
func chaos(t *testing.T, n *cutter, cfg client.Config, turn func(round int)) map[string]int {
	const rounds, callers, each = 6, 6, 12
	const total = rounds * callers * each
	c, told := connectThrough(t, cfg)
	ctx := within(t)
	var seqs []uint64
	seen := map[string]bool{}
	var consuming sync.WaitGroup
	consuming.Go(func() {
		for p := range c.Pushes(ctx) {
			seqs = append(seqs, p.Seq)
			seen[string(p.Payload)] = true
			if len(seen) == total {
				return
			}
		}
	})
	for round := range rounds {
		if turn != nil {
			turn(round)
		}
		var calling sync.WaitGroup
		for caller := range callers {
			calling.Go(func() {
				for i := range each {
					payload := fmt.Appendf(nil, `"%d-%d-%d %s"`, round, caller, i, bytes.Repeat([]byte("x"), 30*caller))
					if got, err := c.Request(ctx, "echo.push", payload); err != nil || !bytes.Equal(got, payload) {
						t.Errorf("request %s = %q, %v", payload, got, err)
						return
					}
				}
			})
		}
		calling.Wait()
	}
	n.relax()
	consuming.Wait()
	if len(seen) != total {
		t.Errorf("%d of %d pushes came", len(seen), total)
	}
	for i, seq := range seqs {
		if seq != uint64(i+1) {
			t.Errorf("push %d has seq %d", i+1, seq)
			break
		}
	}
	if got := told.count(client.StateConnected); got != 1 {
		t.Errorf("%d sessions, want 1; life: %v", got, told)
	}
	n.mu.Lock()
	t.Logf("%d requests and pushes over %d cuts, %d resumes", total, n.cuts, told.count(client.StateResumed))
	n.mu.Unlock()
	return told.carried()
}

// connectThrough dials until it works: the network may cut the first attempt too.
func connectThrough(t *testing.T, cfg client.Config) (*client.Client, *life) {
	t.Helper()
	told := newLife()
	cfg.OnState = told.tell
	for end := time.Now().Add(patience); ; {
		c, err := client.Dial(t.Context(), cfg)
		if err == nil {
			t.Cleanup(func() { c.Close() })
			return c, told
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// carried counts by which transport the client was connected or resumed.
func (l *life) carried() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	count := map[string]int{}
	for _, ch := range l.changes {
		if ch.State == client.StateConnected || ch.State == client.StateResumed {
			scheme, _, _ := bytes.Cut([]byte(ch.Endpoint), []byte("://"))
			count[string(scheme)]++
		}
	}
	return count
}
