package dispatcher

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
)

// instance is one backend process and everything the dispatcher holds for it.
type instance struct {
	// Static.
	discovery.Instance
	d     *Dispatcher
	svc   *service
	log   *slog.Logger
	calls caller

	load    load
	meter   meter
	breaker breaker
	limiter atomic.Pointer[limiter] // nil: no limit
	suspect atomic.Bool             // a call has timed out and no heartbeat was answered since
	seen    atomic.Int64            // the incarnation that spoke last; 0: none yet
	ready   readyQueue
	held    heldLanes
	life    life
	clock   peerClock
	events  eventQueue

	greeted    chan struct{} // closed when the first heartbeat was answered, or was not
	probes     chan struct{} // a heartbeat is wanted now
	up         atomic.Bool   // the last heartbeat was answered
	draining   atomic.Bool   // it says that it is leaving
	logins     atomic.Int64  // login calls under way
	complained atomic.Int64  // when a broken contract was last logged; 0: never
	stop       context.CancelFunc
	done       chan struct{} // closed when run has returned
}

func newInstance(s *service, of discovery.Instance) (*instance, error) {
	network, address, err := discovery.SplitAddress(of.Address)
	if err != nil {
		return nil, err
	}
	calls, err := s.d.dial(network, address, s.cfg)
	if err != nil {
		return nil, err
	}
	i := &instance{
		Instance: of,
		d:        s.d,
		svc:      s,
		log:      s.d.log.With("service", s.cfg.Name, "instance", of.ID),
		calls:    calls,
		greeted:  make(chan struct{}),
		probes:   make(chan struct{}, 1),
		done:     make(chan struct{}),
	}
	i.meter.init(s.d.cfg.Breaker.Window, s.d.now())
	i.breaker.init(s.d.cfg.Breaker, &i.meter, s.d.now)
	i.load.freed = i.ready.rest
	i.ready.init(s.cfg.CallsInFlight, i.room)
	i.limit(nil, s.limits.Load())
	i.events.init(s.d.cfg.Events.Queue)
	return i, nil
}

// run calls the instance until ctx is done.
func (i *instance) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for range i.svc.cfg.CallsInFlight {
		w := &worker{inst: i, batch: newBatch(i.d, i.svc.cfg)}
		g.Go(func() error { w.run(); return nil })
	}
	g.Go(func() error { i.runHeartbeat(ctx); return nil })
	g.Go(func() error { i.runEvents(ctx); return nil })
	g.Go(func() error {
		<-ctx.Done()
		i.ready.stop()
		return nil
	})
	err := g.Wait()
	i.calls.close()
	i.handOver()
	return err
}

// handOver sends what waits for the instance, which has stopped, where it belongs
// by now.
func (i *instance) handOver() {
	for sl := i.ready.take(1); sl != nil; sl = i.ready.take(1) {
		sl.enqueue(sl.leave(i))
	}
}

// idle tells whether nobody waits for an answer of the instance any more.
func (i *instance) idle() bool {
	return i.load.open.Load() == 0 && i.logins.Load() == 0 && i.events.empty()
}

// retire lets go of an instance that is in no table any more: nothing is sent to
// it, what waits for it goes elsewhere, and once it has given the answers that it
// owes, or has had the time of a request to do so, it is stopped.
func (i *instance) retire(ctx context.Context) {
	i.ready.stop()
	i.handOver()
	deadline := time.NewTimer(i.d.cfg.RequestTimeout)
	defer deadline.Stop()
	look := time.NewTicker(max(i.d.cfg.RequestTimeout/200, time.Millisecond))
	defer look.Stop()
	for !i.idle() {
		select {
		case <-look.C:
			continue
		case <-deadline.C:
		case <-ctx.Done():
		}
		break
	}
	i.stop()
	<-i.done
}

// probe asks for a heartbeat now.
func (i *instance) probe() {
	select {
	case i.probes <- struct{}{}:
	default: // one is coming
	}
}

// failed notes packets that the instance did not answer. When that opens its
// breaker, what waits for it goes to others.
func (i *instance) failed(how failure, packets int) {
	if packets == 0 && how != timedOut { // a heartbeat that times out has no packets
		return
	}
	if how == timedOut && i.breaker.cfg.Enabled {
		i.suspect.Store(true)
	}
	if !i.breaker.failed(how, packets) {
		return
	}
	i.log.Warn("breaker opened")
	i.svc.metrics.breakerOpened.Inc()
	for sl := i.ready.takeAll(); sl != nil; {
		next := sl.nextReady
		sl.nextReady = nil
		sl.repick()
		sl = next
	}
	i.probe()
}

// room returns how many packets may be sent now. After a call that has timed out
// there is none until a heartbeat is answered: if the instance is frozen, what
// would be sent meanwhile would be lost with it, and what waits can go elsewhere.
func (i *instance) room() int {
	if i.suspect.Load() {
		return 0
	}
	return i.load.room()
}

// trust ends what room does after a call that has timed out.
func (i *instance) trust() {
	if i.suspect.CompareAndSwap(true, false) {
		i.ready.rest()
	}
}

// revived is called when requests may go to the instance again.
func (i *instance) revived() {
	i.log.Info("breaker closed")
	i.svc.wake()
}
