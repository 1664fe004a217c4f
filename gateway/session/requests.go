package session

import (
	"slices"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// requests is what a session remembers of requests: those without an answer,
// and the last answers that the client may not have received. A session that
// has neither has none of it.
//
// A client has at most window requests without a reply, counted by itself, and
// it receives what one connection carries in order. So what it lacks is always
// among the last window replies in the order in which they were sent, given
// that one which is sent again moves to the end, and that a client repeats all
// it lacks before its first new id.
type requests struct {
	open []request // by rising id

	ring  []reply // n replies from first on, in the order in which they were sent
	first int
	n     int
	bytes int // of their payloads
}

// request is one that was accepted and has no answer yet.
type request struct {
	id    uint32
	asked uint32 // the generation in which the client sent it last
}

// reply is one that the client may not have received.
type reply struct {
	payload []byte
	mark    uint64 // the highest push seq when it was sent
	id      uint32
	asked   uint32 // the generation in which the client asked for it last
	sent    uint32 // the generation in which it was sent last; 0: not sent yet
	pings   uint32 // how many PINGs had been sent in that generation
	status  wire.Status
	flags   wire.Flags
	shed    bool // the payload was let go for space
}

func (r *reply) frame() wire.Frame {
	return wire.Frame{Type: wire.TypeReply, ID: r.id, Status: r.status, Flags: r.flags, Payload: r.payload}
}

func (r *requests) clone() *requests {
	if r == nil {
		return nil
	}
	c := &requests{open: slices.Clone(r.open), bytes: r.bytes}
	for i := range r.n {
		c.push(*r.at(i))
	}
	return c
}

// openCount is how many requests have no answer.
func (r *requests) openCount() int {
	if r == nil {
		return 0
	}
	return len(r.open)
}

// replyCount is how many replies are kept.
func (r *requests) replyCount() (n, bytes int) {
	if r == nil {
		return 0, 0
	}
	return r.n, r.bytes
}

// accept notes a new request. Its id is above all others.
func (r *requests) accept(id, generation uint32) {
	r.open = append(r.open, request{id: id, asked: generation})
}

// find is the place of the unanswered request id, -1 when there is none.
func (r *requests) find(id uint32) int {
	if r == nil {
		return -1
	}
	i, ok := slices.BinarySearchFunc(r.open, id, func(one request, id uint32) int { return int(int64(one.id) - int64(id)) })
	if !ok {
		return -1
	}
	return i
}

// take removes the unanswered request id, which now has an answer.
func (r *requests) take(id uint32) (one request, ok bool) {
	i := r.find(id)
	if i < 0 {
		return request{}, false
	}
	one = r.open[i]
	r.open = append(r.open[:i], r.open[i+1:]...)
	return one, true
}

func (r *requests) at(i int) *reply { return &r.ring[(r.first+i)%len(r.ring)] }

// keep adds a reply behind the others. The oldest goes when there are countMax,
// and the oldest lose their payloads beyond bytesMax together.
func (r *requests) keep(one reply, countMax, bytesMax int) {
	for r.n > 0 && r.n >= countMax {
		r.bytes -= len(r.at(0).payload)
		*r.at(0) = reply{}
		r.first = (r.first + 1) % len(r.ring)
		r.n--
	}
	r.push(one)
	r.bytes += len(one.payload)
	for i := 0; r.bytes > bytesMax; i++ {
		old := r.at(i)
		r.bytes -= len(old.payload)
		if len(old.payload) > 0 {
			old.payload, old.shed = nil, true
		}
	}
}

// push puts one at the end of the ring, which grows by doubling.
func (r *requests) push(one reply) {
	if r.n == len(r.ring) {
		grown := make([]reply, max(2*len(r.ring), 1))
		for i := range r.n {
			grown[i] = *r.at(i)
		}
		r.ring, r.first = grown, 0
	}
	r.n++
	*r.at(r.n - 1) = one
}

// reply is the place of the kept reply to id, -1 when there is none. Only a
// resume asks for it, once for each request that the client lacks.
func (r *requests) reply(id uint32) int {
	if r == nil {
		return -1
	}
	for i := range r.n {
		if r.at(i).id == id {
			return i
		}
	}
	return -1
}

// moveLast puts the reply at i behind the others.
func (r *requests) moveLast(i int) *reply {
	one := *r.at(i)
	for ; i < r.n-1; i++ {
		*r.at(i) = *r.at(i + 1)
	}
	last := r.at(r.n - 1)
	*last = one
	return last
}

// free lets go of the replies that have arrived. When nothing is left, neither
// is memory.
func (r *requests) free(arrived func(*reply) bool) {
	left := 0
	for i := range r.n {
		one := r.at(i)
		if arrived(one) {
			r.bytes -= len(one.payload)
			continue
		}
		if left != i {
			*r.at(left) = *one
		}
		left++
	}
	for i := left; i < r.n; i++ {
		*r.at(i) = reply{}
	}
	r.n = left
	if left == 0 {
		r.ring, r.first = nil, 0
	}
}

// freeReplies lets go of the replies that have arrived. s.mu is held.
func (s *Session) freeRepliesLocked(arrived func(*reply) bool) {
	r := s.state.Requests
	if r == nil {
		return
	}
	r.free(arrived)
	if r.n == 0 && len(r.open) == 0 {
		s.state.Requests = nil
	}
}
