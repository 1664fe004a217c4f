package engine

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// step is one Forward call of a plan.
type step struct {
	pause   time.Duration // before it
	packets []planned
}

type planned struct {
	session int
	repeat  bool // the session's last packet once more
	run     time.Duration
	startBy time.Duration // from the call on; 0: no bound
	command string
}

// drawPlan draws calls with a mixture of commands: some always quick, some always
// slow, some as they please, so that the engine is wrong about them now and then.
func drawPlan(t *rapid.T) []step {
	millis := func(label string, most int) time.Duration {
		return time.Duration(rapid.IntRange(0, most).Draw(t, label)) * 500 * time.Microsecond
	}
	packet := rapid.Custom(func(t *rapid.T) planned {
		p := planned{session: rapid.IntRange(0, 4).Draw(t, "session"), repeat: rapid.IntRange(0, 9).Draw(t, "repeat") == 0}
		p.startBy = millis("start by", 60)
		switch p.command = rapid.SampledFrom([]string{"quick", "slow", "moody", "long"}).Draw(t, "command"); p.command {
		case "slow":
			p.run = 3 * time.Millisecond
		case "long":
			p.run = 40 * time.Millisecond
		case "moody":
			p.run = millis("run", 8)
		}
		return p
	})
	var plan []step
	for range rapid.IntRange(1, 12).Draw(t, "steps") {
		plan = append(plan, step{millis("pause", 6), rapid.SliceOfN(packet, 1, 20).Draw(t, "packets")})
	}
	return plan
}

// checker is the handler and the gateway of a plan.
type checker struct {
	failures sync.Mutex
	errors   []string // guarded by failures

	mu       sync.Mutex
	bounds   map[string]int64         // the latest start_by of its attempts, by packet
	refused  map[string]int64         // the seq of the last refusal, by session and start_by
	runTimes map[string]time.Duration // by packet
	running  map[string]bool          // by session
	last     map[string]int64         // the highest seq that ran, by session
	ran      map[string]int           // by packet
	answers  map[string]int           // by packet and attempt
}

func (c *checker) failf(format string, args ...any) {
	c.failures.Lock()
	defer c.failures.Unlock()
	c.errors = append(c.errors, fmt.Sprintf(format, args...))
}

func key(p *holdfast.Packet) string { return fmt.Sprintf("%s/%d", p.Session, p.Seq) }

func (c *checker) handle(_ context.Context, p *holdfast.Packet) Answer {
	c.mu.Lock()
	if c.running[p.Session] {
		c.failf("%s began while another packet of its session ran", key(p))
	}
	if p.Seq <= c.last[p.Session] {
		c.failf("%s ran after %d", key(p), c.last[p.Session])
	}
	c.running[p.Session], c.last[p.Session] = true, p.Seq
	if c.ran[key(p)]++; c.ran[key(p)] > 1 {
		c.failf("%s ran twice", key(p))
	}
	if by := c.bounds[key(p)]; time.Now().UnixMilli() > by {
		c.failf("%s began after its start_by", key(p))
	}
	d := c.runTimes[key(p)]
	c.mu.Unlock()
	if d > 0 {
		time.Sleep(d)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running[p.Session] = false
	return Answer{Payload: []byte(key(p))}
}

func (c *checker) later(p *holdfast.Packet, a Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if of := fmt.Sprint(p.Session, p.StartByMs); a.Refused == PastStartBy && p.StartByMs == c.bounds[key(p)] {
		if p.Seq < c.refused[of] {
			c.failf("%s was refused after %d, which has the same start_by", id(p), c.refused[of])
		}
		c.refused[of] = max(c.refused[of], p.Seq)
	}
	c.answeredLocked(p, a)
}

func (c *checker) answeredLocked(p *holdfast.Packet, a Answer) {
	c.answers[id(p)]++
	if a.Refused == PastStartBy {
		c.checkRefusal(p)
		return
	}
	if string(a.Payload) != key(p) {
		c.failf("%s was answered %q", id(p), a.Payload)
	}
}

func (c *checker) take(packets []*holdfast.Packet, replies []*holdfast.Reply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, r := range replies {
		if !r.Deferred {
			c.answeredLocked(packets[i], Answer{Payload: r.Payload, Refused: Refusal(r.Reason)})
		}
	}
}

// checkRefusal checks that a packet was refused neither early nor late.
func (c *checker) checkRefusal(p *holdfast.Packet) {
	now := time.Now().UnixMilli()
	if p.StartByMs == 0 || now <= p.StartByMs {
		c.failf("%s was refused when it might still begin", id(p))
	}
	if late := now - c.bounds[key(p)]; late > 3*lookEvery.Milliseconds() {
		c.failf("%s was refused %d ms after its start_by", id(p), late)
	}
}

// TestOrder holds the engine to its promises under any mixture of commands,
// calls and repeats: a session's packets run in their order and one at a time,
// each runs once and not after its start_by, each attempt is answered once and soon
// when it is too late, no call takes longer than DeferAfter.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		plan := drawPlan(rt)
		var c *checker
		synctest.Test(t, func(t *testing.T) { c = play(t, plan) })
		for _, e := range c.errors {
			rt.Error(e)
		}
	})
}

// expect notes what a packet is to do, and gives it its start_by.
func (c *checker) expect(p *holdfast.Packet, pl planned) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.Attempt == 1 {
		c.runTimes[key(p)] = pl.run
	}
	bound := int64(math.MaxInt64)
	if pl.startBy > 0 {
		p.StartByMs = time.Now().Add(pl.startBy).UnixMilli()
		bound = p.StartByMs
	}
	c.bounds[key(p)] = max(c.bounds[key(p)], bound)
}

func play(t *testing.T, plan []step) *checker {
	c := &checker{
		bounds: map[string]int64{}, refused: map[string]int64{}, runTimes: map[string]time.Duration{}, running: map[string]bool{}, last: map[string]int64{},
		ran: map[string]int{}, answers: map[string]int{},
	}
	cfg := testConfig()
	e := New(cfg, c.handle, c.later)
	ran := make(chan error, 1)
	go func() { ran <- e.Run(t.Context()) }()
	seqs, attempts, total := map[string]int64{}, map[string]int32{}, 0
	for _, st := range plan {
		time.Sleep(st.pause)
		var packets []*holdfast.Packet
		for _, pl := range st.packets {
			s := fmt.Sprint("session-", pl.session)
			if !pl.repeat || seqs[s] == 0 {
				seqs[s]++
			}
			p := &holdfast.Packet{Session: s, Seq: seqs[s], Command: pl.command, Gateway: "gw"}
			attempts[key(p)]++
			p.Attempt = attempts[key(p)]
			c.expect(p, pl)
			packets = append(packets, p)
		}
		total += len(packets)
		began := time.Now()
		c.take(packets, e.Forward(packets))
		if took := time.Since(began); took > cfg.DeferAfter {
			c.failf("Forward took %v", took)
		}
	}
	pass(time.Minute)
	if left := e.Drain(t.Context()); left != 0 {
		c.failf("%d batches left", left)
	}
	e.Close(t.Context())
	<-ran
	for attempt, n := range c.answers {
		if n != 1 {
			c.failf("%s was answered %d times", attempt, n)
		}
	}
	if len(c.answers) != total {
		c.failf("%d attempts were answered, want %d", len(c.answers), total)
	}
	return c
}
