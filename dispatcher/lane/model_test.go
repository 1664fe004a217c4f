package lane

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// model is what a lane must look like from outside. Unlike Lane it never forgets,
// so it can tell a second answer from a first one.
type model struct {
	lane     *Lane
	now      int64
	nextID   uint32
	pushed   []uint32         // in order; what was taken is cut off
	owed     map[uint32]int64 // pushed and not answered: when the answer is due
	answered map[uint32]bool
	batch    []Packet // at the instance; copies
	call     bool
	deferred map[int]bool // indexes of batch whose answer is to come
	lastSeq  int64
	seqs     map[uint32]int64 // of those that were taken
	attempts map[uint32]int16
	closed   int64           // nothing may be taken before
	doubted  map[uint32]bool // sent again after an attempt that may have run
	ended    bool
}

var modelCommands = [2]Command{{Name: "once"}, {Name: "again", Idempotent: true}}

const (
	modelLimit   = 8
	modelTimeout = 20 // from Take to start_by
	modelRequest = 50 // from Push to Deadline
)

// answer notes that the client gets an answer; a second one is the fault this
// whole package exists to prevent.
func (m *model) answer(t *rapid.T, id uint32, how string) {
	if m.ended {
		t.Fatalf("packet %d answered (%s) after End", id, how)
	}
	if _, owed := m.owed[id]; m.answered[id] || !owed {
		t.Fatalf("packet %d answered twice or never pushed (%s)", id, how)
	}
	m.answered[id] = true
	delete(m.owed, id)
}

func (m *model) expired(t *rapid.T, es []Expiry) {
	for _, e := range es {
		m.answer(t, e.ID, "expired")
		waits := len(m.pushed) > 0 && m.pushed[0] == e.ID
		if (e.Cause == NotSent) != (waits && !m.doubted[e.ID]) {
			t.Fatalf("packet %d expired as %d; at the head of those that wait: %v", e.ID, e.Cause, waits)
		}
		if waits {
			m.pushed = m.pushed[1:]
		}
	}
}

func (m *model) push(t *rapid.T) {
	m.nextID++
	ok := m.lane.Push(Packet{ID: m.nextID, Command: &modelCommands[m.nextID%3/2], Deadline: m.now + modelRequest, Payload: []byte{1}})
	if m.ended && ok {
		t.Fatal("Push after End")
	}
	if ok {
		m.pushed = append(m.pushed, m.nextID)
		m.owed[m.nextID] = m.now + modelRequest
	}
}

func (m *model) take(t *rapid.T) {
	can := m.lane.Sendable(m.now)
	if can && (m.call || len(m.deferred) > 0 || m.now < m.closed || m.ended) {
		t.Fatalf("sendable: call %v, deferred %d, closed until %d at %d, ended %v", m.call, len(m.deferred), m.closed, m.now, m.ended)
	}
	if !can || m.lane.Overdue(m.now) {
		return
	}
	got := m.lane.Take(m.now+modelTimeout, rapid.IntRange(1, 5).Draw(t, "packets"), rapid.IntRange(1, 5).Draw(t, "bytes"))
	if len(got) == 0 || len(got) > len(m.pushed) {
		t.Fatalf("Take = %d packets of %d", len(got), len(m.pushed))
	}
	for i, p := range got {
		if m.seqs[p.ID] == 0 {
			m.lastSeq++
			m.seqs[p.ID] = m.lastSeq
		}
		m.attempts[p.ID]++
		if p.ID != m.pushed[i] || p.Seq != m.seqs[p.ID] || p.Attempt != m.attempts[p.ID] {
			t.Fatalf("packet %d of the batch = id %d seq %d attempt %d, want id %d seq %d attempt %d",
				i, p.ID, p.Seq, p.Attempt, m.pushed[i], m.seqs[p.ID], m.attempts[p.ID])
		}
	}
	m.batch = append([]Packet(nil), got...)
	m.pushed = m.pushed[len(got):]
	m.call = true
}

// reply lets the call return, with some packets deferred or all unknown.
func (m *model) reply(t *rapid.T) {
	if !m.call {
		return
	}
	m.call = false
	if m.ended {
		return
	}
	unknown := rapid.Bool().Draw(t, "unknown")
	m.requeue(rapid.IntRange(0, len(m.batch)).Draw(t, "again"), unknown)
	for i := range m.batch {
		if !unknown && rapid.Bool().Draw(t, "defer") {
			m.lane.Defer(i)
			if _, owed := m.owed[m.batch[i].ID]; owed { // else it was answered already
				m.deferred[i] = true
			}
			continue
		}
		if id, owed := m.lane.Done(i); owed {
			m.answer(t, id, "done")
		}
	}
	if unknown {
		m.lane.Unknown()
		m.closed = max(m.closed, m.startBy())
	}
	m.lane.Returned()
}

// requeue sends up to n packets at the end of the batch again.
func (m *model) requeue(n int, unknown bool) {
	from := len(m.batch)
	for ; n > 0 && m.lane.Repeatable(from-1); n-- {
		from--
	}
	doubt := NotSent
	if unknown {
		doubt = NoReply
	}
	m.lane.Requeue(from, doubt)
	var again []uint32
	for _, p := range m.batch[from:] {
		again = append(again, p.ID)
		if unknown {
			m.doubted[p.ID] = true
		}
	}
	m.pushed = append(again, m.pushed...)
	m.batch = m.batch[:from]
}

// requeueDeferred sends again what nobody answers, as for an instance that is gone.
func (m *model) requeueDeferred(t *rapid.T) {
	i, ok := m.lane.Unanswered(m.now, rapid.Bool().Draw(t, "gone"))
	if !ok {
		return
	}
	id := m.lane.At(i).ID
	if _, owed := m.owed[id]; !owed || !m.deferred[i] || m.call || i != len(m.batch)-1 {
		t.Fatalf("packet %d would be sent again; owed: %v, deferred: %v", id, owed, m.deferred[i])
	}
	m.doubted[id] = true
	delete(m.deferred, i)
	m.lane.Requeue(i, Gone)
	m.pushed = append([]uint32{id}, m.pushed...)
	m.batch = m.batch[:i]
}

func (m *model) startBy() int64 { return m.lane.startBy }

func (m *model) answerDeferred(t *rapid.T) {
	if len(m.batch) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.batch)-1).Draw(t, "which")
	p := m.batch[i]
	if id, owed := m.lane.Answer(p.Seq, int32(p.Attempt)); owed {
		if id != p.ID {
			t.Fatalf("Answer(%d) is for %d, want %d", p.Seq, id, p.ID)
		}
		m.answer(t, id, "answer")
	} else if _, waits := m.owed[p.ID]; waits && m.deferred[i] {
		t.Fatalf("the answer to deferred packet %d was refused", p.ID)
	}
	if !m.call {
		delete(m.deferred, i)
	}
}

func (m *model) pass(t *rapid.T) {
	m.now += int64(rapid.IntRange(1, 15).Draw(t, "time"))
	m.expired(t, m.lane.Expire(m.now, nil))
	if !m.call && m.lane.Idle() {
		clear(m.deferred)
	}
	if next := m.lane.Next(m.now); next <= m.now {
		t.Fatalf("Next(%d) = %d after Expire: the timer would spin", m.now, next)
	}
	for id, due := range m.owed { // the promise to clients: an answer within the request's time
		if due <= m.now {
			t.Fatalf("packet %d was due at %d and is unanswered at %d", id, due, m.now)
		}
	}
}

func (m *model) lost(t *rapid.T) {
	m.expired(t, m.lane.Lost(nil))
	m.closed = 0
	if !m.call {
		clear(m.deferred)
	}
}

func (m *model) dropWaiting(t *rapid.T) {
	odd := rapid.Bool().Draw(t, "keep odd")
	keep := func(p *Packet) bool { return odd && p.ID%2 == 1 }
	var want, kept, got []uint32
	for _, id := range m.pushed {
		if odd && id%2 == 1 {
			kept = append(kept, id)
		} else {
			want = append(want, id)
		}
	}
	for _, e := range m.lane.DropWaiting(keep, nil) {
		got = append(got, e.ID)
		if (e.Cause == NotSent) == m.doubted[e.ID] {
			t.Fatalf("packet %d dropped as %d, doubted: %v", e.ID, e.Cause, m.doubted[e.ID])
		}
		m.answer(t, e.ID, "dropped")
	}
	if !slices.Equal(got, want) {
		t.Fatalf("DropWaiting = %v, want %v", got, want)
	}
	m.pushed = kept
}

func (m *model) end(*rapid.T) {
	m.lane.End()
	m.ended = true
	clear(m.owed)
	clear(m.deferred)
	m.pushed = nil
}

func (m *model) check(t *rapid.T) {
	if m.ended {
		return
	}
	if m.lane.Waiting() != len(m.pushed) {
		t.Fatalf("Waiting = %d, want %d", m.lane.Waiting(), len(m.pushed))
	}
	if m.lane.Waiting()+m.lane.Open() > modelLimit {
		t.Fatalf("%d waiting and %d open exceed the limit", m.lane.Waiting(), m.lane.Open())
	}
	if len(m.owed) > 0 && m.lane.Next(m.now) == Never {
		t.Fatalf("%d answers are owed, but the lane has no deadline", len(m.owed))
	}
}

// TestModel runs random histories against the promises of the package comment.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{lane: newLane(modelLimit), now: 1, owed: map[uint32]int64{}, answered: map[uint32]bool{}, deferred: map[int]bool{},
			seqs: map[uint32]int64{}, attempts: map[uint32]int16{}, doubted: map[uint32]bool{}}
		actions := map[string]func(*rapid.T){
			"push": m.push, "push again": m.push, "take": m.take, "reply": m.reply,
			"answer": m.answerDeferred, "pass": m.pass, "lost": m.lost, "drop": m.dropWaiting, "again": m.requeueDeferred, "": m.check,
		}
		if rapid.Bool().Draw(t, "may end") {
			actions["end"] = m.end
		}
		t.Repeat(actions)
		if m.ended {
			return
		}
		// Let everything come to an end: nobody may stay without an answer.
		m.reply(t)
		m.now += 10 * modelRequest
		m.expired(t, m.lane.Expire(m.now, nil))
		if len(m.owed) > 0 {
			t.Fatalf("%v never got an answer", m.owed)
		}
	})
}
