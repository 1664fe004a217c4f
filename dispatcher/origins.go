package dispatcher

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-io/holdfast/dispatcher/slots"
)

// originShards spreads Open and End over locks; sessions come and go by the
// thousand a second after a reconnect storm.
const originShards = 32

// origins are the open Lanes, so that they can be announced to a backend that
// asks who is there.
type origins struct {
	shards [originShards]originShard
	open   atomic.Int64
}

type originShard struct {
	mu   sync.Mutex
	head *Lanes
}

// Open makes the lanes of a session that Connect has let in. They live until End.
// The service that judged the login is part of what a session is; nothing here
// depends on it, since every service that wants events hears of every session.
func (d *Dispatcher) Open(o Origin, _ string, sink Sink) *Lanes {
	l := &Lanes{
		d:         d,
		sink:      sink,
		hash:      slots.Hash(o.UID),
		transport: o.Transport,
		clientIP:  o.ClientIP,
		id: identity{
			session:     o.Session,
			uid:         o.UID,
			attrs:       o.Attrs,
			connectedAt: o.ConnectedAt.UnixMilli(),
		},
	}
	if o.Device != (Device{}) {
		l.id.device = &o.Device
	}
	d.origins.add(l)
	l.announceIfMissed()
	return l
}

func (o *origins) shard(l *Lanes) *originShard { return &o.shards[l.hash%originShards] }

func (o *origins) add(l *Lanes) {
	s := o.shard(l)
	s.mu.Lock()
	l.next = s.head
	if s.head != nil {
		s.head.prev = l
	}
	s.head = l
	s.mu.Unlock()
	o.open.Add(1)
}

func (o *origins) remove(l *Lanes) {
	s := o.shard(l)
	s.mu.Lock()
	if l.prev != nil {
		l.prev.next = l.next
	} else {
		s.head = l.next
	}
	if l.next != nil {
		l.next.prev = l.prev
	}
	l.next, l.prev = nil, nil
	s.mu.Unlock()
	o.open.Add(-1)
}

func (o *origins) count() int64 { return o.open.Load() }

// inShard appends the open Lanes of shard i to dst.
func (o *origins) inShard(i int, dst []*Lanes) []*Lanes {
	s := &o.shards[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := s.head; l != nil; l = l.next {
		dst = append(dst, l)
	}
	return dst
}

// refuseAll answers everything that waits in any lane, and whatever is deferred.
// It runs after the last worker has ended.
func (d *Dispatcher) refuseAll(why Reason) {
	var all []*Lanes
	for i := range originShards {
		all = d.origins.inShard(i, all[:0])
		for _, l := range all {
			l.refuseWaiting(why)
		}
	}
}

// announceWindow is how long after an instance asked for all sessions a new
// session is announced by itself: its Connect may have reached the process that
// was there before. It is longer than a login may sensibly take.
const announceWindow = 30 * time.Second
