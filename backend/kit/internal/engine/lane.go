package engine

import (
	"sync"
	"sync/atomic"

	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// task is one packet on its way through the engine.
type task struct {
	packet  *holdfast.Packet
	batch   *batch
	lane    *lane
	command *command // nil while unknown
	index   int32    // in the batch
	class   class
	awaited bool // the batch's answer waits for it
	waits   bool // counts against MaxWaiting until it starts

	// guarded by the shard's mu
	next    *task        // the next packet of the lane
	also    *task        // further attempts of this packet, answered with it
	startBy atomic.Int64 // the latest of all attempts, Unix ms; 0 = no bound; read without the lock

	answered bool // guarded by the batch's mu
}

// lane is what one session has here: the packets that run or wait, in order, and
// what is known of those that ran. It is idle while it has neither a head nor a
// place in the pool's queue. While it is parked, any packet of it may be refused
// for being late, so that head may be nil by the time a worker takes it. Otherwise
// exactly one goroutine, its drainer, runs the head and moves on to the next; it
// may read head without the lock, since nobody else changes it.
type lane struct {
	shard *shard // static

	// guarded by shard.mu
	session    string
	head, tail *task
	parked     bool  // given to the pool; no worker has begun with it
	watched    bool  // on the shard's list of lanes that may have late packets
	due        int64 // no packet that waits is late before, Unix ms; 0 = none has a bound
	last       int64 // the highest seq admitted
	floor      int64 // answers at or below it are no longer kept
	seen       int64 // Unix ms of the last packet
}

// idleLocked reports whether nobody drains the lane, nor is about to.
func (l *lane) idleLocked() bool { return l.head == nil && !l.parked }

// verdict says what place made of a packet.
type verdict uint8

const (
	leads    verdict = iota // its lane was idle: the caller must have it drained, by the pool if it is parked
	follows                 // it waits behind an earlier packet of its lane
	hopeless                // it waits behind one that its batch does not wait for
	joined                  // an attempt of the same packet runs or waits
	repeated                // it ran; the answer was kept
	lost                    // it ran; the answer was not kept
	refused                 // the process is leaving, or too much waits
)

// shard holds a share of the lanes and of the kept answers.
type shard struct {
	// late is held, before mu, from taking late packets off a lane until they are
	// answered, so that they are answered in the order in which they are taken.
	late sync.Mutex

	mu      sync.Mutex
	lanes   map[string]*lane
	watched []*lane // had packets that wait, with a start_by, at the last look or since
	kept    kept
	limit   int // lanes
	stats   Stats
	_       [64]byte // keeps neighbours' locks off this cache line
}

func (s *shard) init(cfg Config) {
	s.lanes = make(map[string]*lane)
	s.limit = max(1, cfg.Sessions/shards)
	s.kept.limit = max(1, cfg.Answers/shards)
	s.kept.bytesMax = max(1, cfg.Bytes/shards)
}

// place puts t into its lane, unless it is a repeat or the engine has no room.
// With repeated, lost and refused it returns the answer.
func (e *Engine) place(t *task, nowMS int64) (verdict, Answer) {
	s := e.shardOf(t.packet.Session)
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes[t.packet.Session]
	if l == nil {
		l = s.add(t.packet.Session)
	}
	l.seen = nowMS
	t.lane = l
	if t.packet.Seq <= l.last {
		if v, a := l.repeatLocked(t); v != leads {
			return v, a
		}
	}
	switch {
	case e.draining.Load(), e.paused.Load():
		s.stats.Refused[draining]++
		return refused, Answer{Refused: Draining}
	case l.idleLocked() && t.class == fast: // starts at once
	case e.waiting.Add(1) > int64(e.cfg.MaxWaiting):
		e.waiting.Add(-1)
		s.stats.Refused[queueFull]++
		return refused, Answer{Refused: QueueFull}
	default:
		t.waits = true
	}
	l.last = max(l.last, t.packet.Seq)
	if t.waits {
		e.watchLocked(l, t.startBy.Load())
	}
	return l.appendLocked(t), Answer{}
}

// appendLocked puts t at the end of its lane.
func (l *lane) appendLocked(t *task) verdict {
	idle, before := l.idleLocked(), l.tail
	l.tail = t
	if before == nil {
		l.head = t
		if idle {
			l.parked = t.class != fast
			return leads
		}
		return follows // all before it were refused while the lane was parked
	}
	before.next = t
	if t.awaited && !before.awaited {
		t.awaited = false
		return hopeless
	}
	return follows
}

// repeatLocked finds what became of a seq that is not above the highest one. It
// returns leads for one that never ran here.
func (l *lane) repeatLocked(t *task) (verdict, Answer) {
	s, seq := l.shard, t.packet.Seq
	for was := l.head; was != nil; was = was.next {
		if was.packet.Seq == seq {
			t.also, was.also = was.also, t
			was.extend(t.startBy.Load())
			s.stats.Joined++
			return joined, Answer{}
		}
	}
	if a, ok := s.kept.find(l, seq); ok {
		s.stats.Repeated++
		return repeated, a
	}
	if seq <= l.floor {
		s.stats.Lost++
		return lost, Answer{Status: statusDataLoss, Payload: []byte(`{"message":"already run; the answer is no longer kept"}`)}
	}
	return leads, Answer{}
}

// extend lets a packet start as late as the latest of its attempts.
func (t *task) extend(startBy int64) {
	if old := t.startBy.Load(); old != 0 && (startBy == 0 || startBy > old) {
		t.startBy.Store(startBy)
	}
}

// begin takes a parked lane for a worker and returns its head, nil when there is
// nothing left to do: then the lane is idle. Where the head is late it stays parked.
func (l *lane) begin(nowMS int64) (head *task, late bool) {
	l.shard.mu.Lock()
	defer l.shard.mu.Unlock()
	if l.head != nil && l.head.late(nowMS) {
		return nil, true
	}
	l.parked = false
	return l.head, false
}

// late reports whether the packet must not begin any more.
func (t *task) late(nowMS int64) bool {
	startBy := t.startBy.Load()
	return startBy != 0 && startBy < nowMS
}

// finish takes the head off its lane, remembers its answer, and returns it with
// the next head, which the caller must run. There is no next, and the lane is
// parked, when that is late, or not fast and for a batch's runner (inline).
func (l *lane) finish(a Answer, inline bool, nowMS int64) (done, next *task, parked bool) {
	s := l.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	done = l.head
	next = done.next
	l.head = next
	if next == nil {
		l.tail = nil
	} else if next.late(nowMS) || inline && next.class != fast {
		l.parked, next = true, nil
	}
	s.stats.count(a, inline)
	if a.Refused == NotRefused {
		l.seen = nowMS
		s.kept.add(entry{lane: l, seq: done.packet.Seq, at: l.seen, status: a.Status, payload: a.Payload})
	}
	return done, next, l.parked
}

// add makes a lane. When there are too many it first forgets the idlest of a few.
func (s *shard) add(session string) *lane {
	if len(s.lanes) >= s.limit {
		var idlest *lane
		tries := 8 // a sample: a map walk starts anywhere
		for _, l := range s.lanes {
			if l.idleLocked() && (idlest == nil || l.seen < idlest.seen) {
				idlest = l
			}
			if tries--; tries == 0 {
				break
			}
		}
		if idlest != nil {
			delete(s.lanes, idlest.session)
		}
	}
	l := &lane{shard: s, session: session}
	s.lanes[session] = l
	return l
}

// sweep forgets what was last used before oldest.
func (s *shard) sweep(oldest int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.kept.n > 0 && s.kept.oldest().at < oldest {
		s.kept.release()
	}
	for session, l := range s.lanes {
		if l.idleLocked() && l.seen < oldest {
			delete(s.lanes, session)
		}
	}
}
