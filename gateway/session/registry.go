package session

import (
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
)

// shardCount is how many locks share the sessions. With a thousand logins a
// second and a push to each session every second, two of them wait for one
// another about once in 10,000 times.
const shardCount = 64

// Registry finds sessions by id, by uid and by topic.
type Registry struct {
	ids    [shardCount]shard[*Session]
	uids   [shardCount]shard[*Session] // first of a chain through nextOfUID
	topics [shardCount]shard[map[*Session]struct{}]
	size   atomic.Int64

	metrics *Metrics
}

// shard is a part of an index. A map that has emptied is let go, since Go maps
// never shrink and a storm would be paid for for ever.
type shard[V any] struct {
	mu sync.RWMutex
	m  map[string]V
}

func (s *shard[V]) setLocked(key string, v V) {
	if s.m == nil {
		s.m = make(map[string]V)
	}
	s.m[key] = v
}

func (s *shard[V]) deleteLocked(key string) {
	delete(s.m, key)
	if len(s.m) == 0 {
		s.m = nil
	}
}

func (s *shard[V]) get(key string) (V, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	v, ok := s.m[key]
	return v, ok
}

func shardOf(key string) int { return int(xxhash.Sum64String(key) % shardCount) }

// NewRegistry returns an empty registry.
func NewRegistry(m *Metrics) *Registry { return &Registry{metrics: m} }

// Len is how many sessions there are.
func (r *Registry) Len() int64 { return r.size.Load() }

// Add makes s known and returns the sessions of the same user and device,
// which s replaces. A device without an id replaces nothing.
func (r *Registry) Add(s *Session) (replaced []*Session) {
	ids := &r.ids[shardOf(s.ID())]
	ids.mu.Lock()
	ids.setLocked(s.ID(), s)
	ids.mu.Unlock()

	uids := &r.uids[shardOf(s.UID())]
	uids.mu.Lock()
	first := uids.m[s.UID()]
	if s.Device().ID != "" {
		for other := first; other != nil; other = other.nextOfUID {
			if other.Device().ID == s.Device().ID {
				replaced = append(replaced, other)
			}
		}
	}
	s.nextOfUID = first
	uids.setLocked(s.UID(), s)
	uids.mu.Unlock()

	r.size.Add(1)
	r.metrics.open.Inc()
	return replaced
}

// Remove forgets s and its topics. It is called once for each session.
func (r *Registry) Remove(s *Session) {
	ids := &r.ids[shardOf(s.ID())]
	ids.mu.Lock()
	ids.deleteLocked(s.ID())
	ids.mu.Unlock()

	uids := &r.uids[shardOf(s.UID())]
	uids.mu.Lock()
	if first := uids.m[s.UID()]; first != s {
		for at := first; at != nil; at = at.nextOfUID {
			if at.nextOfUID == s {
				at.nextOfUID = s.nextOfUID
				break
			}
		}
	} else if s.nextOfUID != nil {
		uids.m[s.UID()] = s.nextOfUID
	} else {
		uids.deleteLocked(s.UID())
	}
	s.nextOfUID = nil
	uids.mu.Unlock()

	r.dropTopics(s)
	r.size.Add(-1)
	r.metrics.open.Dec()
}

// ByID finds a session, nil when there is none.
func (r *Registry) ByID(id string) *Session {
	s, _ := r.ids[shardOf(id)].get(id)
	return s
}

// ByUID appends the user's sessions to dst.
func (r *Registry) ByUID(dst []*Session, uid string) []*Session {
	shard := &r.uids[shardOf(uid)]
	shard.mu.RLock()
	defer shard.mu.RUnlock()
	for s := shard.m[uid]; s != nil; s = s.nextOfUID {
		dst = append(dst, s)
	}
	return dst
}

// Each calls fn for every session, without a lock held, until fn reports false.
// Sessions that come meanwhile may be missed.
func (r *Registry) Each(fn func(*Session) bool) {
	var batch []*Session
	for i := range r.ids {
		shard := &r.ids[i]
		shard.mu.RLock()
		batch = batch[:0]
		for _, s := range shard.m {
			batch = append(batch, s)
		}
		shard.mu.RUnlock()
		for _, s := range batch {
			if !fn(s) {
				return
			}
		}
	}
}
