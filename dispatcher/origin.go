package dispatcher

import (
	"sync"
	"time"

	"github.com/holdfast-io/holdfast/dispatcher/lane"
)

// Sink takes the answers to one origin's requests. Its methods are called from
// any goroutine, never under a lock of the dispatcher, and must not block.
type Sink interface {
	// Reply is the backend's answer to request id. payload belongs to the sink.
	Reply(id uint32, status uint8, payload []byte)
	// Refuse is the dispatcher's own answer to request id. retryAfter is 0 where the
	// request may have run or sending it again would not help.
	Refuse(id uint32, status uint8, reason, message string, retryAfter time.Duration)
	// Flush comes after each run of Reply and Refuse.
	Flush()
}

// Device is what the client said of its device. Nothing in it is verified.
type Device struct {
	ID, Class, Model, OS, App, Version string
}

// Origin says whose requests lanes carry.
type Origin struct {
	Session     string
	UID         string
	Device      Device
	ClientIP    string
	Transport   string
	Attrs       map[string]string // not changed after Open
	ConnectedAt time.Time
}

// Lanes are an origin's ordered queues, one per service, made on demand.
type Lanes struct {
	// Static after Open.
	d    *Dispatcher
	sink Sink
	hash uint64 // of the uid: places it on slots
	id   identity

	mu        sync.Mutex // guards the following and all lanes; held for a few hundred nanoseconds
	lanes     *sessionLane
	transport string
	clientIP  string
	ended     bool

	// Guarded by the shard of d.origins.
	next, prev *Lanes
}

// identity is the part of an Origin that never changes, small because every
// session has one.
type identity struct {
	session, uid string
	device       *Device // nil where the client told nothing
	attrs        map[string]string
	connectedAt  int64 // Unix milliseconds
}

func (id *identity) deviceID() string {
	if id.device == nil {
		return ""
	}
	return id.device.ID
}

// End drops what waits, discards later answers and tells the backends that the
// session is over. An answer that is being delivered at this moment may still
// reach the sink. Further calls do nothing.
func (l *Lanes) End(reason string) {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return
	}
	l.ended = true
	for sl := l.lanes; sl != nil; sl = sl.sibling {
		sl.unparkLocked()
		sl.Each(func(p *lane.Packet) { policyOf(p.Command).done() })
		waiting, open := sl.End()
		sl.accountLocked()
		sl.unwatchLocked()
		sl.disarmLocked()
		sl.service.metrics.dropped.Add(float64(waiting + open))
	}
	l.announceLocked(eventEnded, reason)
	l.lanes = nil
	l.mu.Unlock()
	l.d.origins.remove(l)
}

// Cut tells the backends that the session lost its connection and may be resumed.
func (l *Lanes) Cut(reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.announceLocked(eventCut, reason)
	}
}

// Resumed tells the backends that a new connection took the session over.
func (l *Lanes) Resumed(transport, clientIP string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.transport, l.clientIP = transport, clientIP
		l.announceLocked(eventResumed, "")
	}
}

// refuse answers one request outside of any lane.
func (l *Lanes) refuse(id uint32, why Reason) {
	l.deliver([]answer{{id: id, reason: why}})
}
