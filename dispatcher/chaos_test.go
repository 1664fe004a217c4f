package dispatcher

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
	hf "github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// chaos is a fleet of instances that do, at random, everything the contract allows
// and everything that networks and kill -9 do, and a record of what was run.
type chaos struct {
	t *testing.T

	mu    sync.Mutex // guards the following
	rnd   *rand.Rand
	run   map[string][]int64 // by session: seqs in the order in which handlers began
	ids   map[string]bool    // "session/id" of what was run
	lanes map[string]*Lanes
	life  map[string]int64 // by address: incarnation; 0: down
	lives int64
	twice bool // the route is idempotent: requests may run again
}

// chance is true p times of 100.
func (c *chaos) chance(p int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rnd.IntN(100) < p
}

func (c *chaos) within(d time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.rnd.Int64N(int64(d)))
}

// restart makes another process of the instance, or leaves it down.
func (c *chaos) restart(address string, up bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.life[address] = 0
	if up {
		c.lives++
		c.life[address] = c.lives
	}
}

func (c *chaos) incarnation(address string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.life[address]
}

// begin is a handler that begins with p, in the process that incarnation was. It
// reports false when the process is gone or start_by has passed, which is what the
// kit promises.
func (c *chaos) begin(address string, incarnation int64, p *hf.Packet) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life[address] != incarnation || p.StartByMs != 0 && time.Now().UnixMilli() > p.StartByMs {
		return false
	}
	key := p.Session + "/" + string(p.Payload)
	if c.ids[key] && !c.twice {
		c.t.Errorf("%s was run twice", key)
	}
	c.ids[key] = true
	c.run[p.Session] = append(c.run[p.Session], p.Seq)
	return true
}

// chaosCaller is one instance of the fleet.
type chaosCaller struct {
	*chaos
	address string
}

func (*chaosCaller) Connect(*call, *hf.ConnectRequest) (*hf.ConnectReply, error) {
	return nil, syscall.ECONNRESET
}

func (*chaosCaller) Events(*call, *hf.EventsRequest) (*hf.EventsReply, error) {
	return nil, syscall.ECONNRESET
}
func (*chaosCaller) dropIdle() {}
func (*chaosCaller) close()    {}

func (c *chaosCaller) Forward(call *call, req *hf.ForwardRequest) (*hf.ForwardReply, error) {
	incarnation := c.incarnation(c.address)
	if incarnation == 0 {
		return nil, syscall.ECONNREFUSED
	}
	if c.chance(3) {
		call.stage = stageSending
		return nil, syscall.EPIPE
	}
	call.stage = stageSent
	if c.chance(50) { // a connection on which the process has answered before
		call.peer = incarnation
	}
	fate := c.within(100)
	reply := &hf.ForwardReply{Incarnation: incarnation}
	later := map[string][]hf.Packet{} // packets of a session are run in order, so what follows a deferred one is deferred
	for _, p := range req.Packets {
		r := &hf.Reply{Payload: p.Payload}
		switch {
		case fate < 10 || len(later[p.Session]) > 0 || c.chance(20): // fate < 10: the call hangs or breaks
			r = &hf.Reply{Deferred: true}
			later[p.Session] = append(later[p.Session], *p)
		case !c.begin(c.address, incarnation, p):
			r = &hf.Reply{NotExecuted: true, Reason: "past_start_by"}
		}
		reply.Replies = append(reply.Replies, r)
	}
	for _, packets := range later {
		go c.runLater(incarnation, packets, fate >= 10)
	}
	switch {
	case fate < 5:
		time.Sleep(time.Until(call.deadline))
		return nil, os.ErrDeadlineExceeded
	case fate < 10:
		time.Sleep(c.within(time.Second))
		return nil, syscall.ECONNRESET
	}
	time.Sleep(c.within(3 * time.Millisecond))
	if c.incarnation(c.address) != incarnation {
		return nil, syscall.ECONNRESET
	}
	return reply, nil
}

// runLater runs packets of one session, each after a while, and answers them by
// Gateway.Reply, twice at times, unless the call that brought them has failed.
func (c *chaosCaller) runLater(incarnation int64, packets []hf.Packet, answer bool) {
	for _, p := range packets {
		if c.chance(70) {
			time.Sleep(c.within(50 * time.Millisecond))
		} else {
			time.Sleep(c.within(3 * time.Second))
		}
		ran := c.begin(c.address, incarnation, &p)
		if !answer || c.incarnation(c.address) != incarnation {
			continue
		}
		c.mu.Lock()
		l := c.lanes[p.Session]
		c.mu.Unlock()
		for range 1 + c.within(2) {
			l.Answer(testService, p.Seq, p.Attempt, 0, slices.Clone(p.Payload), !ran, "past_start_by", 0)
		}
	}
}

func (c *chaosCaller) Heartbeat(call *call, _ *hf.HeartbeatRequest) (*hf.HeartbeatReply, error) {
	incarnation := c.incarnation(c.address)
	if incarnation == 0 {
		return nil, syscall.ECONNREFUSED
	}
	call.stage = stageSent
	return &hf.HeartbeatReply{Incarnation: incarnation, TimeMs: time.Now().UnixMilli()}, nil
}

// TestChaos holds the dispatcher to its promises while instances freeze, break,
// restart, join and leave: requests of a session are run in order and never twice,
// each gets exactly one answer in time, and the answer is true.
func TestChaos(t *testing.T) {
	seeds := 25
	switch {
	case testing.Short():
		seeds = 5
	case os.Getenv("HOLDFAST_TEST_SOAK") != "":
		seeds = 5000
	}
	for seed := range seeds {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { runChaos(t, uint64(seed)) })
		})
	}
}

func runChaos(t *testing.T, seed uint64) {
	c := &chaos{
		t: t, rnd: rand.New(rand.NewPCG(seed, 7)), run: map[string][]int64{}, ids: map[string]bool{},
		lanes: map[string]*Lanes{}, life: map[string]int64{},
	}
	cfg := testConfig()
	cfg.Services[0].CallsInFlight = 3
	cfg.Breaker.Enabled = seed%2 == 1
	cfg.Routes[0].Idempotent = seed%4 >= 2
	c.twice = cfg.Routes[0].Idempotent
	w := newWorld(t, cfg)
	w.d.dial = func(_, address string, _ ServiceConfig) (caller, error) {
		return &chaosCaller{chaos: c, address: address}, nil
	}
	register := func(slot int) {
		address := fmt.Sprint("h:", slot+1)
		c.restart(address, true)
		if _, err := w.disc.Register(discovery.Instance{ID: fmt.Sprint(slot), Service: testService, Slot: slot, Address: address}); err != nil {
			t.Error(err)
		}
	}
	for slot := range 3 {
		register(slot)
	}
	w.start()

	const sessions, requests = 20, 60
	var sinks []*fakeSink
	var clients sync.WaitGroup
	for i := range sessions {
		l, sink := w.open(fmt.Sprint("u", i))
		c.lanes[l.id.session] = l
		sinks = append(sinks, sink)
		clients.Go(func() {
			for id := range uint32(requests) {
				l.Submit(id+1, []byte("msg.send"), strconv.AppendUint(nil, uint64(id+1), 10))
				time.Sleep(c.within(400 * time.Millisecond))
			}
		})
	}
	stop := make(chan struct{})
	var trouble sync.WaitGroup
	trouble.Go(func() { c.trouble(w, register, stop) })
	clients.Wait()
	time.Sleep(cfg.RequestTimeout)
	close(stop)
	trouble.Wait()
	synctest.Wait()

	answeredWell := 0
	for i, sink := range sinks {
		session := fmt.Sprint("s-u", i)
		if !slices.IsSorted(c.run[session]) {
			t.Errorf("%s: run in the order %v", session, c.run[session])
		}
		for id := range uint32(requests) {
			got := sink.of(id + 1)
			ran := c.ids[fmt.Sprint(session, "/", id+1)]
			switch notRun := got.retryAfter > 0; {
			case got.reason == "" && !ran, notRun && ran:
				t.Errorf("%s: request %d was answered %+v, but it was run: %v", session, id+1, got, ran)
			case got.reason == "":
				answeredWell++
			}
		}
	}
	// With breakers that open on one bad call in ten, all three may be open for seconds.
	if answeredWell < sessions*requests/8 {
		t.Errorf("only %d of %d requests were answered by a backend", answeredWell, sessions*requests)
	}
	w.cancel()
	if err := <-w.ran; err != nil {
		t.Error(err)
	}
	time.Sleep(time.Minute) // handlers of abandoned calls end
}

// trouble restarts instances and changes the membership until stop.
func (c *chaos) trouble(w *world, register func(int), stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(c.within(time.Second)):
		}
		slot := int(c.within(3))
		address := fmt.Sprint("h:", slot+1)
		switch {
		case c.chance(40):
			c.restart(address, true)
		case c.chance(30):
			c.restart(address, false)
			time.Sleep(c.within(500 * time.Millisecond))
			c.restart(address, true)
		case c.chance(30):
			w.disc.Deregister(testService, fmt.Sprint(slot))
			time.Sleep(c.within(200 * time.Millisecond))
			w.disc.Register(discovery.Instance{ID: fmt.Sprint(slot), Service: testService, Slot: slot, Address: address})
		case c.chance(30):
			register(3 + int(c.within(2)))
		case c.chance(30):
			w.disc.Deregister(testService, fmt.Sprint(3+c.within(2)))
			w.disc.Retire(testService)
		}
	}
}
