package gateway_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-io/holdfast/gateway"
	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// fakeDispatcher answers by itself what a backend would:
//
//	token "refuse:4502"        CLOSE with that code
//	token "wait"               judged when the test says so
//	any other token            is the uid
//	command echo.say           the payload comes back
//	command hold.*             answered when the test says so
type fakeDispatcher struct {
	mu           sync.Mutex
	waiting      []func(gateway.Verdict)
	lanes        map[string]*fakeLanes
	ended        []string // "uid reason"
	incarnations []int64
	expires      time.Time // of every credential

	judge  func(gateway.Login) gateway.Verdict // nil: as above
	logins []gateway.Login
	states []string // "uid cut" and "uid resumed transport", in order
}

func newFakeDispatcher() *fakeDispatcher {
	return &fakeDispatcher{lanes: make(map[string]*fakeLanes)}
}

func (d *fakeDispatcher) Incarnation(i int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.incarnations = append(d.incarnations, i)
}

// heard is the incarnations that backends spoke as.
func (d *fakeDispatcher) heard() []int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]int64(nil), d.incarnations...)
}

func (d *fakeDispatcher) Connect(l gateway.Login, done func(gateway.Verdict)) {
	d.mu.Lock()
	expires, judge := d.expires, d.judge
	d.logins = append(d.logins, l)
	if judge != nil {
		d.mu.Unlock()
		go func() { done(judge(l)) }()
		return
	}
	if l.Token == "wait" {
		d.waiting = append(d.waiting, done)
		d.mu.Unlock()
		return
	}
	d.mu.Unlock()
	if code, ok := strings.CutPrefix(l.Token, "refuse:"); ok {
		n, _ := strconv.Atoi(code)
		go done(gateway.Verdict{CloseCode: uint16(n), Reason: "refused by the test", RetryAfter: 250 * time.Millisecond})
		return
	}
	uid := l.Token
	if uid == "" {
		uid = l.Session
	}
	go done(gateway.Verdict{UID: uid, Service: "test", ExpiresAt: expires})
}

func (d *fakeDispatcher) Open(o gateway.Origin, _ string, sink gateway.Sink) session.Upstream {
	l := &fakeLanes{disp: d, origin: o, sink: sink}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lanes[o.UID] = l
	return l
}

func (d *fakeDispatcher) of(uid string) *fakeLanes {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lanes[uid]
}

func (d *fakeDispatcher) endings() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.ended...)
}

// judgeBy has logins judged by fn from now on.
func (d *fakeDispatcher) judgeBy(fn func(gateway.Login) gateway.Verdict) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.judge = fn
}

// asked returns the logins that came since the last time.
func (d *fakeDispatcher) asked() []gateway.Login {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.logins
	d.logins = nil
	return l
}

func (d *fakeDispatcher) note(state string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.states = append(d.states, state)
}

// takeWaiting returns the logins that wait for the test.
func (d *fakeDispatcher) takeWaiting() []func(gateway.Verdict) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.waiting
	d.waiting = nil
	return w
}

type fakeLanes struct {
	disp   *fakeDispatcher
	origin gateway.Origin
	sink   gateway.Sink

	mu   sync.Mutex
	held []uint32
	got  []string // "id command payload"
}

func (l *fakeLanes) Submit(id uint32, command, payload []byte) {
	l.mu.Lock()
	l.got = append(l.got, fmt.Sprintf("%d %s %s", id, command, payload))
	l.mu.Unlock()
	switch {
	case string(command) == "echo.say":
		l.sink.Reply(id, 0, bytes.Clone(payload))
	case bytes.HasPrefix(command, []byte("hold.")):
		l.mu.Lock()
		l.held = append(l.held, id)
		l.mu.Unlock()
		return
	case string(command) == "big.reply":
		l.sink.Reply(id, 0, make([]byte, 1<<20))
	default:
		l.sink.Refuse(id, uint8(wire.StatusUnimplemented), "no_route", "no route", 0)
	}
	l.sink.Flush()
}

func (l *fakeLanes) submitted() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.got...)
}

func (l *fakeLanes) Answer(_ string, seq int64, _ int32, status int32, payload []byte, _ bool, _ string, _ time.Duration) bool {
	l.mu.Lock()
	var id uint32
	for i, held := range l.held {
		if int64(held) == seq {
			id = held
			l.held = append(l.held[:i:i], l.held[i+1:]...)
			break
		}
	}
	l.mu.Unlock()
	if id == 0 {
		return false
	}
	l.sink.Reply(id, uint8(status), payload)
	return true
}

func (l *fakeLanes) Cut(string) { l.disp.note(l.origin.UID + " cut") }

func (l *fakeLanes) Resumed(transport, _ string) {
	l.disp.note(l.origin.UID + " resumed " + transport)
}

func (l *fakeLanes) End(reason string) {
	l.disp.mu.Lock()
	defer l.disp.mu.Unlock()
	l.disp.ended = append(l.disp.ended, l.origin.UID+" "+reason)
}
