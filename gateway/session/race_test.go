package session

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// TestRaces: resumes at once, while pushes, answers, cuts, absences and sweeps
// are under way, leave one connection and a history that makes sense. Run with
// -race it finds more.
func TestRaces(t *testing.T) {
	for round := range 20 {
		w := newWorld(func(l *Limits) { l.KeptPushesMax = 1 << 20; l.KeptBytesMax = 1 << 30 })
		s, a, c, l := w.open(func(st *State) { st.Window = 1 << 10 })
		secret := secretIn(c)
		var g sync.WaitGroup
		run := func(fn func(i int)) {
			g.Go(func() {
				for i := range 50 {
					fn(i)
				}
			})
		}
		for n := range 3 {
			run(func(int) {
				next := &fakeConn{world: w, poll: n == 0}
				a, out := s.Resume(next, ResumeRequest{Secret: secret}, welcome)
				if out == ResumeNot {
					return // a frame has retired the secret; or a third one came between
				}
				a.Away()
				a.Receive(ask(s.View().Connections*1000, "echo.say"))
				a.Back()
				if rand.N(2) == 0 {
					a.Closed()
				}
			})
		}
		run(func(i int) { a.Receive(ask(uint32(i+1), "echo.say")) })
		run(func(int) { s.Push(reliable("x")); s.Flush() })
		run(func(int) { s.Push(&Push{Command: []byte("y")}); _ = s.Snapshot() })
		run(func(int) { w.pass(1); _ = s.View(); _ = s.HeldBytes() })
		run(func(int) { s.Close(wire.CloseOverloaded, "") })
		if round%2 == 0 {
			g.Go(func() { s.EndWith(wire.CloseKicked, "") })
		}
		g.Wait()
		s.EndWith(wire.CloseKicked, "")
		checkHistory(t, w, l)
	}
}

func checkHistory(t *testing.T, w *world, l *lanes) {
	t.Helper()
	heard, cut := l.heard(), false
	for i, e := range l.events {
		switch {
		case strings.HasPrefix(e, "cut") && cut:
			t.Fatalf("cut twice in a row: %s", heard)
		case strings.HasPrefix(e, "ended") && i != len(l.events)-1:
			t.Fatalf("something after the end: %s", heard)
		}
		cut = strings.HasPrefix(e, "cut")
	}
	if !strings.HasSuffix(heard, "ended KICKED") {
		t.Errorf("the backend heard %s", heard)
	}
	if w.deps.Cut.Len() != 0 || w.deps.Cut.head != nil || w.deps.Cut.tail != nil || w.deps.Cut.untold != nil || w.reg.Len() != 0 {
		t.Errorf("something is left: %d cut, %d sessions", w.deps.Cut.Len(), w.reg.Len())
	}
	last := uint32(0)
	for _, id := range l.got {
		if id <= last {
			t.Fatalf("the lanes got %v, not in order", l.got)
		}
		last = id
	}
}

// slowLanes holds a Submit until the test lets it go.
type slowLanes struct {
	*lanes
	hold, held chan struct{}
}

func (l slowLanes) Submit(id uint32, command, payload []byte) {
	if id == 1 {
		close(l.held)
		<-l.hold
	}
	l.lanes.Submit(id, command, payload)
}

// TestNothingOvertakes: a request that the old connection has just brought is
// with the lanes before anything of the new one.
func TestNothingOvertakes(t *testing.T) {
	w := newWorld()
	s, a, c, l := w.open()
	slow := slowLanes{l, make(chan struct{}), make(chan struct{})}
	s.Start(slow)
	go a.Receive(ask(1, "echo.say"))
	<-slow.held
	resumed := make(chan *Attachment)
	go func() {
		a, _ := s.Resume(&fakeConn{world: w}, ResumeRequest{Secret: secretIn(c)}, welcome)
		resumed <- a
	}()
	for !strings.Contains(l.heard(), "resumed") {
		_ = s.View()
	}
	select {
	case <-resumed:
		t.Error("the resume did not wait for the request")
	default:
	}
	close(slow.hold)
	next := <-resumed
	next.Receive(ask(2, "echo.say"))
	want(t, "submitted", l.submitted(), fmt.Sprint([]int{1, 2}))
}
