package dispatcher

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	hf "github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// heard returns what a backend was told, as "KIND session reason".
func (b *fakeBackend) heard() (out []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.told {
		out = append(out, fmt.Sprintf("%s %s %s", e.Kind, e.Session.Id, e.Reason))
	}
	return out
}

// wanting makes the instance of slot ask for events, and waits until the
// dispatcher knows.
func (w *world) wanting(slot int) *fakeBackend {
	b := w.backend(slot)
	b.with(func() { b.heartbeat.Events = true })
	time.Sleep(w.d.cfg.Heartbeat.Interval * 2)
	synctest.Wait()
	return b
}

func TestEventsOfALife(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		b := w.wanting(0)
		began := time.Now()
		l, _ := w.open("alice")
		l.Cut("connection_lost")
		l.Resumed("ws", "10.0.0.9")
		l.End("kicked")
		l.Cut("after the end")
		synctest.Wait()
		want := []string{"CUT s-alice connection_lost", "RESUMED s-alice ", "ENDED s-alice kicked"}
		if got := b.heard(); !slices.Equal(got, want) {
			t.Fatalf("events = %q, want %q", got, want)
		}
		cut, resumed := b.told[0], b.told[1]
		if cut.Session.Transport != "tcp" || resumed.Session.Transport != "ws" || resumed.Session.ClientIp != "10.0.0.9" {
			t.Errorf("transports are %q and %q, want each event's own", cut.Session.Transport, resumed.Session.Transport)
		}
		if cut.Session.Uid != "alice" || cut.Session.Device.Id != "d-alice" || cut.Session.Gateway != "gw:1" || cut.Session.Epoch != 7 || cut.AtMs != began.UnixMilli() {
			t.Errorf("event = %+v of %+v", cut, cut.Session)
		}
	})
}

// TestEventsAreRepeated: at least once, and in order.
func TestEventsAreRepeated(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		b := w.wanting(0)
		b.with(func() { b.down = true })
		for i := range 3 {
			l, _ := w.open(fmt.Sprint(i))
			l.End("bye")
			time.Sleep(time.Second)
		}
		b.with(func() { b.down = false })
		time.Sleep(4 * time.Second)
		synctest.Wait()
		want := []string{"ENDED s-0 bye", "ENDED s-1 bye", "ENDED s-2 bye"}
		if got := b.heard(); !slices.Equal(got, want) {
			t.Errorf("events = %q, want %q", got, want)
		}
	})
}

func TestEventsOnlyForThoseWhoWant(t *testing.T) {
	cfg := testConfig()
	cfg.Services = append(cfg.Services, ServiceConfig{Name: "echo"})
	inWorld(t, cfg, 1, func(t *testing.T, w *world) {
		echo := w.join("echo", 0)
		b := w.wanting(0)
		l, _ := w.open("alice")
		l.End("bye")
		synctest.Wait()
		if len(b.heard()) != 1 || len(echo.heard()) != 0 {
			t.Errorf("the one who wants heard %q, the other %q", b.heard(), echo.heard())
		}
		if n := len(w.d.service("echo").table.Load().slots[0].events.waiting); n != 0 {
			t.Errorf("%d events wait for an instance that wants none", n)
		}
	})
}

// TestEventsBeforeTheFirstHeartbeat: what happens before it is known whether an
// instance wants events is kept for it.
func TestEventsBeforeTheFirstHeartbeat(t *testing.T) {
	inWorld(t, testConfig(), 0, func(t *testing.T, w *world) {
		b := w.joinAs(testService, 0, &fakeBackend{incarnation: 1, down: true})
		l, _ := w.open("alice")
		l.End("bye")
		b.with(func() { b.down, b.heartbeat.Events = false, true })
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if got := b.heard(); !slices.Equal(got, []string{"ENDED s-alice bye"}) {
			t.Errorf("events = %q, want the one from before", got)
		}
	})
}

// TestResync: an instance that knows nothing hears of each open session whose slot
// it holds, and of nobody else's.
func TestResync(t *testing.T) {
	cfg := testConfig()
	cfg.Events.Batch = 10
	inWorld(t, cfg, 2, func(t *testing.T, w *world) {
		b0, b1 := w.wanting(0), w.wanting(1)
		want := map[string]bool{}
		for i := range 100 {
			uid := fmt.Sprint("u", i)
			l, _ := w.open(uid)
			switch {
			case i%10 == 0:
				l.End("gone")
			case slotOf(uid, 2) == 0:
				want["s-"+uid] = true
			}
		}
		synctest.Wait()
		b0.restart()
		b0.with(func() { b0.told = nil; b0.heartbeat.Resync = true })
		b1.with(func() { b1.told = nil })
		time.Sleep(4 * time.Second)
		synctest.Wait()
		got := map[string]bool{}
		for _, e := range b0.told {
			if e.Kind != hf.EventKind_PRESENT {
				t.Errorf("told %v of %s, want only PRESENT", e.Kind, e.Session.Id)
			}
			got[e.Session.Id] = true
		}
		if len(got) != len(want) || len(b0.told) != len(want) {
			t.Errorf("%d sessions were announced in %d events, want %d", len(got), len(b0.told), len(want))
		}
		for id := range want {
			if !got[id] {
				t.Errorf("%s was not announced", id)
			}
		}
		if n := len(b1.heard()); n != 0 {
			t.Errorf("the other instance was told %d events", n)
		}
		// Its Connect may have reached the process that is no more, so a session that
		// opens now is announced by itself.
		late := uidOn(0, 2) + ""
		l, _ := w.open(late)
		synctest.Wait()
		if got := b0.heard(); got[len(got)-1] != "PRESENT s-"+late+" " {
			t.Errorf("last event = %q, want the new session's", got[len(got)-1])
		}
		l.End("bye")
		time.Sleep(announceWindow + time.Second)
		n := len(b0.heard())
		w.open(uidOn(0, 2))
		synctest.Wait()
		if got := len(b0.heard()); got != n {
			t.Error("a session that opened long after the resync was announced")
		}
	})
}

// TestEventOverflow: what does not fit is dropped, and the instance hears of all
// that are open once it listens again.
func TestEventOverflow(t *testing.T) {
	cfg := testConfig()
	cfg.Events.Queue = 5
	inWorld(t, cfg, 1, func(t *testing.T, w *world) {
		b := w.wanting(0)
		open, _ := w.open("stays")
		b.with(func() { b.down = true })
		for i := range 10 {
			l, _ := w.open(fmt.Sprint(i))
			l.End("bye")
		}
		b.with(func() { b.down = false })
		time.Sleep(4 * time.Second)
		synctest.Wait()
		got := b.heard()
		if len(got) != 6 || got[5] != "PRESENT s-stays " {
			t.Errorf("events = %q, want five that fitted and then the open session", got)
		}
		open.End("bye")
	})
}

// TestHeartbeats: at the interval while all is well, faster while it is not.
func TestHeartbeats(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		b := w.backend(0)
		if n := b.heartbeats(); n != 1 {
			t.Fatalf("%d heartbeats at the start, want one at once", n)
		}
		time.Sleep(time.Minute)
		if n := b.heartbeats(); n < 18 || n > 23 {
			t.Errorf("%d heartbeats in a minute, want about 20", n)
		}
		b.with(func() { b.down = true })
		time.Sleep(time.Minute)
		b.with(func() { b.down, b.beats = false, 0 })
		time.Sleep(3500 * time.Millisecond)
		if b.heartbeats() == 0 {
			t.Error("no heartbeat within 3.5 s of the instance's return")
		}
	})
}

func TestProbesAreFewerThanFailures(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		inst := w.d.service(testService).table.Load().slots[0]
		b := w.backend(0)
		before := b.heartbeats()
		for range 1000 {
			inst.probe()
			time.Sleep(time.Millisecond)
		}
		if n := b.heartbeats() - before; n < 10 || n > 60 {
			t.Errorf("%d heartbeats for 1000 probes in a second, want one in 20 ms at most", n)
		}
	})
}
