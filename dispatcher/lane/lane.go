// Package lane is the ordered queue of one session's requests to one service, as
// a pure state machine: no clock, no lock, no goroutine. The dispatcher holds a
// lock around every call and passes times in, as nanoseconds on a clock of its
// choice.
//
//	Push ──▶ waiting ──Take──▶ at the instance ──Done / Answer / Expire──▶ gone
//	            ▲                 │        ▲  │
//	            │                 └─Defer──┘  │ (the call returned, the answer comes later)
//	            └───────────Requeue───────────┘ (it is to be sent again)
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
	doubt   Cause // NotSent, or why an earlier attempt may have run
	Command *Command
	Payload []byte // owned by the lane until the packet is gone
}

// Command is what packets of one kind share. It is not changed once a packet has it.
type Command struct {
	Name string
	// Idempotent packets may be sent again when nobody knows whether they ran.
	Idempotent bool
	Owner      any // the caller's; the lane does not look at it
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

// Batch returns how many packets are at the instance, settled or not.
func (l *Lane) Batch() int { return int(l.out) }

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

// At returns packet i of the batch. It is valid until the next call.
func (l *Lane) At(i int) *Packet { return &l.queue[i] }

// Repeatable tells whether packet i of the batch may be sent again, as far as the
// client is concerned: it still waits for an answer.
func (l *Lane) Repeatable(i int) bool { return l.queue[i].is&(answered|finished) == 0 }

// Unanswered returns the index of the last packet of the batch if it was deferred, is
// not answered, and may be sent again though it may have run: the time until which
// the instance might begin has passed, or it is known to be gone. Those before it
// may not, since it may have run after them.
func (l *Lane) Unanswered(now int64, gone bool) (i int, ok bool) {
	if l.calling || l.out == 0 || !gone && now < l.startBy {
		return 0, false
	}
	p := &l.queue[l.out-1]
	return int(l.out) - 1, p.is == deferred && p.Deadline > now && p.Command != nil && p.Command.Idempotent
}

// Doubt returns NotSent, or why an earlier attempt at the packet may have run.
func (p *Packet) Doubt() Cause { return p.doubt }

// Requeue makes the packets of the batch from index from on wait again, in front of
// those that wait already and with their numbers, so the order stays. None of them
// may be answered, nor may a packet of the batch that ran come after one of them.
// doubt is NotSent where the instance cannot have run them.
func (l *Lane) Requeue(from int, doubt Cause) {
	for i := from; i < int(l.out); i++ {
		p := &l.queue[i]
		p.is = 0
		if doubt != NotSent {
			p.doubt = doubt
		}
		l.open--
	}
	l.out = int32(from)
	l.compact()
}

// Find returns the index of the packet (seq, attempt) in the batch, and whether the
// instance may still be working on it.
func (l *Lane) Find(seq int64, attempt int32) (i int, ok bool) {
	if l.out == 0 {
		return 0, false
	}
	// The numbers of a batch rise, mostly by one: a gap is what was requeued and dropped.
	at := min(seq-l.queue[0].Seq, int64(l.out)-1)
	for at > 0 && l.queue[at].Seq > seq {
		at--
	}
	if at < 0 {
		return 0, false
	}
	p := &l.queue[at]
	return int(at), p.Seq == seq && int32(p.Attempt) == attempt && p.is&finished == 0
}

// Refused tells whether packet i, which the instance has just refused to run, may
// be requeued: it is the last of the batch, was deferred, and its client waits.
func (l *Lane) Refused(i int) bool {
	return !l.calling && i == int(l.out)-1 && l.queue[i].is == deferred
}

// Answer says that the instance answered the packet (seq, attempt) outside the
// call. owed tells whether the client still waits for an answer to id; false
// means that the answer is late: nobody waits for it any more.
func (l *Lane) Answer(seq int64, attempt int32) (id uint32, owed bool) {
	i, ok := l.Find(seq, attempt)
	if !ok {
		return 0, false
	}
	p := &l.queue[i]
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

// Each calls f with every packet whose client still waits.
func (l *Lane) Each(f func(*Packet)) {
	for i := range l.queue {
		if p := &l.queue[i]; p.is&answered == 0 {
			f(p)
		}
	}
}

// DropWaiting removes the packets that wait, other than those that keep wants to
// stay, and appends them to dst, in order. Each is owed an answer; none was run by
// the attempt that did not happen, and Cause says whether by an earlier one. A nil
// keep keeps none.
func (l *Lane) DropWaiting(keep func(*Packet) bool, dst []Expiry) []Expiry {
	kept := int(l.out)
	for i := int(l.out); i < len(l.queue); i++ {
		p := &l.queue[i]
		if keep != nil && keep(p) {
			l.queue[kept] = *p
			kept++
			continue
		}
		dst = append(dst, Expiry{p.ID, p.doubt, p.Command})
	}
	l.drop(kept, len(l.queue)-kept)
	return dst
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
