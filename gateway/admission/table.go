package admission

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

const (
	// tableShards keeps pollers from waiting for each other. The hash is seeded, so
	// that nobody can aim at one shard.
	tableShards = 64
	// idleMax bounds the entries without a connection: 10 MiB at most. At the
	// default rates an address that came once is forgotten within a second, so it
	// takes as many new ones a second to reach it.
	idleMax = 65_536
	// inlineBuckets is how many buckets stand in an entry itself.
	inlineBuckets = 2
)

// table counts connections and keeps buckets by key. An entry lives while it has
// connections, and after that until its buckets are full again; there are at
// most idleMax of the latter.
type table[K comparable] struct {
	seed    maphash.Seed
	idleMax int // per shard
	entries atomic.Int64
	shards  [tableShards]shard[K]
}

// shard is a part of a table under a lock of its own. It is locked for a few
// map operations at a time.
type shard[K comparable] struct {
	mu    sync.Mutex // guards the following, and all entries in it
	byKey map[K]*entry[K]
	idle  entry[K] // head of a ring: entries without a connection, in the order in which they lost it
	idles int
	// crowd stands for all newcomers of the shard while there is no room for entries.
	crowd entry[K]
	_     [64]byte // the next shard's lock is on another cache line
}

// entry is what is known of one key.
type entry[K comparable] struct {
	key        K
	open       int32
	first      [inlineBuckets]int64
	more       []int64 // buckets of command classes, made when one is used
	next, prev *entry[K]
}

func newTable[K comparable](idle int) *table[K] {
	t := &table[K]{seed: maphash.MakeSeed(), idleMax: max(idle/tableShards, 1)}
	for i := range t.shards {
		s := &t.shards[i]
		s.byKey = make(map[K]*entry[K])
		s.idle.next, s.idle.prev = &s.idle, &s.idle
	}
	return t
}

// lock returns the shard of key, locked.
func (t *table[K]) lock(key K) *shard[K] {
	s := &t.shards[maphash.Comparable(t.seed, key)%tableShards]
	s.mu.Lock()
	return s
}

// bucket returns the state of the i-th limit.
func (e *entry[K]) bucket(i int) *int64 {
	if i < inlineBuckets {
		return &e.first[i]
	}
	i -= inlineBuckets
	if i >= len(e.more) {
		e.more = append(e.more, make([]int64, i+1-len(e.more))...)
	}
	return &e.more[i]
}

// full tells whether all buckets are, so that nothing is lost with the entry. It
// brings them within limits, which may have changed since.
func (e *entry[K]) full(limits []limit, now int64) bool {
	full := true
	judge := func(i int, tat *int64) {
		if i >= len(limits) || !limits[i].enabled() {
			*tat = 0
			return
		}
		*tat = limits[i].clip(*tat, now)
		full = full && *tat <= now
	}
	for i := range e.first {
		judge(i, &e.first[i])
	}
	for i := range e.more {
		judge(inlineBuckets+i, &e.more[i])
	}
	return full
}

// find returns the entry of key or, where there is none, one that stands for
// it: the crowd's while there is no room for idle entries, else an idle one.
// s is locked.
func (t *table[K]) find(s *shard[K], key K, limits []limit, now int64) *entry[K] {
	if e := s.byKey[key]; e != nil {
		return e
	}
	if !s.makeRoom(t, limits, now) {
		return &s.crowd
	}
	e := t.add(s, key)
	s.link(e)
	return e
}

// enter counts a connection of key. s is locked.
func (t *table[K]) enter(s *shard[K], key K) {
	e := s.byKey[key]
	if e == nil {
		e = t.add(s, key)
	} else if e.open == 0 {
		s.unlink(e)
	}
	e.open++
}

// leave takes a connection back. False: there was none, which is a fault of the
// caller's.
func (t *table[K]) leave(key K, limits []limit, now int64) bool {
	s := t.lock(key)
	defer s.mu.Unlock()
	e := s.byKey[key]
	if e == nil || e.open == 0 {
		return false
	}
	if e.open--; e.open > 0 {
		return true
	}
	if e.full(limits, now) || !s.makeRoom(t, limits, now) {
		t.drop(s, e)
		return true
	}
	s.link(e)
	return true
}

// open tells how many connections key has.
func (s *shard[K]) open(key K) int {
	if e := s.byKey[key]; e != nil {
		return int(e.open)
	}
	return 0
}

// makeRoom tells whether there is room for one more idle entry. When there is
// not, it looks whether the oldest can be forgotten; a few looks are enough,
// since sweep comes each second.
func (s *shard[K]) makeRoom(t *table[K], limits []limit, now int64) bool {
	for range 4 {
		if s.idles < t.idleMax {
			return true
		}
		e := s.idle.next
		s.unlink(e)
		if e.full(limits, now) {
			t.drop(s, e)
			continue
		}
		s.link(e) // it owes more than those behind it
	}
	return s.idles < t.idleMax
}

// sweep forgets the idle entries whose buckets are full. It locks one shard at
// a time.
func (t *table[K]) sweep(limits []limit, now int64) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for e := s.idle.next; e != &s.idle; {
			next := e.next
			if e.full(limits, now) {
				s.unlink(e)
				t.drop(s, e)
			}
			e = next
		}
		s.mu.Unlock()
	}
}

// add makes an entry that is in no ring.
func (t *table[K]) add(s *shard[K], key K) *entry[K] {
	e := &entry[K]{key: key}
	s.byKey[key] = e
	t.entries.Add(1)
	return e
}

// drop forgets an entry that is in no ring.
func (t *table[K]) drop(s *shard[K], e *entry[K]) {
	delete(s.byKey, e.key)
	t.entries.Add(-1)
}

func (s *shard[K]) link(e *entry[K]) {
	e.prev, e.next = s.idle.prev, &s.idle
	e.prev.next, e.next.prev = e, e
	s.idles++
}

func (s *shard[K]) unlink(e *entry[K]) {
	e.prev.next, e.next.prev = e.next, e.prev
	e.prev, e.next = nil, nil
	s.idles--
}
