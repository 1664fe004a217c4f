package dispatcher

import (
	"sync"

	"github.com/holdfast-io/holdfast/dispatcher/lane"
)

// heldLanes are the lanes that depend on one instance staying alive: those with
// deferred packets there, and those that an unknown outcome keeps closed. When
// the instance is known to be gone they are let go at once.
type heldLanes struct {
	mu   sync.Mutex
	head *sessionLane
	n    int
}

// watchLocked puts the lane on its instance's list.
func (sl *sessionLane) watchLocked() {
	if sl.watched {
		return
	}
	sl.watched = true
	sl.inst.held.add(sl)
}

// add puts a lane, which is on no such list, in front.
func (h *heldLanes) add(sl *sessionLane) {
	h.mu.Lock()
	defer h.mu.Unlock()
	sl.prevHeld, sl.nextHeld = nil, h.head
	if h.head != nil {
		h.head.prevHeld = sl
	}
	h.head = sl
	h.n++
}

// unwatchLocked takes the lane off its instance's list.
func (sl *sessionLane) unwatchLocked() {
	if !sl.watched {
		return
	}
	sl.watched = false
	sl.inst.held.remove(sl)
}

// remove takes a lane off the list, unless takeAll has done so.
func (h *heldLanes) remove(sl *sessionLane) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if sl.prevHeld == nil && h.head != sl {
		return
	}
	h.unlink(sl)
}

func (h *heldLanes) unlink(sl *sessionLane) {
	if sl.prevHeld != nil {
		sl.prevHeld.nextHeld = sl.nextHeld
	} else {
		h.head = sl.nextHeld
	}
	if sl.nextHeld != nil {
		sl.nextHeld.prevHeld = sl.prevHeld
	}
	sl.nextHeld, sl.prevHeld = nil, nil
	h.n--
}

// takeAll empties the list. The lanes still believe that they are watched.
func (h *heldLanes) takeAll() []*sessionLane {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*sessionLane, 0, h.n)
	for h.head != nil {
		all = append(all, h.head)
		h.unlink(h.head)
	}
	return all
}

// letGo makes everything that dead processes had deferred unknown, and opens the
// lanes that they kept closed. dead is asked with a lane's incarnation and since.
func (i *instance) letGo(dead func(incarnation, since int64) bool) {
	var expired []lane.Expiry
	for _, sl := range i.held.takeAll() {
		expired = sl.letGo(i, dead, expired)
	}
}

func (sl *sessionLane) letGo(i *instance, dead func(_, _ int64) bool, expired []lane.Expiry) []lane.Expiry {
	l := sl.owner
	l.mu.Lock()
	if l.ended || !sl.watched || sl.inst != i {
		l.mu.Unlock()
		return expired
	}
	sl.watched = false
	expired = expired[:0]
	if dead(sl.incarnation, sl.since) {
		sl.repeatDeferredLocked(l.d.now(), true)
		expired = sl.Lost(expired)
	}
	ready, answers := sl.nextLocked(l.d.now(), appendExpired(nil, expired))
	l.mu.Unlock()
	sl.enqueue(ready)
	l.tell(sl.service, answers)
	return expired
}
