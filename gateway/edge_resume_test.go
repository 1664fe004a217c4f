package gateway_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway"
	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// TestResumeAcrossTransports takes one session along every transport, once as it
// lives and once cut. At each step a request is under way, one more has been
// answered without the client hearing of it, and pushes have come that it has
// not heard either. Nothing is lost and nothing runs twice.
func TestResumeAcrossTransports(t *testing.T) {
	for _, alive := range []bool{false, true} {
		t.Run(fmt.Sprint("alive ", alive), func(t *testing.T) {
			e := startEdge(t)
			j := &journey{t: t, e: e, alive: alive, submitted: 0}
			j.here, j.welcome = e.loginBy(t, ways[0], approach{}, "traveller")
			order := []int{3, 8, 11, 1, 6, 10, 2, 13, 4, 9, 5, 12, 7, 0, 8, 9, 11, 3}
			for _, next := range order {
				j.step(ways[next])
				if t.Failed() {
					t.Fatalf("on the way to %s", ways[next].name)
				}
			}
			want := make([]string, 0, 2*len(order))
			for i := range order {
				want = append(want, fmt.Sprintf(`%d hold.on "%d"`, 2*i+1, 2*i+1), fmt.Sprintf(`%d echo.say "%d"`, 2*i+2, 2*i+2))
			}
			if got := e.disp.of("traveller").submitted(); !slices.Equal(got, want) {
				t.Errorf("the backend was asked %v, want each request once: %v", got, want)
			}
		})
	}
}

// journey is a session on its way.
type journey struct {
	t         *testing.T
	e         *edge
	alive     bool // the old connection is still there when the new one comes
	here      visitor
	welcome   wire.Welcome
	seq       uint64 // of the last push heard
	submitted uint32
}

func (j *journey) step(w way) {
	t := j.t
	asked, lost := j.submitted+1, j.submitted+2
	j.submitted += 2
	lanes := j.e.disp.of("traveller")
	before := len(lanes.submitted())
	j.here.say(request(asked, "hold.on", fmt.Sprintf(`"%d"`, asked)), request(lost, "echo.say", fmt.Sprintf(`"%d"`, lost)))
	eventually(t, "both requests came", func() bool { return len(lanes.submitted()) == before+2 })
	lacks, last := []uint32{asked, lost}, j.seq+3
	j.push(2)
	if !j.alive {
		j.leave()
	}
	j.push(1)
	if h, calls := j.here.(*httpClient); calls && j.alive {
		for range 4 { // a call that waits shows that the client has the frames before it
			h.hear()
		}
		j.seq, lacks = h.seq, lacks[:1]
		linger(j.e, h)
	}

	next := j.e.come(t, w, approach{})
	next.say(helloJSON(resumeOf(j.welcome, j.seq)))
	welcome := wantWelcome(t, next)
	if !welcome.Resumed || welcome.LastRequestID != lost || welcome.Session != j.welcome.Session {
		t.Fatalf("%s: WELCOME %+v, want the session and request %d", w.name, welcome, lost)
	}
	if j.alive {
		wantEnd(t, j.here, 4009)
		j.here.cut()
	}
	j.here, j.welcome = next, welcome
	j.hearAll(lacks, last)
}

// push pushes n things that the client has to acknowledge.
func (j *journey) push(n int) {
	c := j.e.backend()
	for range n {
		if r := push(j.t, c, &holdfast.PushItem{To: toUID("traveller"), Command: "test.push", Payload: []byte("1"), Reliable: true}); r[0].Delivered != 1 {
			j.t.Fatalf("push: %+v", r[0])
		}
	}
}

// leave goes without a word and waits until the gateway has noticed, where it can.
func (j *journey) leave() {
	j.here.cut()
	if _, calls := j.here.(*httpClient); !calls {
		eventually(j.t, "the session is cut", func() bool { return j.e.metric("holdfast_gateway_sessions_cut", "") == 1 })
	}
}

// hearAll repeats the requests that the client lacks the answers to, and hears
// those and the pushes up to last.
func (j *journey) hearAll(lacks []uint32, last uint64) {
	want := make(map[uint32]string)
	for i, id := range lacks {
		j.here.say(request(id, "echo.say", `"again"`))
		want[id] = []string{`"late"`, fmt.Sprintf(`"%d"`, id)}[i]
	}
	lanes := j.e.disp.of("traveller")
	lanes.Answer("test", int64(lacks[0]), 1, 0, []byte(`"late"`), false, "", 0)
	lanes.sink.Flush()
	for len(want) > 0 || j.seq < last {
		f, ok := j.here.hear()
		switch {
		case !ok:
			j.t.Fatalf("the end %+v, still without %v and with push %d of %d", j.here.end(), want, j.seq, last)
		case f.Type == wire.TypePush && f.Seq == j.seq+1:
			j.seq++
		case f.Type == wire.TypePush && f.Seq <= j.seq: // again, before it was named
		case f.Type == wire.TypeReply && want[f.ID] == string(f.Payload):
			delete(want, f.ID)
		case f.Type == wire.TypePing:
		default:
			j.t.Fatalf("came %s %s, want pushes after %d and %v", f.Type, describe(f), j.seq, want)
		}
	}
	j.here.say(wire.Frame{Type: wire.TypeAck, Seq: j.seq})
}

// TestPollIsCutBetweenCalls: a session of long poll counts as cut while no call is
// open, the backend hears of it, and it ends when none comes in time.
func TestPollIsCutBetweenCalls(t *testing.T) {
	e := startEdge(t, func(c *gateway.Config) { c.Session.ResumeTTL = 2500 * time.Millisecond })
	for i, w := range []way{ways[8], ways[12]} {
		c, _ := e.loginBy(t, w, approach{}, w.name)
		linger(e, c)
		eventually(t, "none but the one before counts as cut", func() bool { return e.metric("holdfast_gateway_sessions_cut", "") == float64(i) })
		c.cut()
	}
	eventually(t, "both count as cut", func() bool { return e.metric("holdfast_gateway_sessions_cut", "") == 2 })
	eventually(t, "the backend hears of both ends", func() bool { return len(e.disp.endings()) == 2 })
	if n := e.srv.Sessions(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
	e.disp.mu.Lock()
	defer e.disp.mu.Unlock()
	if len(e.disp.states) != 2 || len(e.disp.ended) != 2 {
		t.Errorf("the backend heard %v and %v, want of a cut and the end of each", e.disp.states, e.disp.ended)
	}
}
