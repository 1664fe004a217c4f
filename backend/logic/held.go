package logic

import (
	"slices"
	"sync"
)

// held keeps what is pushed during the first moments of the process. After a
// restart nothing is known of the sessions that live on at the gateways until
// those have announced them again; what is stored meanwhile finds nobody online
// and is pushed when the session is announced.
type held struct {
	bytesMax int

	mu     sync.Mutex // guards the following, and item.pushed of what is held
	items  map[string][]*item
	bytes  int
	closed bool
}

// heldResult says whether an item is held.
type heldResult int

const (
	heldClosed heldResult = iota // the time for it is over
	heldKept
	heldFull
)

func newHeld(bytesMax int) *held {
	return &held{bytesMax: bytesMax, items: map[string][]*item{}}
}

// add keeps an item for sessions yet to be announced.
func (h *held) add(it *item) heldResult {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return heldClosed
	case h.bytes+len(it.payload) > h.bytesMax:
		return heldFull
	}
	h.bytes += len(it.payload)
	h.items[it.uid] = append(h.items[it.uid], it)
	return heldKept
}

// once calls send unless the item has been sent to the gateway. send runs under
// the lock, so that two callers keep the order of a user's items; it must not
// block nor come back here.
func (h *held) once(it *item, gateway string, send func(*item, string)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.onceLocked(it, gateway, send)
}

func (h *held) onceLocked(it *item, gateway string, send func(*item, string)) {
	if slices.Contains(it.pushed, gateway) {
		return
	}
	it.pushed = append(it.pushed, gateway)
	send(it, gateway)
}

// announced calls send for each of the user's items that has not been sent to
// the gateway, but for those that the announced session sent itself.
func (h *held) announced(uid, session, gateway string, send func(*item, string)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, it := range h.items[uid] {
		if it.except != session {
			h.onceLocked(it, gateway, send)
		}
	}
}

// close ends the keeping and frees everything.
func (h *held) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed, h.items, h.bytes = true, nil, 0
}
