package dispatcher

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
	hf "github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// verdicts collects what Connect calls back with, and fails on a second call.
type verdicts struct {
	t   *testing.T
	mu  sync.Mutex
	got map[string]Verdict
	at  map[string]time.Time
}

func newVerdicts(t *testing.T) *verdicts {
	return &verdicts{t: t, got: map[string]Verdict{}, at: map[string]time.Time{}}
}

func (v *verdicts) done(token string) func(Verdict) {
	return func(x Verdict) {
		v.mu.Lock()
		defer v.mu.Unlock()
		if _, twice := v.got[token]; twice {
			v.t.Errorf("login %s was judged twice", token)
		}
		v.got[token], v.at[token] = x, time.Now()
	}
}

func (v *verdicts) of(token string) Verdict {
	v.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	x, ok := v.got[token]
	if !ok {
		v.t.Fatalf("login %s was not judged", token)
	}
	return x
}

func (w *world) login(v *verdicts, token string) {
	w.d.Connect(Login{Session: "s-" + token, Token: token, Device: Device{ID: "d", Class: "ios"}, ClientIP: "10.0.0.1", Transport: "tcp",
		ClientAttrs: map[string]string{"k": "v"}, ConnectedAt: time.Now()}, v.done(token))
}

func TestLogin(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		expires := time.Now().Add(time.Hour).Truncate(time.Millisecond)
		var item *hf.ConnectItem
		w.backend(0).connect = func(i *hf.ConnectItem) *hf.ConnectResult_ {
			item = i
			return &hf.ConnectResult_{Uid: "1001", Attrs: map[string]string{"vip": "1"}, ExpiresAtMs: expires.UnixMilli(), Window: 8}
		}
		v := newVerdicts(t)
		w.login(v, "tok")
		synctest.Wait()
		got := v.of("tok")
		if got.UID != "1001" || got.Attrs["vip"] != "1" || !got.ExpiresAt.Equal(expires) || got.Window != 8 || got.Service != testService || got.CloseCode != 0 {
			t.Errorf("verdict = %+v", got)
		}
		s := item.Session
		if item.Token != "tok" || item.Purpose != hf.ConnectPurpose_CONNECT || item.DeadlineMs < 4990 || item.DeadlineMs > 5000 || item.ClientAttrs["k"] != "v" ||
			s.Id != "s-tok" || s.Gateway != "gw:1" || s.Epoch != 7 || s.Device.DeviceClass != "ios" || s.ClientIp != "10.0.0.1" || s.Transport != "tcp" {
			t.Errorf("the backend was asked %+v of %+v", item, s)
		}
		w.d.Connect(Login{Session: "s", UID: "1001", Refresh: true, Token: "new"}, v.done("new"))
		synctest.Wait()
		v.of("new")
		if item.Purpose != hf.ConnectPurpose_REFRESH || item.Session.Uid != "1001" {
			t.Errorf("refresh was asked as %+v of %+v", item, item.Session)
		}
	})
}

// TestLoginsAreBatched: while the calls are under way logins gather.
func TestLoginsAreBatched(t *testing.T) {
	cfg := testConfig()
	cfg.Login.CallsInFlight, cfg.Login.Batch = 1, 20
	inWorld(t, cfg, 1, func(t *testing.T, w *world) {
		b := w.backend(0)
		b.with(func() { b.gate = make(chan struct{}) })
		v := newVerdicts(t)
		w.login(v, "t0")
		synctest.Wait()
		for i := 1; i <= 30; i++ {
			w.login(v, fmt.Sprint("t", i))
		}
		close(b.gate)
		synctest.Wait()
		for i := range 31 {
			if got := v.of(fmt.Sprint("t", i)); got.UID != fmt.Sprint("t", i) {
				t.Errorf("login %d was judged as %+v", i, got)
			}
		}
		if len(b.logins) != 3 || len(b.logins[0]) != 1 || len(b.logins[1]) != 20 || len(b.logins[2]) != 10 {
			t.Errorf("calls of %d, want of 1, 20 and 10", len(b.logins))
		}
	})
}

// TestLoginGoesElsewhere: any instance may judge, so one that cannot is passed over.
func TestLoginGoesElsewhere(t *testing.T) {
	faults := map[string]func(b *fakeBackend){
		"down":   func(b *fakeBackend) { b.down = true },
		"broken": func(b *fakeBackend) { b.broken = true },
		"frozen": func(b *fakeBackend) { b.gate = make(chan struct{}) },
		"not executed": func(b *fakeBackend) {
			b.connect = func(*hf.ConnectItem) *hf.ConnectResult_ { return &hf.ConnectResult_{NotExecuted: true} }
		},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			inWorld(t, testConfig(), 2, func(t *testing.T, w *world) {
				b := w.backend(0)
				b.with(func() { fault(b) })
				v := newVerdicts(t)
				for i := range 6 {
					w.login(v, fmt.Sprint("t", i))
				}
				time.Sleep(5 * time.Second)
				synctest.Wait()
				for i := range 6 {
					if got := v.of(fmt.Sprint("t", i)); got.UID != fmt.Sprint("t", i) {
						t.Errorf("login %d = %+v, want a welcome", i, got)
					}
				}
			})
		})
	}
}

func TestLoginPrefersHealthyInstances(t *testing.T) {
	inWorld(t, testConfig(), 3, func(t *testing.T, w *world) {
		w.backend(0).with(func() { w.backend(0).down = true })
		w.backend(1).with(func() { w.backend(1).heartbeat.Draining = true })
		time.Sleep(4 * time.Second) // a heartbeat each
		v := newVerdicts(t)
		for i := range 9 {
			w.login(v, fmt.Sprint("t", i))
			synctest.Wait()
		}
		if a, b := len(w.backend(1).logins), len(w.backend(2).logins); a != 0 || b != 9 {
			t.Errorf("the draining instance judged %d logins and the healthy one %d, want 0 and 9", a, b)
		}
	})
}

// TestLoginUnavailable: a verdict comes by the login time-out, whatever happens.
func TestLoginUnavailable(t *testing.T) {
	faults := map[string]func(w *world){
		"nobody there": func(w *world) { w.disc.Deregister(testService, "i0") },
		"down":         func(w *world) { w.backend(0).with(func() { w.backend(0).down = true }) },
		"frozen":       func(w *world) { w.backend(0).with(func() { w.backend(0).gate = make(chan struct{}) }) },
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig()
			cfg.Login.CallsInFlight, cfg.Login.Batch = 1, 1
			inWorld(t, cfg, 1, func(t *testing.T, w *world) {
				fault(w)
				synctest.Wait()
				v, began := newVerdicts(t), time.Now()
				for i := range 20 { // more than the frozen instance gets through in time
					w.login(v, fmt.Sprint("t", i))
				}
				time.Sleep(6 * time.Second)
				synctest.Wait()
				for i := range 20 {
					token := fmt.Sprint("t", i)
					got := v.of(token)
					if got.CloseCode != closeBackendUnavailable || got.RetryAfter == 0 || got.UID != "" {
						t.Errorf("login %d = %+v, want BACKEND_UNAVAILABLE with retry_after", i, got)
					}
					if took := v.at[token].Sub(began); took > cfg.Login.Timeout {
						t.Errorf("login %d took %v, want at most %v", i, took, cfg.Login.Timeout)
					}
				}
			})
		})
	}
}

// TestLoginBeforeAnythingIsKnown: logins wait for the discovery, but not for ever.
func TestLoginBeforeAnythingIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig())
		disc := &lateDiscovery{Memory: w.disc, known: make(chan struct{})}
		w.d.disc = disc
		w.join(testService, 0)
		w.start()
		v := newVerdicts(t)
		w.login(v, "early")
		time.Sleep(6 * time.Second)
		w.login(v, "later")
		time.Sleep(time.Second)
		if got := v.of("early"); got.CloseCode != closeBackendUnavailable {
			t.Errorf("early = %+v, want BACKEND_UNAVAILABLE", got)
		}
		close(disc.known)
		<-w.d.Ready()
		synctest.Wait()
		if got := v.of("later"); got.UID != "later" {
			t.Errorf("later = %+v, want a welcome", got)
		}
		w.cancel()
		<-w.ran
	})
}

// lateDiscovery knows nothing until known is closed.
type lateDiscovery struct {
	*discovery.Memory
	known chan struct{}
}

func (l *lateDiscovery) Next(ctx context.Context, after uint64) (*discovery.Snapshot, error) {
	select {
	case <-l.known:
		return l.Memory.Next(ctx, after)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestLoginOverload(t *testing.T) {
	cfg := testConfig()
	cfg.Login.CallsInFlight, cfg.Login.Queue = 1, 2
	inWorld(t, cfg, 1, func(t *testing.T, w *world) {
		b := w.backend(0)
		b.with(func() { b.gate = make(chan struct{}) })
		v := newVerdicts(t)
		w.login(v, "under way")
		synctest.Wait()
		w.login(v, "a")
		w.login(v, "b")
		w.login(v, "c")
		if got := v.of("c"); got.CloseCode != closeOverloaded || got.RetryAfter == 0 {
			t.Errorf("verdict = %+v, want OVERLOADED with retry_after", got)
		}
		close(b.gate)
		synctest.Wait()
		if got := v.of("b"); got.UID != "b" {
			t.Errorf("verdict = %+v, want a welcome", got)
		}
	})
}

func TestLoginAfterRun(t *testing.T) {
	inWorld(t, testConfig(), 1, func(t *testing.T, w *world) {
		b := w.backend(0)
		b.with(func() { b.gate = make(chan struct{}) })
		v := newVerdicts(t)
		for i := range 5 {
			w.login(v, fmt.Sprint("t", i))
			synctest.Wait()
		}
		w.cancel()
		if err := <-w.ran; err != nil {
			t.Fatal(err)
		}
		w.ran <- nil
		w.login(v, "after")
		for _, token := range []string{"t4", "after"} {
			if got := v.of(token); got.CloseCode != closeBackendUnavailable {
				t.Errorf("%s = %+v, want BACKEND_UNAVAILABLE", token, got)
			}
		}
	})
}

func TestVerdictOf(t *testing.T) {
	attrs := func(n, bytes int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprintf("%02d", i)] = strings.Repeat("x", bytes)
		}
		return m
	}
	bad := Verdict{CloseCode: closeInternal}
	tests := []struct {
		name string
		in   *hf.ConnectResult_
		kind loginKind
		want Verdict
	}{
		{"welcome", &hf.ConnectResult_{Uid: "1"}, loginWelcome, Verdict{UID: "1"}},
		{"longest uid", &hf.ConnectResult_{Uid: strings.Repeat("u", 64)}, loginWelcome, Verdict{UID: strings.Repeat("u", 64)}},
		{"refused", &hf.ConnectResult_{CloseCode: 4502, CloseReason: "no"}, loginRefused, Verdict{CloseCode: 4502, Reason: "no"}},
		{"refused for now", &hf.ConnectResult_{CloseCode: 4011, RetryAfterMs: 500}, loginRefused, Verdict{CloseCode: 4011, RetryAfter: 500 * time.Millisecond}},
		{"reason too long", &hf.ConnectResult_{CloseCode: 4503, CloseReason: strings.Repeat("é", 100)}, loginRefused, Verdict{CloseCode: 4503, Reason: strings.Repeat("é", 60)}},
		{"nothing", nil, loginBadAnswer, bad},
		{"no uid", &hf.ConnectResult_{}, loginBadAnswer, bad},
		{"uid too long", &hf.ConnectResult_{Uid: strings.Repeat("u", 65)}, loginBadAnswer, bad},
		{"uid not UTF-8", &hf.ConnectResult_{Uid: "\xff"}, loginBadAnswer, bad},
		{"uid with a line break", &hf.ConnectResult_{Uid: "a\nb"}, loginBadAnswer, bad},
		{"unknown code", &hf.ConnectResult_{CloseCode: 9}, loginBadAnswer, bad},
		{"code that is not a login's", &hf.ConnectResult_{CloseCode: 4000}, loginBadAnswer, bad},
		{"too many attrs", &hf.ConnectResult_{Uid: "1", Attrs: attrs(17, 1)}, loginBadAnswer, bad},
		{"attrs too large", &hf.ConnectResult_{Uid: "1", Attrs: attrs(16, 63)}, loginBadAnswer, bad},
		{"negative window", &hf.ConnectResult_{Uid: "1", Window: -1}, loginBadAnswer, bad},
	}
	for _, tt := range tests {
		kind, got := verdictOf(tt.in)
		if tt.kind == loginBadAnswer {
			got.Reason = ""
		}
		if kind != tt.kind || got.UID != tt.want.UID || got.CloseCode != tt.want.CloseCode || got.Reason != tt.want.Reason || got.RetryAfter != tt.want.RetryAfter {
			t.Errorf("%s: verdictOf = %d, %+v, want %d, %+v", tt.name, kind, got, tt.kind, tt.want)
		}
	}
	if kind, got := verdictOf(&hf.ConnectResult_{Uid: "1", Attrs: attrs(16, 62)}); kind != loginWelcome || len(got.Attrs) != 16 {
		t.Errorf("16 attributes of 1 KiB together = %d, %+v, want a welcome", kind, got)
	}
}
