package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// batch is the packets of one Forward call. It outlives the call while packets
// that were deferred are unfinished, and is used again when nothing refers to it.
type batch struct {
	engine *Engine // static
	done   chan struct{}
	timer  *time.Timer // runs expire

	tasks    []task
	ctxs     []runContext // one each; not used again, handlers may keep them
	lanes    []*lane      // led by fast packets: what the runners drain
	next     atomic.Int32 // the first of lanes that no runner has claimed
	reserved bool         // the pool has a place for its runner

	mu       sync.Mutex // guards the following
	replies  []holdfast.Reply
	answered bool // the replies belong to the caller
	expired  bool // answered by the timer
	open     int  // packets that are not finished
	awaited  int  // of those, how many the answer waits for; and one for begin
	refs     int  // the call, the timer, each runner, each open packet
	helpers  int  // runners that the next look at a stuck batch adds
	looked   int  // open packets at the last look
}

func (e *Engine) newBatch(packets []*holdfast.Packet) *batch {
	b, _ := e.batches.Get().(*batch)
	if b == nil {
		b = &batch{engine: e, done: make(chan struct{}, 1)}
	}
	n := len(packets)
	if cap(b.tasks) < n {
		b.tasks = make([]task, n)
	}
	b.tasks = b.tasks[:n]
	b.ctxs = make([]runContext, n)
	b.replies = make([]holdfast.Reply, n)
	b.open, b.awaited, b.refs = n, 1, n+1
	b.helpers, b.looked = 1, 0
	e.active.Add(1)
	b.reserved = e.pool.reserve()
	for i, p := range packets {
		t := &b.tasks[i]
		t.packet, t.batch, t.index = p, b, int32(i)
		t.startBy.Store(p.StartByMs)
		t.command, t.class = e.classify(b, i)
		if t.class == fast && !b.reserved { // no place for a runner: it waits like any other
			t.class = medium
		}
		if t.awaited = t.class != slow; t.awaited {
			b.awaited++
		}
	}
	return b
}

// classify looks up the command of packet i; runs of one command are common.
func (e *Engine) classify(b *batch, i int) (*command, class) {
	if i > 0 && b.tasks[i-1].packet.Command == b.tasks[i].packet.Command {
		return b.tasks[i-1].command, b.tasks[i-1].class
	}
	c := e.commands.find(b.tasks[i].packet.Command)
	if c == nil {
		return nil, medium
	}
	return c, c.class(e.cfg.DeferAfter)
}

// admit puts every packet into its lane, in order, and sees to it that each lane
// gets a drainer.
func (e *Engine) admit(b *batch) {
	nowMS := e.NowMS()
	for i := range b.tasks {
		t := &b.tasks[i]
		switch v, a := e.place(t, nowMS); v {
		case leads:
			if t.class == fast {
				b.lanes = append(b.lanes, t.lane)
			} else {
				e.pool.submit(t.lane)
			}
		case repeated, lost, refused:
			b.complete(t, a)
		case hopeless:
			b.mu.Lock()
			b.awaited-- // never the last one: begin's is there
			b.mu.Unlock()
		case follows, joined: // whoever drains the lane answers
		}
	}
}

// begin starts a runner for the fast packets and reports whether there is
// anything to wait for; then done is signalled once.
func (b *batch) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.lanes) > 0 {
		b.refs++ // the runner's
		b.engine.pool.startReserved(b)
	} else if b.reserved {
		b.engine.pool.unreserve()
	}
	if b.awaited--; b.awaited == 0 && len(b.lanes) == 0 {
		b.answerLocked()
		return false
	}
	if b.awaited == 0 {
		b.answerLocked()
		b.done <- struct{}{}
	}
	b.refs++ // the timer's
	if b.timer == nil {
		b.timer = time.AfterFunc(b.engine.cfg.DeferAfter, b.expire)
	} else {
		b.timer.Reset(b.engine.cfg.DeferAfter)
	}
	return true
}

// claim returns the next lane for a runner, nil when all are taken.
func (b *batch) claim() *lane {
	if i := int(b.next.Add(1)) - 1; i < len(b.lanes) {
		return b.lanes[i]
	}
	return nil
}

// complete answers one packet: in the batch's replies while they are open, else
// by Later.
func (b *batch) complete(t *task, a Answer) {
	b.mu.Lock()
	late := b.answered
	b.open--
	if !late {
		t.answered = true
		Fill(&b.replies[t.index], a)
		if t.awaited {
			if b.awaited--; b.awaited == 0 {
				b.answerLocked()
				b.done <- struct{}{}
			}
		}
	}
	packet := t.packet
	b.releaseAndUnlock()
	if late {
		b.engine.later(packet, a)
	}
}

// answerLocked gives the replies to the caller; open packets become deferred.
func (b *batch) answerLocked() {
	b.answered = true
	if b.open == 0 {
		return
	}
	for i := range b.tasks {
		if !b.tasks[i].answered {
			b.replies[i].Deferred = true
		}
	}
	b.engine.deferred.Add(uint64(b.open))
}

// end waits for nothing: it takes the replies after done.
func (b *batch) end() []*holdfast.Reply {
	b.mu.Lock()
	if b.timer != nil && !b.expired && int(b.next.Load()) >= len(b.lanes) && b.timer.Stop() {
		b.refs-- // else expire gives up the timer's reference
	}
	replies := b.replies
	b.replies = nil
	b.releaseAndUnlock()
	out := make([]*holdfast.Reply, len(replies))
	for i := range replies {
		out[i] = &replies[i]
	}
	return out
}

// expire runs DeferAfter after begin, and again while lanes wait for a runner:
// it answers the batch and sends runners to the help of one that is stuck.
func (b *batch) expire() {
	b.mu.Lock()
	if !b.answered {
		b.expired = true
		b.answerLocked()
		b.done <- struct{}{}
	}
	if claimed := b.next.Load(); int(claimed) < len(b.lanes) {
		b.helpLocked(claimed)
		b.timer.Reset(b.engine.cfg.DeferAfter)
		b.mu.Unlock()
		return
	}
	b.releaseAndUnlock()
}

// helpLocked adds runners when no packet was finished since the last look, twice
// as many each time, and tells the commands that are stuck how long they take.
func (b *batch) helpLocked(claimed int32) {
	if b.open < b.looked {
		b.looked = b.open
		return
	}
	b.looked = b.open
	for _, l := range b.lanes[:claimed] {
		if c := l.stuck(b); c != nil {
			c.observe(b.engine.cfg.DeferAfter)
		}
	}
	for range min(b.helpers, len(b.lanes)-int(claimed)) {
		if !b.engine.pool.reserve() {
			break
		}
		b.refs++
		b.engine.pool.startReserved(b)
		b.engine.helped.Add(1)
	}
	b.helpers *= 2
}

// stuck returns the command of b's packet at the head of l.
func (l *lane) stuck(b *batch) *command {
	l.shard.mu.Lock()
	defer l.shard.mu.Unlock()
	if l.head == nil || l.head.batch != b {
		return nil
	}
	return l.head.command
}

// release gives up a runner's reference.
func (b *batch) release() {
	b.mu.Lock()
	b.releaseAndUnlock()
}

func (b *batch) releaseAndUnlock() {
	b.refs--
	last := b.refs == 0
	b.mu.Unlock()
	if !last {
		return
	}
	clear(b.tasks)
	clear(b.lanes)
	b.tasks, b.lanes, b.ctxs = b.tasks[:0], b.lanes[:0], nil
	b.answered, b.expired = false, false
	b.next.Store(0)
	b.engine.active.Add(-1)
	b.engine.batches.Put(b)
}

// Fill writes an answer into a reply.
func Fill(r *holdfast.Reply, a Answer) {
	r.Status, r.Payload = a.Status, a.Payload
	if a.Refused != NotRefused {
		r.NotExecuted, r.Reason = true, string(a.Refused)
		if a.Refused == QueueFull {
			r.RetryAfterMs = int32(RetryAfter.Milliseconds())
		}
	}
}
