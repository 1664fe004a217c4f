package kit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// newLogins judges by what the token says.
func newLogins(t *testing.T, change func(*Config)) *logins {
	cfg := DefaultConfig()
	if change != nil {
		change(&cfg)
	}
	o := &owner{}
	o.start()
	t.Cleanup(o.close)
	return &logins{
		cfg: cfg, judge: judgeByToken, log: newLimitedLog(slog.New(slog.DiscardHandler)),
		metrics: newMetrics("test"), owner: o, base: context.Background(),
	}
}

func judgeByToken(ctx context.Context, l Login) (Identity, error) {
	what, arg, _ := strings.Cut(l.Token, " ")
	switch what {
	case "uid":
		return Identity{UID: arg, Attrs: map[string]string{"purpose": string(l.Purpose)}, Window: 8, ExpiresAt: time.UnixMilli(77)}, nil
	case "refuse":
		return Identity{}, Refuse(CloseRateLimited, arg, 3*time.Second)
	case "code":
		return Identity{}, Refuse(12, arg, 0)
	case "error":
		return Identity{}, errors.New("dial 10.0.0.7: secret")
	case "panic":
		panic(arg)
	case "exit":
		runtime.Goexit()
	case "sleep":
		d, err := time.ParseDuration(arg)
		if err != nil {
			return Identity{}, err
		}
		select {
		case <-time.After(d):
			return Identity{UID: arg}, nil
		case <-ctx.Done():
			return Identity{}, fmt.Errorf("looking: %w", ctx.Err())
		}
	case "deaf":
		time.Sleep(time.Minute)
	}
	return Identity{UID: arg}, nil
}

func items(tokens ...string) []*holdfast.ConnectItem {
	var out []*holdfast.ConnectItem
	for i, token := range tokens {
		out = append(out, &holdfast.ConnectItem{
			Session: &holdfast.Session{Id: fmt.Sprint("s", i)}, Token: token, Purpose: holdfast.ConnectPurpose_CONNECT, DeadlineMs: 2000,
		})
	}
	return out
}

// verdicts renders results for comparison.
func verdicts(results []*holdfast.ConnectResult_) []string {
	var out []string
	for _, r := range results {
		s := r.Uid
		if r.CloseCode != 0 {
			s = fmt.Sprintf("%d %s %d", r.CloseCode, r.CloseReason, r.RetryAfterMs)
		}
		if r.NotExecuted {
			s += " not executed"
		}
		out = append(out, s)
	}
	return out
}

func TestVerdicts(t *testing.T) {
	tests := []struct{ token, want string }{
		{"uid alice", "alice"},
		{"uid " + strings.Repeat("u", 64), strings.Repeat("u", 64)},
		{"uid " + strings.Repeat("u", 65), "4006 internal error 0"},
		{"uid ", "4006 internal error 0"},
		{"refuse come back", "4011 come back 3000"},
		{"refuse " + strings.Repeat("ä", 100), "4011 " + strings.Repeat("ä", 60) + " 3000"},
		{"code unknown to clients", "4006 internal error 0"},
		{"error", "4006 internal error 0"},
		{"panic now", "4006 internal error 0"},
		{"exit", "4006 internal error 0"},
	}
	ls := newLogins(t, nil)
	for _, tt := range tests {
		if got := verdicts(ls.judgeAll(items(tt.token))); got[0] != tt.want {
			t.Errorf("%q: %q, want %q", tt.token, got[0], tt.want)
		}
	}
	r := ls.judgeAll(items("uid alice"))[0]
	if r.Window != 8 || r.ExpiresAtMs != 77 || r.Attrs["purpose"] != "connect" {
		t.Errorf("result = %+v", r)
	}
}

// TestLoginsAreJudgedInParallel also checks that each result stays in its place.
func TestLoginsAreJudgedInParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ls := newLogins(t, nil)
		ls.mean.Store(int64(time.Second)) // known to be slow
		var tokens, want []string
		for i := range 100 {
			d := fmt.Sprintf("%dms", 1000-i)
			tokens, want = append(tokens, "sleep "+d), append(want, d)
		}
		began := time.Now()
		if got := verdicts(ls.judgeAll(items(tokens...))); !slices.Equal(got, want) {
			t.Errorf("verdicts = %v", got)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("100 logins took %v, want the time of the slowest", took)
		}
		ls.owner.close()
	})
}

// TestLoginsHaveADeadline: heeded or not, the call is answered by then.
func TestLoginsHaveADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ls := newLogins(t, nil)
		ls.mean.Store(int64(time.Second))
		began := time.Now()
		got := verdicts(ls.judgeAll(items("uid quick", "sleep 10s", "deaf")))
		if want := []string{"quick", "4007 login timed out 1000", "4007 login timed out 1000"}; !slices.Equal(got, want) {
			t.Errorf("verdicts = %q, want %q", got, want)
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("took %v, want the deadline of 2s", took)
		}
		synctest.Wait() // the sleeping one heeds its context
		if n := ls.pending.Load(); n != 1 {
			t.Errorf("%d logins pending, want the deaf one", n)
		}
		ls.owner.close()
	})
}

func TestTooManyLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ls := newLogins(t, func(c *Config) { c.MaxConnects = 2 })
		ls.mean.Store(int64(time.Second))
		go ls.judgeAll(items("sleep 1s", "sleep 1s"))
		synctest.Wait()
		if got := verdicts(ls.judgeAll(items("uid a"))); got[0] != "4007 queue_full 1000 not executed" {
			t.Errorf("verdict = %q", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := verdicts(ls.judgeAll(items("uid a"))); got[0] != "a" {
			t.Errorf("verdict afterwards = %q", got)
		}
		ls.owner.close()
	})
}

func TestServiceWithoutConnect(t *testing.T) {
	ls := newLogins(t, nil)
	ls.judge = nil
	if got := verdicts(ls.judgeAll(items("uid a"))); got[0] != "4006 this service judges no logins 0" {
		t.Errorf("verdict = %q", got)
	}
	if got := ls.judgeAll(nil); len(got) != 0 {
		t.Errorf("no logins, %d verdicts", len(got))
	}
}
