package session

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// model is a client that keeps to docs/protocol.md, on connections that are cut
// at any moment, with what was on its way in either direction lost.
type model struct {
	w     *world
	s     *Session
	lanes *lanes
	over  bool // the session has ended
	loss  bool // the bound on kept replies is so small that DATA_LOSS is to be expected

	conn *fakeConn // nil while the client has none
	at   *Attachment
	up   []wire.Frame // sent by the client, not received by the gateway

	secret  string
	welcome bool            // WELCOME of this connection has been read
	nextID  uint32          // the last id used
	lacks   []uint32        // requests without a reply, by rising id
	asked   map[uint32]bool // on this connection, and not answered on it
	again   []uint32        // to be sent again before anything new
	seq     uint64          // of the last push received
	pushed  uint64
	stale   []*Attachment // whose connection's end the gateway has not noticed
}

func newModel(t *rapid.T) *model {
	m := &model{loss: rapid.Bool().Draw(t, "little space for replies"), asked: map[uint32]bool{}}
	m.w = newWorld(func(l *Limits) {
		l.KeptPushesMax = 12
		if m.loss {
			l.KeptReplyBytesMax = 50 // two and a half
		}
	})
	m.s, m.at, m.conn, m.lanes = m.w.open()
	m.conn.max = rapid.SampledFrom([]int{0, 0, 6}).Draw(t, "queue")
	return m
}

// send is what the client does once it has read WELCOME: first what it lacks.
func (m *model) send(t *rapid.T) {
	if m.conn == nil || !m.welcome || m.over {
		t.Skip("not connected")
	}
	if len(m.again) > 0 {
		m.put(m.again[0])
		m.again = m.again[1:]
		return
	}
	if len(m.lacks) == m.s.state.Window {
		t.Skip("window")
	}
	m.nextID += uint32(rapid.IntRange(1, 3).Draw(t, "gap"))
	m.lacks = append(m.lacks, m.nextID)
	m.put(m.nextID)
}

func (m *model) put(id uint32) {
	m.asked[id] = true
	m.up = append(m.up, ask(id, "hold.it"))
}

// arrive lets the gateway receive some of what the client sent.
func (m *model) arrive(t *rapid.T) {
	if len(m.up) == 0 {
		t.Skip("nothing on its way")
	}
	for range rapid.IntRange(1, len(m.up)).Draw(t, "frames") {
		m.at.Receive(m.up[0])
		m.up = m.up[1:]
	}
}

// read lets the client receive some of what the gateway sent.
func (m *model) read(t *rapid.T) {
	if m.conn == nil || len(m.conn.out) == 0 {
		t.Skip("nothing to read")
	}
	for _, f := range m.conn.read(rapid.IntRange(1, len(m.conn.out)).Draw(t, "frames")) {
		m.receive(t, f)
	}
}

func (m *model) receive(t *rapid.T, f wire.Frame) {
	if m.conn == nil {
		return // it has read CLOSE
	}
	if f.Type != wire.TypeClose && m.welcome == (f.Type == wire.TypeWelcome) {
		t.Fatalf("%s, WELCOME read: %v", word(f), m.welcome)
	}
	switch f.Type {
	case wire.TypeWelcome:
		m.welcomed(t, f)
	case wire.TypeReply:
		if !m.asked[f.ID] {
			t.Fatalf("%s was not asked for on this connection, or answered twice", word(f))
		}
		ok := f.Status == wire.StatusOK && string(f.Payload) == payloadOf(f.ID)
		if !ok && !(m.loss && f.Status == wire.StatusDataLoss) {
			t.Fatalf("%s with %q", word(f), f.Payload)
		}
		delete(m.asked, f.ID)
		m.lacks = slices.DeleteFunc(m.lacks, func(id uint32) bool { return id == f.ID })
	case wire.TypePush:
		if f.Seq != m.seq+1 {
			t.Fatalf("push %d after %d", f.Seq, m.seq)
		}
		m.seq = f.Seq
	case wire.TypePing:
		m.up = append(m.up, wire.Frame{Type: wire.TypePong, Payload: f.Payload})
	case wire.TypeClose:
		if f.Code != wire.CloseSlowConsumer {
			t.Fatalf("%s", word(f))
		}
		m.drop()
	default:
		t.Fatalf("%s", word(f))
	}
}

// welcomed plans what is sent again: in any order what was accepted, then, by
// rising id, what was not.
func (m *model) welcomed(t *rapid.T, f wire.Frame) {
	m.secret, m.welcome = string(f.Payload), true
	known := func(id uint32) bool { return id <= f.ID }
	m.again = rapid.Permutation(slices.DeleteFunc(slices.Clone(m.lacks), func(id uint32) bool { return !known(id) })).Draw(t, "again")
	m.again = append(m.again, slices.DeleteFunc(slices.Clone(m.lacks), known)...)
}

// drop loses the connection and all that is on its way.
func (m *model) drop() {
	if m.conn == nil {
		return
	}
	m.stale = append(m.stale, m.at)
	m.conn, m.at, m.up, m.welcome, m.again = nil, nil, nil, false, nil
	clear(m.asked)
}

// notice tells the gateway of a connection that is gone.
func (m *model) notice(t *rapid.T) {
	if len(m.stale) == 0 {
		t.Skip("none is gone")
	}
	i := rapid.IntRange(0, len(m.stale)-1).Draw(t, "which")
	m.stale[i].Closed()
	m.stale = slices.Delete(m.stale, i, i+1)
}

// resume also happens while the client has a connection: it gave that one up.
func (m *model) resume(t *rapid.T) {
	if m.secret == "" {
		t.Skip("no WELCOME yet")
	}
	m.drop()
	conn := &fakeConn{world: m.w, max: rapid.SampledFrom([]int{0, 0, 6}).Draw(t, "queue")}
	at, out := m.s.Resume(conn, ResumeRequest{Secret: m.secret, Seq: m.seq}, welcome)
	switch {
	case m.over && out == ResumeNot:
		t.Skip("over")
	case m.over || out != ResumeOK:
		t.Fatalf("Resume = %v, over %v", out, m.over)
	}
	m.conn, m.at = conn, at
}

// push ends the session when too many wait, and else takes a seq.
func (m *model) push(t *rapid.T) {
	room := len(m.s.state.Kept.pushes) < m.w.deps.Limits.KeptPushesMax
	switch got := m.s.Push(reliable("x")); {
	case m.over && got == PushNoOne:
	case !m.over && room && got == PushTaken:
		m.pushed++
	case !m.over && !room && got == PushSlow:
		m.over = true
	default:
		t.Fatalf("Push = %v, over %v, room %v", got, m.over, room)
	}
}

func (m *model) answer(t *rapid.T) {
	if len(m.lanes.open) == 0 {
		t.Skip("nothing is unanswered")
	}
	i := rapid.IntRange(0, len(m.lanes.open)-1).Draw(t, "which")
	id := m.lanes.open[i]
	m.lanes.open = slices.Delete(m.lanes.open, i, i+1)
	m.lanes.answer(id, payloadOf(id))
}

func payloadOf(id uint32) string { return fmt.Sprintf("%020d", id) }

func (m *model) ack(t *rapid.T) {
	if m.conn == nil || !m.welcome {
		t.Skip("not connected")
	}
	m.up = append(m.up, ack(m.seq))
}

// ping is the heartbeat's.
func (m *model) ping(t *rapid.T) {
	if m.s.at == nil {
		t.Skip("cut")
	}
	m.s.mu.Lock()
	m.s.at.pingLocked()
	m.s.mu.Unlock()
}

// flow is a while in which nothing is lost but what is lost at its end.
func (m *model) flow(t *rapid.T) {
	for range rapid.IntRange(1, 8).Draw(t, "rounds") {
		if m.conn != nil && m.welcome && !m.over && (len(m.again) > 0 || len(m.lacks) < m.s.state.Window) {
			m.send(t)
		}
		for m.conn != nil && len(m.up) > 0 {
			m.at.Receive(m.up[0])
			m.up = m.up[1:]
		}
		if len(m.lanes.open) > 0 && rapid.Bool().Draw(t, "answer") {
			m.answer(t)
		}
		if m.conn != nil && rapid.Bool().Draw(t, "read") {
			for _, f := range m.conn.read(-1) {
				m.receive(t, f)
			}
		}
		m.check(t)
	}
}

// check holds after every step.
func (m *model) check(t *rapid.T) {
	seen := map[uint32]bool{}
	for i, id := range m.lanes.got {
		if seen[id] || i > 0 && id < m.lanes.got[i-1] {
			t.Fatalf("the lanes got %v: twice, or out of order", m.lanes.got)
		}
		seen[id] = true
	}
	v, l := m.s.View(), m.w.deps.Limits
	if v.KeptPushes > l.KeptPushesMax || v.KeptReplies > m.s.state.Window || v.KeptReplyBytes > l.KeptReplyBytesMax || v.Unanswered > m.s.state.Window {
		t.Fatalf("beyond a bound: %+v", v)
	}
	if held := m.w.deps.Cut.Len(); held > 1 || (held == 1) != v.Cut {
		t.Fatalf("%d cut sessions, cut %v", held, v.Cut)
	}
	if r := m.s.state.Requests; r != nil {
		sum := 0
		for i := range r.n {
			sum += len(r.at(i).payload)
		}
		if sum != r.bytes {
			t.Fatalf("replies of %d bytes are counted as %d", sum, r.bytes)
		}
	}
	m.checkEvents(t)
}

// checkEvents: the backend hears of cuts and resumes in turn, and of one end.
func (m *model) checkEvents(t *rapid.T) {
	state := byte('r')
	for _, e := range m.lanes.events {
		if state == 'e' || e[0] == 'c' && state == 'c' {
			t.Fatalf("the backend heard %v", m.lanes.events)
		}
		state = e[0]
	}
	if m.over != (state == 'e') {
		t.Fatalf("over %v, the backend heard %v", m.over, m.lanes.events)
	}
}

// settle lets everything go well: then the client has all.
func (m *model) settle(t *rapid.T) {
	for round := 0; !m.over && (m.conn == nil || len(m.up)+len(m.conn.out)+len(m.again)+len(m.lanes.open)+len(m.lacks) > 0); round++ {
		if round > 1000 {
			t.Fatalf("does not settle: lacks %v, open %v, asked %v", m.lacks, m.lanes.open, m.asked)
		}
		if m.conn == nil {
			m.resume(t)
		}
		for _, f := range m.conn.read(-1) {
			m.receive(t, f)
		}
		for m.conn != nil && len(m.again) > 0 {
			m.send(t)
		}
		for len(m.up) > 0 {
			m.at.Receive(m.up[0])
			m.up = m.up[1:]
		}
		for len(m.lanes.open) > 0 {
			m.answer(t)
		}
		m.check(t)
	}
	if !m.over && m.seq != m.pushed {
		t.Fatalf("%d of %d pushes arrived", m.seq, m.pushed)
	}
}

// TestModel: whatever is cut and lost, no request is run twice or goes
// unanswered, and no push with a seq is lost, doubled or out of order.
func TestModel(t *testing.T) {
	for i := range 10 { // rapid runs a hundred by itself, which takes milliseconds
		t.Run(fmt.Sprint("hundred ", i), func(t *testing.T) { rapid.Check(t, checkModel) })
	}
}

func checkModel(t *rapid.T) {
	m := newModel(t)
	t.Repeat(map[string]func(*rapid.T){
		"send": m.send, "send more": m.send, "arrive": m.arrive, "read": m.read, "read more": m.read,
		"answer": m.answer, "push": m.push, "ack": m.ack, "ping": m.ping,
		"flow": m.flow, "flow more": m.flow, "flow again": m.flow,
		"cut": func(t *rapid.T) { m.drop() }, "notice": m.notice, "resume": m.resume,
		"": m.check,
	})
	m.settle(t)
}
