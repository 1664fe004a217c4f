package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/backend/logic/keys"
	"github.com/holdfast-io/holdfast/gateway/client"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// deployment is a gateway and a logic as two processes, joined over TCP.
type deployment struct {
	t               *testing.T
	data, logicAddr string
	endpoint, admin string
	gateway, logic  *proc
}

func deploy(t *testing.T) *deployment {
	t.Helper()
	d := &deployment{t: t, data: filepath.Join(t.TempDir(), "data"), logicAddr: freeAddress(t)}
	d.startLogic()
	d.gateway = start(t, nil, "gateway", "--admin", "127.0.0.1:0", "--set", "listeners[0].address=127.0.0.1:0",
		"--set", "rpc.listen=127.0.0.1:0", "--set", "drain.window=1s", "--set", "dispatcher.services[0].instances[0].address="+d.logicAddr)
	d.endpoint = d.gateway.await(d.gateway.errs, `(?m)msg=listening .* address=(\S+)$`)[1]
	d.admin = d.gateway.await(d.gateway.errs, `(?m)msg="admin server listens" address=(\S+)$`)[1]
	d.gateway.await(d.gateway.errs, `msg="instance answers"`)
	return d
}

// startLogic returns when logic serves.
func (d *deployment) startLogic() {
	d.t.Helper()
	d.logic = start(d.t, nil, "logic", "--admin=", "--data", d.data, "--set", "kit.listen="+d.logicAddr)
	d.logic.await(d.logic.errs, `(?m)msg=serving .* address=`)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// user is a client that notes what happens to its connection and what it is pushed.
type user struct {
	*client.Client
	mu     sync.Mutex
	pushed map[string]bool // message ids; guarded by mu
	lost   []string        // changes of the connection after the first; guarded by mu
}

func (d *deployment) connect(uid string) *user {
	d.t.Helper()
	folder, err := keys.OpenFolder(d.data, slog.New(slog.DiscardHandler))
	if err != nil {
		d.t.Fatal(err)
	}
	tok, err := folder.Sign(uid, time.Hour)
	if err != nil {
		d.t.Fatal(err)
	}
	u := &user{pushed: map[string]bool{}}
	u.Client, err = client.Dial(d.t.Context(), client.Config{
		Endpoints: []string{d.endpoint}, Token: tok, RequestTimeout: patience,
		OnPush: func(_ context.Context, p client.Push) {
			u.mu.Lock()
			defer u.mu.Unlock()
			u.pushed[msgID(p.Payload)] = true
		},
		OnState: func(c client.Change) {
			if c.State == client.StateWaiting || c.State == client.StateLeaving {
				u.mu.Lock()
				defer u.mu.Unlock()
				u.lost = append(u.lost, fmt.Sprintf("%v: %v", c.State, c.Err))
			}
		},
	})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { u.Close() })
	return u
}

func msgID(payload []byte) string {
	var m struct {
		MsgID string `json:"msg_id"`
	}
	_ = json.Unmarshal(payload, &m) // no JSON, no id
	return m.MsgID
}

// hasPushed waits until message id was pushed to u.
func (u *user) hasPushed(t *testing.T, id string) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		u.mu.Lock()
		got := u.pushed[id]
		u.mu.Unlock()
		if got {
			return
		}
	}
	t.Errorf("message %s was not pushed", id)
}

// traffic sends messages from several goroutines until it is stopped, and counts
// what became of each.
type traffic struct {
	to                          string
	acked, unavailable, unknown atomic.Int64
	mu                          sync.Mutex
	ids                         []string // of acknowledged messages; guarded by mu
	bad                         []error  // answers that nobody should get; guarded by mu
}

func (f *traffic) send(ctx context.Context, u *user, n int) {
	payload := fmt.Appendf(nil, `{"to":%q,"client_msg_id":"m-%d","type":"text","content":"x"}`, f.to, n)
	reply, err := u.Request(ctx, "msg.send", payload)
	var se *client.StatusError
	switch {
	case err == nil:
		f.acked.Add(1)
		f.mu.Lock()
		f.ids = append(f.ids, msgID(reply))
		f.mu.Unlock()
		return
	case errors.As(err, &se) && se.FromGateway && se.Status == wire.StatusUnavailable && se.RetryAfter > 0:
		f.unavailable.Add(1)
	case errors.As(err, &se) && se.FromGateway && se.RetryAfter == 0 &&
		(se.Status == wire.StatusUnknown || se.Status == wire.StatusDeadlineExceeded):
		f.unknown.Add(1)
	case ctx.Err() != nil:
	default:
		f.mu.Lock()
		f.bad = append(f.bad, err)
		f.mu.Unlock()
	}
	time.Sleep(5 * time.Millisecond) // a client that does not come back at once
}

// run sends until ctx ends.
func (f *traffic) run(ctx context.Context, u *user) {
	const senders = 8
	var next atomic.Int64
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for ctx.Err() == nil {
				f.send(ctx, u, int(next.Add(1)))
			}
		})
	}
	wg.Wait()
}

// reach waits until a count has grown by n.
func reach(t *testing.T, what string, count *atomic.Int64, n int64) {
	t.Helper()
	want := count.Load() + n
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if count.Load() >= want {
			return
		}
	}
	t.Fatalf("%s: %d, want %d", what, count.Load(), want)
}

// TestLogicKilledDuringTraffic kills the backend without warning. Clients keep
// their connections and get an answer to every request that says whether it may
// have run; after the restart everything works again without touching the
// gateway, and no acknowledged message is lost.
func TestLogicKilledDuringTraffic(t *testing.T) {
	d := deploy(t)
	alice, bob := d.connect("alice"), d.connect("bob")
	f := &traffic{to: "bob"}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.run(ctx, alice) }()
	defer func() { stop(); <-done }()

	reach(t, "acknowledged", &f.acked, 100)
	d.logic.signal(syscall.SIGKILL)
	d.logic.wait()
	reach(t, "unavailable", &f.unavailable, 20)
	d.startLogic()
	reach(t, "acknowledged after the restart", &f.acked, 100)
	stop()
	<-done
	f.mu.Lock()
	defer f.mu.Unlock()
	t.Logf("acknowledged %d, UNAVAILABLE %d, UNKNOWN or DEADLINE_EXCEEDED %d", f.acked.Load(), f.unavailable.Load(), f.unknown.Load())
	for _, err := range f.bad {
		t.Errorf("an answer that says nothing: %v", err)
	}
	for name, u := range map[string]*user{"alice": alice, "bob": bob} {
		u.mu.Lock()
		if len(u.lost) > 0 {
			t.Errorf("%s lost the connection: %q", name, u.lost)
		}
		u.mu.Unlock()
	}
	bob.hasPushed(t, f.ids[len(f.ids)-1])
	stored := bob.pullAll(t)
	for _, id := range f.ids {
		if !stored[id] {
			t.Errorf("message %s was acknowledged and is gone", id)
		}
	}
}

// pullAll returns the ids of everything in the user's timeline.
func (u *user) pullAll(t *testing.T) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	for after := int64(0); ; {
		reply, err := u.Request(t.Context(), "msg.pull", fmt.Appendf(nil, `{"after":%d}`, after))
		if err != nil {
			t.Fatal(err)
		}
		var page struct {
			Items []struct {
				Position int64  `json:"position"`
				MsgID    string `json:"msg_id"`
			} `json:"items"`
			More bool `json:"more"`
		}
		if err := json.Unmarshal(reply, &page); err != nil {
			t.Fatalf("%s: %v", reply, err)
		}
		for _, item := range page.Items {
			ids[item.MsgID], after = true, item.Position
		}
		if !page.More {
			return ids
		}
	}
}

// TestGatewayDrainMovesNobodyWithoutWord checks SIGTERM of a gateway alone: its
// clients hear GOAWAY, it exits with 0, and the backend goes on.
func TestGatewayDrainMovesNobodyWithoutWord(t *testing.T) {
	d := deploy(t)
	u := d.connect("carol")
	d.gateway.signal(syscall.SIGTERM)
	if code := d.gateway.wait(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.lost) == 0 {
		t.Error("the client was not told to leave")
	}
	select {
	case <-d.logic.exited:
		t.Error("logic has ended with the gateway")
	default:
	}
}
