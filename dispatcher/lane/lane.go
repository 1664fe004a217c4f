// Package lane is the ordered queue of one session's requests to one service, as
// a pure state machine: no clock, no lock, no goroutine. The dispatcher holds a
// lock around every call and passes times in, as nanoseconds on a clock of its
// choice.
//
//	Push ──▶ waiting ──Take──▶ at the instance ──Done / Answer / Expire──▶ gone
//	                              │        ▲
//	                              └─Defer──┘ (the call returned, the answer comes later)
//
// What it promises, and its model test checks:
//
//   - at most one batch of a lane is at the instance; a deferred packet counts as
//     being there, so what waits does not overtake it;
//   - packets are taken in the order in which they were pushed;
//   - each packet is owed one answer, and the lane says so exactly once;
//   - after an outcome that nobody knows, nothing is taken until the time has
//     passed by which the instance must have begun;
//   - after End nobody is owed anything.
package lane

import "math"

// Never is the deadline of a lane that has none.
const Never = math.MaxInt64

// Packet is one request in a lane.
type Packet struct {
	// Deadline is when the client must have its answer at the latest.
	Deadline int64
	// Seq counts the packets of the lane, from 1. Take gives it, so that a packet
	// that was never sent leaves no gap.
	Seq     int64
	ID      uint32 // the client's number
	Attempt int16  // how often it was sent
	is      marks
	Command string
	Payload []byte // owned by the lane until the packet is gone
}

// marks say what is known of a packet that is at the instance.
type marks uint8

const (
	answered marks = 1 << iota // the client has its answer
	deferred                   // the call has returned, the answer comes later
	finished                   // the instance is done with it, or is taken to be; implies answered
)

// Lane is the queue. Init must be called first, and it must not be copied
// afterwards: a short queue lives inside it.
type Lane struct {
	queue []Packet // the first out packets are at the instance, the others wait
	inner [1]Packet
	out   int32 // packets of the batch that is at the instance
	open  int32 // of those, how many the instance may still be working on
	limit int32
	seq   int64 // given last
	// startBy bounds when the instance may begin with the batch.
	startBy int64
	// closed is until when nothing is taken; 0 = it is open.
	closed  int64
	calling bool // the call that carries the batch has not returned
	ended   bool
}

// Init makes an empty lane that holds at most limit packets, those at the
// instance included.
func (l *Lane) Init(limit int) {
	l.limit = int32(limit)
	l.queue = l.inner[:0]
}

// Push queues p. It reports false when the lane is full or has ended.
func (l *Lane) Push(p Packet) bool {
	if l.ended || len(l.queue) >= int(l.limit) {
		return false
	}
	l.queue = append(l.queue, p)
	return true
}

// Waiting returns how many packets wait to be taken.
func (l *Lane) Waiting() int { return len(l.queue) - int(l.out) }

// WaitingBytes returns the payload bytes of the packets that wait.
func (l *Lane) WaitingBytes() (n int) {
	for i := range l.queue[l.out:] {
		n += len(l.queue[int(l.out)+i].Payload)
	}
	return n
}

// Open returns how many packets the instance may still be working on.
func (l *Lane) Open() int { return int(l.open) }

// Idle tells that nothing is at the instance, so the lane may move to another.
func (l *Lane) Idle() bool { return l.out == 0 }

// Ended tells whether End was called.
func (l *Lane) Ended() bool { return l.ended }

// Closed tells whether an unknown outcome keeps the lane closed at time now.
func (l *Lane) Closed(now int64) bool { return now < l.closed }

// Sendable tells whether Take would return something.
func (l *Lane) Sendable(now int64) bool {
	return l.out == 0 && len(l.queue) > 0 && now >= l.closed
}

// Overdue tells whether the first packet that waits has passed its deadline, so
// that Expire must be called before Take.
func (l *Lane) Overdue(now int64) bool {
	return l.Waiting() > 0 && l.queue[l.out].Deadline <= now
}

// Take begins a batch: at most packets of those that wait, fewer when the payloads
// reach bytes; always one. startBy is when the instance must have begun. The
// result is valid until the next call of any method but Done and Defer, which
// take a packet's index in it. The lane must be Sendable.
func (l *Lane) Take(startBy int64, packets, bytes int) []Packet {
	n := 0
	for n < len(l.queue) && n < packets && (n == 0 || bytes > 0) {
		p := &l.queue[n]
		if p.Seq == 0 {
			l.seq++
			p.Seq = l.seq
		}
		p.Attempt++
		bytes -= len(p.Payload)
		n++
	}
	l.out, l.open = int32(n), int32(n)
	l.startBy, l.calling = startBy, true
	return l.queue[:n]
}

// Done says that what became of packet i of the batch is settled, as far as it
// ever will be. owed tells whether the client still waits for an answer to id.
func (l *Lane) Done(i int) (id uint32, owed bool) {
	p := &l.queue[i]
	owed = p.is&answered == 0
	l.finish(p)
	return p.ID, owed
}

// Defer says that the answer to packet i comes later, by Answer.
func (l *Lane) Defer(i int) {
	p := &l.queue[i]
	if p.is&answered != 0 { // its answer overtook the call's reply, or came too late to matter
		l.finish(p)
		return
	}
	p.is |= deferred
}

// Returned says that the call that carried the batch has returned and that Done
// or Defer was called for each of its packets.
func (l *Lane) Returned() {
	l.calling = false
	l.compact()
}

// Unknown closes the lane until the batch cannot be begun any more. It is called
// for a batch whose outcome nobody knows.
func (l *Lane) Unknown() { l.closed = max(l.closed, l.startBy) }

// Answer says that the instance answered the packet (seq, attempt) outside the
// call. owed tells whether the client still waits for an answer to id; false
// means that the answer is late: nobody waits for it any more.
func (l *Lane) Answer(seq int64, attempt int32) (id uint32, owed bool) {
	if l.out == 0 {
		return 0, false
	}
	i := seq - l.queue[0].Seq // the packets of a batch have consecutive numbers
	if i < 0 || i >= int64(l.out) {
		return 0, false
	}
	p := &l.queue[i]
	if int32(p.Attempt) != attempt || p.is&finished != 0 {
		return 0, false
	}
	id, owed = p.ID, p.is&answered == 0
	if l.calling {
		p.is |= answered // the call's reply still has to come
		return id, owed
	}
	l.finish(p)
	l.compact()
	return id, owed
}

// End drops everything. It returns how many packets waited and how many were open.
func (l *Lane) End() (waiting, open int) {
	waiting, open = l.Waiting(), l.Open()
	clear(l.queue)
	l.inner[0] = Packet{}
	l.queue, l.out, l.open, l.calling, l.ended = nil, 0, 0, false, true
	return waiting, open
}

// DropWaiting removes the packets that wait and returns their ids, in order. Each
// is owed an answer; none was run.
func (l *Lane) DropWaiting() (ids []uint32) {
	for i := range l.queue[l.out:] {
		ids = append(ids, l.queue[int(l.out)+i].ID)
	}
	if len(ids) > 0 {
		l.drop(int(l.out), len(ids))
	}
	return ids
}

// finish marks p as settled on both sides.
func (l *Lane) finish(p *Packet) {
	if p.is&finished == 0 {
		p.is |= finished | answered
		l.open--
	}
}

// compact removes the batch once all of it is settled and its call has returned.
func (l *Lane) compact() {
	if l.open > 0 || l.calling || l.out == 0 {
		return
	}
	l.drop(0, int(l.out))
	l.out = 0
}

// drop removes queue[i:i+n]. An empty queue gives its memory back: most sessions
// are idle most of the time.
func (l *Lane) drop(i, n int) {
	rest := i + copy(l.queue[i:], l.queue[i+n:])
	clear(l.queue[rest:]) // payloads must not outlive their packets
	if l.queue = l.queue[:rest]; rest == 0 {
		l.queue = l.inner[:0]
	}
}
